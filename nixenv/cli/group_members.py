"""What each group of private dependencies has: packages of its own, and those of others that it uses (pure)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from nixenv.cli.members import Member, asked_for, members
from nixlib.lock import Lock, LockedConda
from nixlib.lock.private import LockedGroup
from nixlib.requirements.refusal import public_line
from nixlib.spec import PrivateGroup
from nixlib.spec.private import IMPORT, PROCESS

NOTEBOOK = "the notebook"
"""Whose a shared package is."""


@dataclass(frozen=True)
class GroupMembers:
    """One group of a lock, on one system or on all.

    Attributes:
        locked: The group.
        own: What only it has, by name.
        used: What it uses of the notebook or of an earlier group, each with its `lender`; by name.
    """

    locked: LockedGroup
    own: tuple[Member, ...]
    used: tuple[Member, ...] = ()

    @property
    def name(self) -> str:
        """As in `nixenv.private.<name>`."""
        return self.locked.name

    @property
    def mode(self) -> str:
        """`import`, or `process`."""
        return PROCESS if self.locked.process else IMPORT

    @property
    def python(self) -> str | None:
        """The Python of its process; None where it has the notebook's."""
        return self.locked.process.interpreter.version if self.locked.process else None

    @property
    def present(self) -> dict[str, Member]:
        """Every package that it can import, by the key that others need it by."""
        return {**{one.key: one for one in self.own}, **{one.name: one for one in self.used}}

    def roots(self, group: PrivateGroup | None) -> dict[str, str]:
        """The key of what answers each of its lines, and the package that it is for: `key → line`."""
        present, package = self.present, self.locked.package
        keys = {member.key: key for key, member in present.items()}
        found = asked_for(group.requirements if group else (), tuple(present.values()))
        lines = {keys[key]: line for key, line in found.items()}
        return {**({package: package} if package in present else {}), **lines}

    def to_json(self) -> dict[str, Any]:
        """Which group it is, for the JSON of every verb."""
        return {"group": self.name, "mode": self.mode}


def group_members(lock: Lock, system: str | None = None) -> tuple[GroupMembers, ...]:
    """The groups of a lock, in its order, with what `system` gets, or what all its systems do."""
    public = {name: one for one in members(lock, system) for name in _names(one)}
    groups: dict[str, GroupMembers] = {}
    for locked in lock.private:
        if locked.process:
            groups[locked.name] = GroupMembers(locked, members(locked.process, system))
            continue
        own = members(
            replace(lock, packages=locked.packages, conda=LockedConda(), attributes=()), system
        )
        used = [_lent(public[name], NOTEBOOK) for name in locked.shared if name in public]
        for name, lender in locked.lent.items():
            lent = groups[lender].present if lender in groups else {}
            used += [_lent(lent[name], lender)] if name in lent else []
        groups[locked.name] = GroupMembers(
            locked, own, tuple(sorted(used, key=lambda one: one.name))
        )
    return tuple(groups.values())


def _names(member: Member) -> tuple[str, ...]:
    """What PyPI calls it."""
    return tuple(filter(None, [member.provides if member.kind == "conda" else member.name]))


def _lent(member: Member, lender: str) -> Member:
    """A package as a group sees it that only uses it: what it needs is its lender's matter."""
    name = member.provides or member.name
    return replace(member, name=name, requires=(), lender=lender)


def hoisted(present: Mapping[str, Member], groups: Sequence[GroupMembers]) -> dict[str, str]:
    """The notebook's packages that it has for a group only, each with that group: a process holds one of each."""
    found: dict[str, str] = {}
    for group in groups:
        for name in group.locked.hoisted:
            if name in present:
                found.setdefault(name, group.name)
    return found


def tops(brought: Collection[str], present: Mapping[str, Member]) -> tuple[str, ...]:
    """Those of `brought` that none of the others needs."""
    needed = {name for key in brought for name in present[key].requires}
    return tuple(key for key in brought if key not in needed)


def described(group: PrivateGroup) -> str:
    """What a group is asked to be, in a line: `legacy: pydantic<2 (process, Python 3.8)`."""
    words = [f"for {group.package}"] if group.package else []
    words += [public_line(line) for line in group.requirements]
    extra = [group.mode] if group.is_process else []
    extra += [f"Python {group.python}"] if group.python else []
    extra += [f"the notebook's {name}" for name in group.singleton]
    said = f"{group.name}: {', '.join(words)}"
    return f"{said} ({', '.join(extra)})" if extra else said


def group_of(groups: Sequence[PrivateGroup], name: str) -> PrivateGroup | None:
    """The group of that name."""
    return next((group for group in groups if group.name == name), None)


def versions_in(group: GroupMembers | None) -> Mapping[str, str]:
    """The version of each package that a group can import; of one that it only uses, whose it is."""
    if group is None:
        return {}
    found: dict[str, list[str]] = {"python": [group.python]} if group.python else {}
    for one in group.own:
        found.setdefault(one.key.removeprefix("conda:"), []).append(one.full_version)
    shown = {name: ", ".join(sorted(set(versions))) for name, versions in found.items()}
    return {**shown, **{one.name: f"{one.lender}'s" for one in group.used}}
