"""What a start has to say, in IPython's own shell."""

import pytest
from IPython.core.interactiveshell import ExecutionInfo, InteractiveShell
from IPython.testing.globalipapp import start_ipython

import nixenv.kernel as kernel_side
from nixenv.kernel import launched


@pytest.fixture
def shell():
    start_ipython()
    shell = InteractiveShell.instance()
    before = list(launched._variables)
    yield shell
    kernel_side.unload_ipython_extension(shell)
    launched._variables[:] = before


def begin(shell, *, store_history):
    """A cell that begins; not run, for the testing shell cannot write its history."""
    info = ExecutionInfo("1", store_history, False, True, None)
    shell.events.trigger("pre_run_cell", info)


def test_remarks_come_once_before_the_first_cell_that_is_kept(shell, capsys):
    kernel_side.start_session({"NIXENV_REMARKS": "no GPU here\nand an old glibc"})
    kernel_side.load_ipython_extension(shell)
    begin(shell, store_history=False)
    assert capsys.readouterr().err == ""
    begin(shell, store_history=True)
    assert capsys.readouterr().err == "nixenv: no GPU here\nnixenv: and an old glibc\n"
    begin(shell, store_history=True)
    assert capsys.readouterr().err == ""
