"""The private groups of a plan, and whether a lock has those that its spec asks for (pure).

A lock may come from anybody. What it says of a group decides which code a notebook runs under which
name, so each claim is held against the rules before anything is downloaded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nixlib.errors import PrivateGroupError
from nixlib.lock import Lock, LockedGroup, LockedPackage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nixlib.plan.leaf import Leaf
    from nixlib.plan.planning import Plan
    from nixlib.spec import PrivateGroup, Spec


@dataclass(frozen=True)
class PlannedGroup:
    """One group of private dependencies, on one machine.

    Attributes:
        locked: The same as the lock has it.
        leaves: Wheels of its own packages, sorted by name.
        sources: Its own packages whose wheels are built.
        process: For a group with a process of its own: the plan of that process's environment.
    """

    locked: LockedGroup
    leaves: tuple[Leaf, ...] = ()
    sources: tuple[LockedPackage, ...] = ()
    process: Plan | None = None

    @property
    def name(self) -> str:
        """The spec's name of it."""
        return self.locked.name


def check_groups(lock: Lock, spec: Spec) -> tuple[tuple[PrivateGroup, LockedGroup], ...]:
    """Each group of the lock with what the spec asks for, in the lock's order.

    Raises:
        PrivateGroupError: They are not of the same groups.
    """
    asked = {group.name: group for group in spec.private}
    locked = {group.name: group for group in lock.private}
    for name in sorted({*asked, *locked}):
        reasons = _differences(spec, asked.get(name), locked.get(name))
        if reasons:
            raise _refused(name, reasons)
    return tuple((asked[group.name], group) for group in lock.private)


def _differences(
    spec: Spec, asked: PrivateGroup | None, locked: LockedGroup | None
) -> tuple[str, ...]:
    """Why what is locked is no answer to what is asked."""
    if asked is None or locked is None:
        return ("the lock does not have it" if asked else "the spec does not ask for it",)
    if asked.is_process != (locked.process is not None):
        where = "in a process of its own" if locked.process else "in the notebook's process"
        return (f"the lock has it {where}, and `mode` is `{asked.mode}`",)
    if asked.package != locked.package:
        return (f"the lock has it for `{locked.package}`, and `for` is `{asked.package}`",)
    if locked.process and locked.process.spec != spec.of_process(asked).digest:
        return ("the lock of its process answers other requirements",)
    if locked.process and (locked.packages or locked.shared or locked.lent):
        return ("the lock gives it packages both of its own process and of the notebook's",)
    return ()


def check_group(lock: Lock, group: LockedGroup) -> None:
    """Nothing, if what the lock claims of `group` keeps to the rules.

    Raises:
        PrivateGroupError: It does not.
    """
    from nixlib.private.faults import faults  # noqa: PLC0415 - a lock without groups must not load it

    edited = [
        f"`{package.name}` is a folder to be edited in place, which only the notebook's own packages can be"
        for package in group.packages
        if package.source and package.source.kind == "editable"
    ]
    reasons = (*edited, *faults(lock, group))
    if reasons:
        raise _refused(group.name, reasons)


def _refused(name: str, reasons: Sequence[str]) -> PrivateGroupError:
    return PrivateGroupError(
        f"the lock cannot be used: private group `{name}` is not what it must be",
        details=tuple(reasons),
        hint="`%nixenv lock` makes a new one",
        group=name,
        packages=(),
        reasons=tuple(reasons),
    )
