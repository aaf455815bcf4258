"""Which Python the key `python` means."""

import pytest

from nixlib.errors import InterpreterError
from nixlib.interpreters.python_request import by_preference, is_allowed, nearest

AT_HAND = ["3.8.18", "3.10.13", "3.11.2", "3.11.7", "3.12.1", "3.13.0", "3.14.0rc1"]


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ("3.11", ["3.11.7", "3.11.2"]),
        ("3.11.2", ["3.11.2"]),
        ("3.1", []),
        ("3.14", []),
        ("3.14.0rc1", ["3.14.0rc1"]),
        (">=3.10,<3.13", ["3.12.1", "3.11.7", "3.11.2", "3.10.13"]),
        ("==3.11.*", ["3.11.7", "3.11.2"]),
        ("~=3.11.3", ["3.11.7"]),
        ("!=3.13.*,>3.11", ["3.12.1", "3.11.7", "3.11.2"]),
        (None, ["3.10.13", "3.13.0", "3.12.1", "3.11.7", "3.11.2", "3.8.18"]),
    ],
)
def test_by_preference_lists_the_allowed_best_first(request_, expected):
    assert by_preference(request_, AT_HAND, usual="3.10") == expected


def test_is_allowed_refuses_what_is_no_version():
    with pytest.raises(InterpreterError) as error:
        is_allowed("newest", "3.11.7")

    assert error.value.fields["wanted"] == "newest"


@pytest.mark.parametrize(
    ("version", "expected"),
    [("3.11.6", "3.11.7"), ("3.11.4", "3.11.2"), ("3.9.1", "3.10.13"), ("3.15.0", "3.14.0rc1")],
)
def test_nearest_prefers_the_same_minor_then_the_later(version, expected):
    assert nearest(version, AT_HAND) == expected


def test_nearest_of_nothing_is_nothing():
    assert nearest("3.11.7", []) is None
