"""Errors as failures with exit codes."""

import errno

import pytest

import nixenv.errors
import nixlib.errors
from nixenv.cli.failure import bug_failure, failure_of
from nixenv.cli.parser import EXIT_CODES
from nixlib.errors import NixError


def every_error() -> list[type[NixError]]:
    found = [NixError]
    for kind in found:
        found += kind.__subclasses__()
    return found


@pytest.mark.parametrize("kind", every_error(), ids=lambda kind: kind.__name__)
def test_every_error_has_a_documented_exit_code_that_is_no_bug(kind):
    failure = failure_of(kind("cannot do it"))
    assert failure.exit_code in EXIT_CODES
    assert failure.exit_code > 1
    assert failure.type == kind.__name__


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (nixlib.errors.SpecError, 2),
        (nixenv.errors.MetadataError, 2),
        (nixlib.errors.CollisionError, 2),
        (nixlib.errors.ResolutionError, 3),
        (nixlib.errors.PrivateGroupError, 3),
        (nixlib.errors.PlanError, 3),
        (nixlib.errors.DaemonUnavailableError, 4),
        (nixlib.errors.NetworkError, 5),
        (nixlib.errors.RealisationCancelledError, 130),
    ],
)
def test_exit_codes_are_those_of_the_contract(kind, code):
    assert failure_of(kind("x")).exit_code == code


def test_json_has_the_evidence_in_the_message_and_the_hint_apart():
    error = nixlib.errors.SpecError(
        "bad", details=("found 3",), hint="do this", key="nixenv.python"
    )
    told = failure_of(error).to_json()
    assert told["message"] == "bad\n  found 3"
    assert (told["hint"], told["key"], told["type"]) == ("do this", "nixenv.python", "SpecError")


def test_a_full_disk_is_nixs_code_and_names_the_file():
    failure = failure_of(OSError(errno.ENOSPC, "No space left on device", "/state/x"))
    assert failure.exit_code == 4
    assert failure.message == "cannot use `/state/x`: no space left on device"
    assert "make room" in failure.hint


def test_a_bug_says_that_it_is_one():
    failure = bug_failure(KeyError("lock"), None)
    assert failure.exit_code == 1
    assert "bug in nixenv" in failure.message


def test_what_a_terminal_would_obey_is_written_as_an_escape():
    error = nixlib.errors.SpecError("bad \x1b[31mred ✓", details=("a\x07b\nc\x9b",), notebook="n")
    assert failure_of(error).message == r"bad \x1b[31mred ✓"
    assert failure_of(error).details == (r"a\x07b", r"c\x9b")


def test_hint_is_a_command_in_a_terminal_and_a_magic_in_a_cell():
    error = NixError("cannot", hint="`%nixenv add scikit-learn`", notebook="/home/ana/a.ipynb")
    assert (
        failure_of(error).render().endswith('hint: `nixenv add "/home/ana/a.ipynb" scikit-learn`')
    )
    assert failure_of(error).to_json()["hint"] == "`%nixenv add scikit-learn`"
