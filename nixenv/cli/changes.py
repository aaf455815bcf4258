"""What differs between two locks (pure)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from nixlib.lock import Lock


@dataclass(frozen=True, slots=True)
class Changes:
    """Packages that came, went, or have another version; each in the order of names.

    A package can have several versions in one lock, each on other systems; they are shown together.

    Attributes:
        added: Name and version.
        removed: Name and version.
        changed: Name, version before and version after.
        private: The same for each private group in which something is different, by its name.
        modes: How each of those groups runs.
    """

    added: tuple[tuple[str, str], ...] = ()
    removed: tuple[tuple[str, str], ...] = ()
    changed: tuple[tuple[str, str, str], ...] = ()
    private: Mapping[str, Changes] = field(default_factory=dict)
    modes: Mapping[str, str] = field(default_factory=dict)

    @property
    def present(self) -> frozenset[str]:
        """Names of the packages that came or have another version."""
        return frozenset(name for name, *_ in (*self.added, *self.changed))

    def to_json(self) -> dict[str, Any]:
        """The three lists as JSON objects, and those of the groups."""
        private = [
            {"group": name, "mode": self.modes[name], **changes.own()}
            for name, changes in self.private.items()
        ]
        return {**self.own(), "private": private}

    def own(self) -> dict[str, Any]:
        """The three lists as JSON objects."""
        return {
            "added": [{"name": name, "version": version} for name, version in self.added],
            "removed": [{"name": name, "version": version} for name, version in self.removed],
            "changed": [
                {"name": name, "from": before, "to": after} for name, before, after in self.changed
            ],
        }

    def lines(self) -> tuple[str, ...]:
        """One line per difference: `+ name version`, `- name version`, `~ name old → new`.

        Those of a group stand behind the others: `+ old: name version`.
        """
        groups = (
            f"{line[:2]}{name}: {line[2:]}"
            for name, changes in self.private.items()
            for line in changes.lines()
        )
        every = [
            *((name, f"+ {name} {version}") for name, version in self.added),
            *((name, f"- {name} {version}") for name, version in self.removed),
            *((name, f"~ {name} {before} → {after}") for name, before, after in self.changed),
        ]
        return (*(line for _, line in sorted(every)), *groups)


NO_CHANGES = Changes()


def changes_between(before: Lock | None, after: Lock | None) -> Changes:
    """What has to happen to get from one lock to the other; no lock has no packages."""
    if before == after:
        return NO_CHANGES
    found = _versions(before), _versions(after)
    both = found[0].keys() | found[1].keys()
    for name in _other_sources(before, after):
        found[1][name] += " (another source)"
    old, new = ({_shown(key, both): text for key, text in one.items()} for one in found)
    private, modes = _in_groups(before, after)
    return replace(_compared(old, new), private=private, modes=modes)


def _compared(old: Mapping[str, str], new: Mapping[str, str]) -> Changes:
    return Changes(
        added=tuple((name, new[name]) for name in sorted(new.keys() - old.keys())),
        removed=tuple((name, old[name]) for name in sorted(old.keys() - new.keys())),
        changed=tuple(
            (name, old[name], new[name])
            for name in sorted(old.keys() & new.keys())
            if old[name] != new[name]
        ),
    )


def _in_groups(
    before: Lock | None, after: Lock | None
) -> tuple[dict[str, Changes], dict[str, str]]:
    """What differs in private groups, and how each of those runs."""
    if not any(lock and lock.private for lock in (before, after)):
        return {}, {}
    from nixenv.cli.group_members import group_members, versions_in  # noqa: PLC0415 - few notebooks have any

    old, new = (
        {group.name: group for group in group_members(lock)} if lock else {}
        for lock in (before, after)
    )
    groups = {**old, **new}
    found = {}
    for name in sorted(groups):
        sides = versions_in(old.get(name)), versions_in(new.get(name))
        own = {one.name for side in (old, new) if name in side for one in side[name].own}
        kept = ({k: v for k, v in side.items() if k in own or k == "python"} for side in sides)
        changes = _compared(*kept)
        if changes != NO_CHANGES:
            found[name] = changes
    return found, {name: groups[name].mode for name in found}


def _versions(lock: Lock | None) -> dict[str, str]:
    from nixenv.cli.members import members  # noqa: PLC0415 - a cache hit must not load it

    found: dict[str, list[str]] = {}
    for member in members(lock) if lock else ():
        found.setdefault(member.key, []).append(member.full_version)
    return {key: ", ".join(sorted(set(versions))) for key, versions in found.items()}


def _other_sources(before: Lock | None, after: Lock | None) -> tuple[str, ...]:
    """Packages whose folder or commit is another one, though their version may be the same."""
    old, new = (
        {
            package.name: package.source.commit or package.source.tree
            for package in (lock.packages if lock else ())
            if package.source
        }
        for lock in (before, after)
    )
    return tuple(name for name in new if old.get(name, new[name]) != new[name])


def _shown(key: str, every: Collection[str]) -> str:
    """The name; where a package of conda is called as one of PyPI, with what tells them apart."""
    name = key.removeprefix("conda:")
    return f"{name} (conda)" if name != key and name in every else name


def held_lines(lock: Lock, names: Collection[str] | None = None) -> tuple[str, ...]:
    """`numpy 1.23.5, held to 2023-03: pandas 1.5.0 is of 2022-09`, one per held package of the notebook.

    Args:
        lock: Where they are.
        names: Only of these packages; None for all.
    """
    return tuple(
        package.held
        for package in sorted(lock.packages)
        if package.held and (names is None or package.name in names)
    )


def held_in_groups(lock: Lock, changes: Changes | None = None) -> tuple[str, ...]:
    """The same for packages of private groups: `old: numpy 1.23.5, held …`.

    Args:
        lock: Where they are.
        changes: Only of packages that are new or moved there; None for all.
    """
    return tuple(
        f"{group.name}: {line}"
        for group in lock.private
        for line in held_lines(
            group.process or replace(lock, packages=group.packages),
            changes.private.get(group.name, NO_CHANGES).present if changes else None,
        )
    )
