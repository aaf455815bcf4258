"""Which environments nobody needs any more (pure): facts in, one verdict for each environment out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nixenv.environments import Use

GRACE = 86400.0
"""Seconds that an environment stays without a notebook that needs it: it may be one that is being tried,
the one before the last `add`, or that of a headless run that is still on its way."""


@dataclass(frozen=True, slots=True)
class Rooted:
    """One environment that a GC root keeps.

    Attributes:
        root: File name of its link.
        target: Where the link leads, on this machine's disk.
        is_there: Whether that exists.
        is_running: Whether a kernel or a shell runs in it.
        created: When the link was made; seconds since the epoch.
        uses: Notebooks that used it, and when.
    """

    root: str
    target: Path
    is_there: bool
    is_running: bool
    created: float
    uses: tuple[Use, ...] = ()

    @property
    def last_used(self) -> float:
        """The latest use, or the making; seconds since the epoch."""
        return max((self.created, *(use.last_used for use in self.uses)))


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of one environment, and why."""

    environment: Rooted
    is_dropped: bool
    reason: str


def judge(
    environments: Sequence[Rooted],
    *,
    now: float,
    older_than: float | None,
    exists: Callable[[Path], bool],
) -> tuple[Verdict, ...]:
    """A verdict for each of `environments`.

    Args:
        environments: All of them: which one a notebook uses now shows only beside the others.
        now: Seconds since the epoch.
        older_than: Also drop what was not used for so many seconds; None drops nothing for its age.
        exists: Whether a notebook's file is there.
    """
    current = _current_roots(environments)
    return tuple(_judge_one(one, current, now, older_than, exists) for one in environments)


def _current_roots(environments: Sequence[Rooted]) -> Mapping[Path, str]:
    """The environment that each notebook used last."""
    uses = sorted((use for one in environments for use in one.uses), key=lambda use: use.last_used)
    return {use.notebook: use.root for use in uses}


def _judge_one(
    one: Rooted,
    current: Mapping[Path, str],
    now: float,
    older_than: float | None,
    exists: Callable[[Path], bool],
) -> Verdict:
    age = now - one.last_used
    notebooks = [use.notebook for use in one.uses]
    present = [notebook for notebook in notebooks if exists(notebook)]
    users = [notebook for notebook in present if current[notebook] == one.root]
    # The first that holds decides; a running kernel before everything.
    rules = (
        (one.is_running, False, "a kernel or a shell runs in it"),
        (not one.is_there, True, "its store object is gone"),
        (age >= (math.inf if older_than is None else older_than), True, "long unused"),
        (bool(notebooks) and not present, True, f"{_last(notebooks)} is gone"),
        (age < GRACE, False, "used within a day"),
        (not notebooks, True, "no notebook is known to use it"),
        (not users, True, f"{_last(present)} has another environment now"),
        (True, False, f"{_last(users)} uses it"),
    )
    is_dropped, reason = next((dropped, why) for holds, dropped, why in rules if holds)
    return Verdict(one, is_dropped, reason)


def _last(notebooks: Sequence[Path]) -> str:
    return f"`{notebooks[-1]}`" if notebooks else ""
