from __future__ import annotations

import pytest
from IPython.testing.globalipapp import start_ipython

from nixenv.kernel.failure import KernelSideError, engine_failure


def test_error_is_shown_without_traceback(capsys):
    error = KernelSideError(
        "LockError", "the lock is stale\n  it answers another spec", hint="%nixenv lock"
    )
    shell = start_ipython()
    shell.user_ns["error"] = error
    result = shell.run_cell("raise error")
    assert type(result.error_in_exec).__name__ == "LockError"
    assert capsys.readouterr().out == (
        "LockError: the lock is stale\n  it answers another spec\n\nhint: %nixenv lock\n"
    )


@pytest.mark.parametrize(
    ("error", "rendered"),
    [
        ({"message": "m", "hint": "h"}, "m\n\nhint: h"),
        (
            {"message": "`a.ipynb` m", "notebook": "/x/a.ipynb", "key": "k"},
            "`a.ipynb` m\n  key `k`",
        ),
        (
            {"message": "m", "notebook": "/x/a.ipynb", "key": "k"},
            "m\n  notebook `/x/a.ipynb`, key `k`",
        ),
        ({"message": "m", "hint": '`nixenv lock "/x/a b.ipynb"`'}, "m\n\nhint: `%nixenv lock`"),
        (
            {"message": "m", "hint": '`nixenv init "/x/a b.ipynb" pandas`'},
            "m\n\nhint: `%nixenv add pandas`",
        ),
        ({"message": "m", "requirement": "six>9"}, "m\n  requirement `six>9`"),
        ({"message": "m `six>9`", "requirement": "six>9"}, "m `six>9`"),
        ({"message": "m", "hint": "`nixenv list` shows x"}, "m\n\nhint: `%nixenv list` shows x"),
        ({"message": "m", "hint": "`nixenv doctor`"}, "m\n\nhint: `nixenv doctor`"),
        ({}, "the engine failed without saying why"),
        ({"message": None, "type": 3}, "the engine failed without saying why"),
    ],
)
def test_engine_failure_renders_what_is_known(error, rendered):
    assert engine_failure(error).render() == rendered
