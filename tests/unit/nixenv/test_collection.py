"""What `gc` drops."""

from pathlib import Path

import pytest

from nixenv.collection import GRACE, Rooted, judge
from nixenv.environments import Use

NOW = 1_000_000_000.0
HERE, GONE = Path("/here.ipynb"), Path("/gone.ipynb")


def rooted(root="r", *, age=10 * GRACE, notebooks=(), is_there=True, is_running=False) -> Rooted:
    uses = tuple(Use(root, notebook, NOW - age) for notebook in notebooks)
    return Rooted(root, Path("/nix/store/x"), is_there, is_running, NOW - age, uses)


def dropped(*environments, older_than=None) -> list[bool]:
    verdicts = judge(environments, now=NOW, older_than=older_than, exists=lambda path: path == HERE)
    return [verdict.is_dropped for verdict in verdicts]


@pytest.mark.parametrize(
    ("environment", "older_than", "is_dropped"),
    [
        (rooted(notebooks=[HERE]), None, False),
        (rooted(notebooks=[GONE]), None, True),
        (rooted(notebooks=[GONE], age=10), None, True),
        (rooted(notebooks=[GONE, HERE]), None, False),
        (rooted(), None, True),
        (rooted(age=GRACE / 2), None, False),
        (rooted(notebooks=[HERE]), 20 * GRACE, False),
        (rooted(notebooks=[HERE]), 5 * GRACE, True),
        (rooted(notebooks=[GONE], is_running=True), 0.0, False),
        (rooted(is_there=False, age=0), None, True),
        (rooted(is_there=False, is_running=True), None, False),
    ],
    ids=[
        "used",
        "vanished",
        "vanished-lately",
        "one-of-two-vanished",
        "nobodys",
        "nobodys-lately",
        "young-enough",
        "too-old",
        "running",
        "dangling",
        "dangling-and-running",
    ],
)
def test_environment_is_dropped(environment, older_than, is_dropped):
    assert dropped(environment, older_than=older_than) == [is_dropped]


def test_environment_is_dropped_when_its_notebook_has_moved_on():
    old, new = (
        rooted("old", age=3 * GRACE, notebooks=[HERE]),
        rooted("new", age=10, notebooks=[HERE]),
    )
    assert dropped(old, new) == [True, False]


def test_environment_before_the_last_is_kept_for_a_day():
    old, new = (
        rooted("old", age=GRACE / 2, notebooks=[HERE]),
        rooted("new", age=10, notebooks=[HERE]),
    )
    assert dropped(old, new) == [False, False]
