"""Which environments nobody needs any more (pure): facts in, one verdict for each environment out."""

from __future__ import annotations

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
    if one.is_running:
        return Verdict(one, is_dropped=False, reason="a kernel or a shell runs in it")
    if not one.is_there:
        return Verdict(one, is_dropped=True, reason="its store object is gone")
    age = now - one.last_used
    if older_than is not None and age >= older_than:
        return Verdict(one, is_dropped=True, reason="long unused")
    notebooks = [use.notebook for use in one.uses]
    present = [notebook for notebook in notebooks if exists(notebook)]
    if notebooks and not present:
        return Verdict(one, is_dropped=True, reason=f"`{notebooks[-1]}` is gone")
    if age < GRACE:
        return Verdict(one, is_dropped=False, reason="used within a day")
    if not notebooks:
        return Verdict(one, is_dropped=True, reason="no notebook is known to use it")
    users = [notebook for notebook in present if current[notebook] == one.root]
    if not users:
        reason = f"`{present[-1]}` has another environment now"
        return Verdict(one, is_dropped=True, reason=reason)
    return Verdict(one, is_dropped=False, reason=f"`{users[-1]}` uses it")
