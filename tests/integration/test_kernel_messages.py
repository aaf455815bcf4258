"""Our kernel answers every message as Jupyter's own test suite for kernels wants it."""

from __future__ import annotations

import os
from typing import ClassVar

import jupyter_kernel_test
import pytest

pytestmark = [pytest.mark.daemon, pytest.mark.network]


@pytest.fixture(scope="module", autouse=True)
def notebook(engine_home, tmp_path_factory):
    """What the kernels of this module run for; `jupyter_kernel_test` starts them in this process."""
    path = engine_home.notebook(tmp_path_factory.mktemp("kernel") / "a.ipynb")
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update({**engine_home.process_env, "NIXENV_NOTEBOOK": str(path)})
    yield path
    os.environ.clear()
    os.environ.update(before)


class TestKernelMessages(jupyter_kernel_test.KernelTests):
    """jupyter_kernel_test, whole."""

    kernel_name = "nixenv"
    language_name = "python"
    file_extension = ".py"
    code_hello_world = "print('hello, world')"
    code_stderr = "import sys; print('test', file=sys.stderr)"
    completion_samples: ClassVar = [
        {"text": "zi", "matches": {"zip"}},
        {"text": "%nixenv st", "matches": {"status"}},
    ]
    complete_code_samples: ClassVar = [
        "1",
        "print('hello, world')",
        "def f(x):\n  return x*2\n\n\n",
    ]
    incomplete_code_samples: ClassVar = ["print('''hello", "def f(x):\n  x*2"]
    invalid_code_samples: ClassVar = ["import = 7q"]
    code_page_something = "zip?"
    code_generate_error = "raise"
    code_execute_result: ClassVar = [{"code": "1+2+3", "result": "6"}]
    code_display_data: ClassVar = [
        {
            "code": "from IPython.display import HTML, display; display(HTML('<b>test</b>'))",
            "mime": "text/html",
        }
    ]
    code_history_pattern = "1?2*"
    # Not `range`: the suite wants session 0 back, and IPython 9 answers with the session's number.
    supported_history_operations = ("tail", "search")
    code_inspect_sample = "zip"
    code_clear_output = "from IPython.display import clear_output; clear_output()"

    def test_debugger_is_offered(self):
        """The kernelspec promises it, so the environment's ipykernel must have it."""
        self.kc.kernel_info()
        content = self.kc.get_shell_msg(timeout=20)["content"]
        assert content.get("debugger") or "debugger" in content["supported_features"]


class TestFallbackMessages(jupyter_kernel_test.KernelTests):
    """The fallback kernel, as far as it promises anything: it says who it is, and why it is there."""

    kernel_name = "nixenv"
    language_name = "python"
    file_extension = ".py"
    completion_samples: ClassVar = [{"text": "%nixenv st", "matches": {"status"}}]
    complete_code_samples: ClassVar = ["import pandas"]
    code_generate_error = "print('hello')"

    @classmethod
    def setUpClass(cls):
        cls.notebook = os.environ["NIXENV_NOTEBOOK"]
        os.environ["NIXENV_NOTEBOOK"] = "/nowhere/gone.ipynb"
        super().setUpClass()

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        os.environ["NIXENV_NOTEBOOK"] = cls.notebook

    def test_every_cell_is_answered_with_the_reason(self):
        reply, output = self.execute_helper(code="print('never')")
        assert reply["content"]["ename"] == "MetadataError"
        assert [message["msg_type"] for message in output] == ["error"]
        assert "/nowhere/gone.ipynb" in output[0]["content"]["evalue"]

    def test_console_can_be_left(self):
        """`exit` is the kernel's business: a console would never end."""
        reply, _ = self.execute_helper(code="exit")
        assert reply["content"]["status"] == "ok"
        assert [one["source"] for one in reply["content"]["payload"]] == ["ask_exit"]
