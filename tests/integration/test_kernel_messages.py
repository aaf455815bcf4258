"""Our kernel answers every message as Jupyter's own test suite for kernels wants it."""

from __future__ import annotations

import os
import unittest

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
    completion_samples = [{"text": "zi", "matches": {"zip"}}, {"text": "%nixenv st", "matches": {"status"}}]
    complete_code_samples = ["1", "print('hello, world')", "def f(x):\n  return x*2\n\n\n"]
    incomplete_code_samples = ["print('''hello", "def f(x):\n  x*2"]
    invalid_code_samples = ["import = 7q"]
    code_page_something = "zip?"
    code_generate_error = "raise"
    code_execute_result = [{"code": "1+2+3", "result": "6"}]
    code_display_data = [
        {
            "code": "from IPython.display import HTML, display; display(HTML('<b>test</b>'))",
            "mime": "text/html",
        }
    ]
    code_history_pattern = "1?2*"
    supported_history_operations = ("tail", "range", "search")
    code_inspect_sample = "zip"
    code_clear_output = "from IPython.display import clear_output; clear_output()"

    def test_debugger_is_offered(self):
        """The kernelspec promises it, so the environment's ipykernel must have it."""
        self.kc.kernel_info()
        assert self.kc.get_shell_msg(timeout=20)["content"]["debugger"]


class TestFallbackMessages(jupyter_kernel_test.KernelTests):
    """The fallback kernel, as far as it promises anything: it says who it is, and why it is there."""

    kernel_name = "nixenv"
    language_name = "python"
    file_extension = ".py"
    completion_samples = [{"text": "%nixenv st", "matches": {"status"}}]
    complete_code_samples = ["import pandas"]
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


if __name__ == "__main__":
    unittest.main()
