import pytest

from nixlib.cancel import Cancel
from nixlib.errors import InterpreterError, RealisationCancelledError


def test_check_passes_until_somebody_asks():
    cancel = Cancel()
    cancel.check()
    cancel.set()
    with pytest.raises(RealisationCancelledError):
        cancel.check()


def test_first_reason_is_what_everybody_gets():
    cancel = Cancel()
    cancel.set(InterpreterError("no such Python"))
    cancel.set(InterpreterError("too late"))
    with pytest.raises(InterpreterError, match="no such Python"):
        cancel.wait(10)
