"""What the resolver of Python indexes takes and gives: one request in, locked packages out.

Conda and nixpkgs have their own (`nixlib.resolvers.conda`, `nixlib.resolvers.nixpkgs`): what they are asked, and
what a lock keeps of their answers, is too different for one shape.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

from nixlib.lock import Lock, LockedPackage
from nixlib.providers import Orders
from nixlib.sources.source import BuiltWheel, OpenedSource, SourceWanted

__all__ = ["Builder", "Request", "Resolution", "Untimely"]


class Builder(Protocol):
    """Who turns a source into a wheel: the resolver asks it what nothing but a build can tell."""

    def open(self, wanted: SourceWanted) -> OpenedSource:
        """The tree of a source, and what it says of how it is built; nothing of it is run.

        Raises:
            SourceError: It is not there, or is no project.
            NetworkError: Its server did not answer.
            RealisationCancelledError: The user stopped it.
        """
        ...

    def more_requirements(
        self, opened: OpenedSource, build: tuple[LockedPackage, ...]
    ) -> tuple[str, ...]:
        """What its backend wants to be built with beyond `opened.requires` (PEP 517).

        Raises:
            BuildError: The backend failed.
            SandboxError: Nothing here keeps a build from the rest of the machine.
            RealisationCancelledError: The user stopped it.
        """
        ...

    def build(self, opened: OpenedSource, build: tuple[LockedPackage, ...]) -> BuiltWheel:
        """The wheel of a source, built with `build`; at once where it has been built before.

        Raises:
            BuildError: It cannot be built.
            SandboxError: Nothing here keeps a build from the rest of the machine.
            RealisationCancelledError: The user stopped it.
        """
        ...


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
        torch_index: Where PyTorch's packages for Linux are, for the notebook's choice of CUDA; empty for where
            everything is.
        upgrade: Names whose preference is forgotten, or `all`.
        provided: Versions by normalised name of packages that come from elsewhere (from conda, say) and are
            never locked; requirements count with them. A lock to grow from was made with the same ones.
        provided_on: The same by system, for systems on which that is another version, or more.
        provided_by: Who brings a name, for messages; `conda` where nothing is said.
        providers: Whether a name is a wheel or built from an sdist.
        builder: Who builds packages that come as source; None refuses those.
        build_versions: By the name of a package that the previous lock has as source: versions of what it
            was built with, kept where they still fit.
        building: What these are the build requirements of, the outermost first: none of it can be one.
        notebook: What the notebook is called in messages.
        private: Names of the notebook's groups of private dependencies, beside which another may be offered
            where requirements contradict each other; None where it may not.
        numbers: Where in the notebook each of `requirements` stands; empty for 1, 2, 3 …
        watched: Names among those provided that are of one version for the whole process: where an old package
            is from before that one, `Resolution.untimely` says so.
        builds_ported: Whether what has a wheel for another Python that can be had is built for this one. It
            mostly fails, after minutes: where another Python is at hand, nobody waits for that.
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
    torch_index: str = ""
    upgrade: frozenset[str] | Literal["all"] = frozenset()
    provided: Mapping[str, str] = field(default_factory=dict)
    provided_on: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    provided_by: Mapping[str, str] = field(default_factory=dict)
    providers: Orders = field(default_factory=Orders)
    builder: Builder | None = None
    build_versions: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    building: tuple[str, ...] = ()
    notebook: str = ""
    private: frozenset[str] | None = None
    numbers: tuple[int, ...] = ()
    watched: frozenset[str] = frozenset()
    builds_ported: bool = True

    def provided_for(self, system: str) -> dict[str, str]:
        """What comes from elsewhere on one system: versions by name."""
        return {**self.provided, **self.provided_on.get(system, {})}

    @property
    def elsewhere_provided(self) -> frozenset[str]:
        """Names that come from elsewhere on any system."""
        return frozenset(self.provided).union(*self.provided_on.values())

    def preferring(self, packages: Iterable[LockedPackage]) -> Request:
        """The same request, keeping the versions of a previous lock wherever they still fit."""
        common: dict[str, str] = {}
        by_system: dict[str, dict[str, str]] = {}
        built: dict[str, dict[str, str]] = {}
        for package in packages:
            if not package.systems:
                common[package.name] = package.version
            for system in package.systems:
                by_system.setdefault(system, {})[package.name] = package.version
            if package.source:
                built[package.name] = dict(line.split(" ", 1) for line in package.source.build)
        return replace(self, preferences=common, elsewhere=by_system, build_versions=built)


@dataclass(frozen=True)
class Untimely:
    """A package that comes from elsewhere, in a major version of which there was nothing yet when `wanter` came out.

    Attributes:
        name: Of the package.
        version: What there is of it.
        fitting: The newest version that `wanter` could know.
        wanter: The name of the package that needs it.
        wanter_version: Its version.
        month: When that came out, such as `2023-06`.
    """

    name: str
    version: str
    fitting: str
    wanter: str
    wanter_version: str
    month: str


@dataclass(frozen=True)
class Resolution:
    """The answer: packages sorted by name, and what the author should know about the choice.

    `systems` may be fewer than were asked for; `notes` then says which package has no wheel there.
    `build_packages` is what packages that come as source are built with, `built` the SRI NAR hash of what
    was built on the way, by `name system`, and `choices` why which provider gave a name. `untimely` are
    packages that come from elsewhere and are of a later age than what needs them.
    """

    packages: tuple[LockedPackage, ...]
    systems: tuple[str, ...]
    notes: tuple[str, ...] = ()
    build_packages: tuple[LockedPackage, ...] = ()
    built: Mapping[str, str] = field(default_factory=dict)
    choices: Mapping[str, str] = field(default_factory=dict)
    untimely: tuple[Untimely, ...] = ()
