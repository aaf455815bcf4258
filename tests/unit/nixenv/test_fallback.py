from __future__ import annotations

import pickle

import pytest

from nixenv.errors import EngineError
from nixenv.server.fallback import completions, split_cell
from nixenv.server.reason import load_reason, reason_of
from nixlib.errors import ResolutionError

CELLS = {
    "%nixenv add pandas": (("add pandas",), False),
    "  %nixenv   status  \n\n# done": (("status",), False),
    "%load_ext nixenv\n%nixenv add a\n%nixenv remove b": (("add a", "remove b"), False),
    "%nixenv": (("",), False),
    "import pandas": ((), True),
    "%nixenv add pandas\nimport pandas": (("add pandas",), True),
    "%nixenvironment": ((), True),
    "!pip install x": ((), True),
    "": ((), False),
}


@pytest.mark.parametrize(("cell", "expected"), CELLS.items(), ids=CELLS)
def test_cell_is_split_into_verbs_and_a_rest(cell, expected):
    assert split_cell(cell) == expected


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ("%ni", ("%ni", ["%nixenv"])),
        ("%nixenv ", ("", ["add", "list", "lock", "remove", "status", "sync", "tree"])),
        ("%nixenv l", ("l", ["list", "lock"])),
        ("%nixenv lock --up", ("--up", ["--upgrade"])),
        ("%nixenv nonsense ", ("", [])),
        ("pand", ("pand", [])),
        ("", ("", [])),
    ],
)
def test_completion_knows_the_verbs_and_nothing_else(before, expected):
    assert completions(before) == expected


def test_reason_survives_its_file(tmp_path):
    reason = reason_of(
        ResolutionError("cannot resolve `a.ipynb`", hint="`%nixenv remove x`" * 50_000)
    )
    path = reason.save()
    try:
        assert load_reason(path) == reason
        assert path.stat().st_mode & 0o077 == 0
    finally:
        path.unlink()


def test_reason_of_an_engine_error_has_the_name_of_the_engines_class():
    error = pickle.loads(pickle.dumps(EngineError("no version of x", type="ResolutionError")))

    assert reason_of(error).kind == "ResolutionError"
    assert reason_of(error).text == "no version of x"


def test_reason_of_anything_else_says_that_it_is_a_bug():
    reason = reason_of(KeyError("lock"))

    assert reason.kind == "Bug"
    assert reason.text.startswith("this is a bug in nixenv")


def test_reason_of_a_full_disk_names_the_file():
    assert reason_of(OSError(28, "No space left on device", "/x")).text.startswith(
        "cannot use `/x`: no space left on device"
    )
