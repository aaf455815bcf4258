"""What differs between two locks (pure)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from nixlib.lock import Lock, LockedPackage


@dataclass(frozen=True, slots=True)
class Changes:
    """Packages that came, went, or have another version; each in the order of names.

    A package can have several versions in one lock, each on other systems; they are shown together.
    """

    added: tuple[tuple[str, str], ...] = ()
    removed: tuple[tuple[str, str], ...] = ()
    changed: tuple[tuple[str, str, str], ...] = ()

    @property
    def present(self) -> frozenset[str]:
        """Names of the packages that came or have another version."""
        return frozenset(name for name, *_ in (*self.added, *self.changed))

    def to_json(self) -> dict[str, Any]:
        """The three lists as JSON objects."""
        return {
            "added": [{"name": name, "version": version} for name, version in self.added],
            "removed": [{"name": name, "version": version} for name, version in self.removed],
            "changed": [
                {"name": name, "from": before, "to": after} for name, before, after in self.changed
            ],
        }

    def lines(self) -> tuple[str, ...]:
        """One line per difference: `+ name version`, `- name version`, `~ name old → new`."""
        every = [
            *((name, f"+ {name} {version}") for name, version in self.added),
            *((name, f"- {name} {version}") for name, version in self.removed),
            *((name, f"~ {name} {before} → {after}") for name, before, after in self.changed),
        ]
        return tuple(line for _, line in sorted(every))


NO_CHANGES = Changes()


def changes_between(before: Lock | None, after: Lock | None) -> Changes:
    """What has to happen to get from one lock to the other; no lock has no packages."""
    old, new = _versions(before), _versions(after)
    return Changes(
        added=tuple((name, new[name]) for name in sorted(new.keys() - old.keys())),
        removed=tuple((name, old[name]) for name in sorted(old.keys() - new.keys())),
        changed=tuple(
            (name, old[name], new[name])
            for name in sorted(old.keys() & new.keys())
            if old[name] != new[name]
        ),
    )


def _versions(lock: Lock | None) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    for package in lock.packages if lock else ():
        found.setdefault(package.name, []).append(package.version)
    return {name: ", ".join(sorted(set(versions))) for name, versions in found.items()}


def packages_here(lock: Lock, system: str) -> tuple[LockedPackage, ...]:
    """The packages that `system` gets, by name."""
    here = (
        package for package in lock.packages if not package.systems or system in package.systems
    )
    return tuple(sorted(here))


def held_lines(lock: Lock, names: Collection[str] | None = None) -> tuple[str, ...]:
    """`numpy 1.23.5, held to 2023-03: pandas 1.5.0 is of 2022-09`, one per held package.

    Args:
        lock: Where they are.
        names: Only of these packages; None for all.
    """
    return tuple(
        package.held
        for package in sorted(lock.packages)
        if package.held and (names is None or package.name in names)
    )
