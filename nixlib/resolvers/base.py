"""What every resolver takes and gives: one request in, locked packages out.

A resolver for another ecosystem is one more module that implements `Resolver`; nothing else of the
engine knows which one made a lock.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

from nixlib.lock import Lock, LockedPackage

__all__ = ["Request", "Resolution", "Resolver"]


@dataclass(frozen=True)
class Request:
    """Everything that decides a resolution, apart from the registry's state.

    Attributes:
        requirements: The notebook's own PEP 508 lines, in its order.
        python: The full version of the interpreter, `3.11.7`.
        systems: Nix systems to lock for; the running one is decided first where it is among them.
        kernel: Requirements of the kernel itself; exempt from `exclude_newer` and from holding.
        indexes: Simple repository URLs that the notebook names, asked before the user's own.
        exclude_newer: A date or RFC 3339 time; nothing uploaded later is chosen.
        era: Whether dependencies of old pins are held to their own time.
        preferences: Versions of the previous lock by name, kept where they still fit.
        elsewhere: The same by system, for systems on which the previous lock had another version.
        previous: A lock that answers everything here but the lines `added`; None when there is none.
        added: The requirements, last of all, that are new since then.
        upgrade: Names whose preference is forgotten, or `all`.
        notebook: What the notebook is called in messages.
    """

    requirements: tuple[str, ...]
    python: str
    systems: tuple[str, ...]
    kernel: tuple[str, ...] = ()
    indexes: tuple[str, ...] = ()
    exclude_newer: str | None = None
    era: bool = True
    preferences: Mapping[str, str] = field(default_factory=dict)
    elsewhere: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    previous: Lock | None = None
    added: tuple[str, ...] = ()
    upgrade: frozenset[str] | Literal["all"] = frozenset()
    notebook: str = ""

    def preferring(self, packages: Iterable[LockedPackage]) -> Request:
        """The same request, keeping the versions of a previous lock wherever they still fit."""
        common: dict[str, str] = {}
        by_system: dict[str, dict[str, str]] = {}
        for package in packages:
            if not package.systems:
                common[package.name] = package.version
            for system in package.systems:
                by_system.setdefault(system, {})[package.name] = package.version
        return replace(self, preferences=common, elsewhere=by_system)


@dataclass(frozen=True)
class Resolution:
    """The answer: packages sorted by name, and what the author should know about the choice.

    `systems` may be fewer than were asked for; `notes` then says which package has no wheel there.
    """

    packages: tuple[LockedPackage, ...]
    systems: tuple[str, ...]
    notes: tuple[str, ...] = ()


class Resolver(Protocol):
    """One ecosystem's way from requirements to locked packages."""

    def resolve(self, request: Request) -> Resolution:
        """Choose one version of everything that `request` needs.

        Raises:
            ResolutionError: Nothing fits; the first line names the notebook's own requirement.
            NetworkError: The registry did not answer; nobody's requirement is at fault.
            RealisationCancelledError: The user stopped it.
        """
        ...
