"""jupyter_kernel_test once more, whole, through the bootstrap kernel's relay."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
import test_kernel_messages as direct
from raw_kernel import children_of

pytestmark = [pytest.mark.daemon, pytest.mark.network]

NAME = "nixenv-relayed"


@pytest.fixture(scope="module", autouse=True)
def kernelspec(engine_home, tmp_path_factory):
    """A kernelspec without a provisioner, whose kernels learn late which notebook they are of."""
    place = tmp_path_factory.mktemp("relayed")
    engine_home.notebook(place / "the folder" / "a.ipynb")
    entering = 'cd "$0" && exec "$@"'
    argv = [
        "sh",
        "-c",
        entering,
        str(place / "the folder"),
        sys.executable,
        "-m",
        "nixenv.bootstrap",
    ]
    spec = {
        "argv": [*argv, "-f", "{connection_file}"],
        "display_name": NAME,
        "language": "python",
        "metadata": {"debugger": True},
    }
    folder = place / "jupyter" / "kernels" / NAME
    folder.mkdir(parents=True)
    (folder / "kernel.json").write_text(json.dumps(spec))
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update({**engine_home.process_env, "JUPYTER_PATH": str(place / "jupyter")})
    yield
    os.environ.clear()
    os.environ.update(before)


class TestRelayedKernelMessages(direct.TestKernelMessages):
    """Every message of the suite, with a second process in between."""

    kernel_name = NAME

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # The first cell tells that nobody will say which notebook it is; the tests want the kernel itself.
        cls.kc.execute_interactive("1", timeout=60, output_hook=lambda _: None)

    def test_kernel_is_behind_the_bootstrap(self):
        process = self.km.provisioner.process
        assert "nixenv.bootstrap" in Path(f"/proc/{process.pid}/cmdline").read_text()
        (kernel,) = children_of(process.pid)
        assert "launcher.py" in Path(f"/proc/{kernel}/cmdline").read_text()
