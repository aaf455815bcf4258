"""Why a group cannot be, in the group's own words."""

import pytest

from nixlib.errors import RequirementError, ResolutionError, SourceBuildError
from nixlib.locking.groups.refusals import (
    build_in_words_of,
    in_words_of,
    line_refused,
    process_hint,
)
from nixlib.spec import PrivateGroup

OLD = PrivateGroup("old", ("pandas==1.0",))


def told(summary, *, details=(), hint="", group=OLD, once="", **fields):
    error = ResolutionError(summary, details=details, hint=hint, **fields)
    return in_words_of(error, group, group.requirements, "n.ipynb", once=once)


def test_lines_are_told_without_the_numbers_that_are_the_notebooks():
    found = told(
        "cannot resolve `n.ipynb`: requirement 2 `a==1` does not fit together with requirement 1 `b`"
    )
    assert found.summary == (
        "private group `old` of `n.ipynb`: `a==1` does not fit together with `b`"
    )
    assert (found.group, found.hint) == ("old", "")


def test_singleton_has_its_reason_and_the_way_out():
    found = told(
        "cannot resolve `n.ipynb`: requirement 1 `a`: it needs `numpy<2`, and the notebook brings `numpy 2`",
        details=("Because there is no version of numpy<2 and this notebook depends on a",),
        provided="numpy",
        once="it is so",
    )
    assert found.reasons == (
        "a process can hold only one `numpy`: it is so",
        "Because the notebook has no numpy<2 and the group depends on a",
    )
    assert found.packages == ("numpy",)
    assert found.hint == (
        '`"private": {"old": {"requirements": ["pandas==1.0"], "mode": "process"}}` gives it a process of its'
        ' own: `%nixenv add --private old --process "pandas==1.0"`'
    )


def test_process_has_no_way_out_into_a_process():
    group = PrivateGroup("old", ("a",), mode="process")
    found = told("cannot resolve `n.ipynb`: nothing", group=group, python=">=3.12", hint="other")
    assert found.hint == "other"


@pytest.mark.parametrize(
    ("fields", "python"),
    [
        ({"python": ">=3.12"}, "3.13"),
        ({"python": ">=3.7, <3.10,"}, "3.9"),
        ({"python": "?"}, ""),
        ({"python": ">=3.99"}, ""),
        ({"details": ("it has wheels for Python 3.7, 3.8 on Linux x86_64",)}, "3.8"),
        (
            {"details": ("it has wheels for Python 3.8 on Linux x86_64; Python 3.9 on Windows",)},
            "3.8",
        ),
        ({"details": ("it has wheels for Python 3.9 on macOS arm64",)}, ""),
        ({"details": ("it has wheels for Python 2.7, 3.5 on Linux x86_64",)}, ""),
        ({"details": ("the index has 1.0",)}, ""),
    ],
)
def test_other_python_is_offered_where_it_would_do(fields, python):
    found = told("cannot resolve `n.ipynb`: requirement 1 `a`: no", **fields)
    assert (f'"python": "{python}"' in found.hint) == bool(python)
    assert bool(found.hint) == bool(python)


def test_failed_build_offers_a_python_that_everything_has_wheels_for():
    error = SourceBuildError(
        "`a` cannot be built",
        details=(
            "`a 1` has wheels for Python 3.7, 3.8, 3.9 on Linux x86_64",
            "`b 1` has wheels for Python 3.8 on Linux x86_64",
        ),
        hint="something else",
        package="a",
    )
    found = build_in_words_of(error, OLD, OLD.requirements)
    assert found.summary == "private group `old`: `a` cannot be built"
    assert '"python": "3.8"' in found.hint
    assert found.package == "a"
    error.details = ()
    assert build_in_words_of(error, OLD, OLD.requirements).hint == "something else"


def test_line_has_its_place_in_the_group():
    error = RequirementError("requirement 2 `x y` is bad", key="nixenv.requirements[1]")
    found = line_refused(error, OLD)
    assert found.summary == "private group `old`: `x y` is bad"
    assert found.key == "nixenv.private.old.requirements[1]"


def test_hint_shows_no_secrets():
    hint = process_hint(OLD, ["a @ https://me:secret@host/a-1-py3-none-any.whl"])
    assert "secret" not in hint
    assert "https://host/a-1-py3-none-any.whl" in hint
