"""Where each file of a conda prefix comes from: packages' folders merged, and who has a path (pure, given listings).

Read folder by folder, and only where a folder is not one link.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from nixlib.composition.package import Kind, Listing
from nixlib.conda.facts import (
    INSIDE,
    MOVED,
    CondaFacts,
    EntryPoint,
    Placeholder,
    final_path,
    own_path,
)
from nixlib.errors import CondaArchiveError
from nixlib.lock import LockedCondaPackage
from nixlib.storepath import StorePath

__all__ = ["CondaPackage", "Layout", "Patch", "root_of"]

_CLOBBERS = "__clobbers__"


@dataclass(frozen=True, slots=True)
class CondaPackage:
    """A package whose store path is known.

    Attributes:
        locked: What the lock says of it.
        path: Its store object.
        listing: The object's files; names in the folders that packages share are read.
        facts: What the object's `nixenv.json` says.
    """

    locked: LockedCondaPackage
    path: StorePath
    listing: Listing
    facts: CondaFacts


@dataclass(frozen=True, slots=True)
class Patch:
    """A file with another prefix written into it.

    Attributes:
        path: In the prefix.
        source: In the store.
        placeholder: What is replaced, and how.
        archive: Whose file it is, for messages.
    """

    path: str
    source: str
    placeholder: Placeholder
    archive: str


@dataclass(frozen=True, slots=True)
class Offer:
    """What one package has for one path of the prefix.

    Attributes:
        package: Whose it is.
        rank: Its place in the order of packages; the highest has the path.
        path: In the prefix.
        kind: What is there.
        sources: Folders of the store object that come together here; for a file the one that it is;
            none for what is only made.
        mounts: Folders of the prefix below `path`, and which folder of the object has their content.
        made: The command, for one that is made.
    """

    package: CondaPackage
    rank: int
    path: str
    kind: Kind
    sources: tuple[str, ...]
    mounts: tuple[tuple[str, str], ...] = ()
    made: EntryPoint | None = None

    @property
    def name(self) -> str:
        return self.package.locked.name

    def below(self) -> dict[str, Offer]:
        """What the package has in this folder, by name."""
        found: dict[str, Offer] = {}
        for source in self.sources:
            for name, kind in self.package.listing.children(source).items():
                inside = f"{source}/{name}" if source else name
                if inside not in INSIDE and inside not in self._moved():
                    _add(found, name, self._child(name, kind, (inside,)))
        for place, source in self.mounts:
            name, slash, _ = place[len(self.path) :].lstrip("/").partition("/")
            sources = (source,) if source and not slash else ()
            _add(found, name, self._child(name, "dir", sources))
        if self.path == "bin" and self.package.facts.noarch == "python":
            for entry in self.package.facts.entry_points:
                _add(found, entry.command, self._child(entry.command, "file", (), entry))
        return found

    def _moved(self) -> tuple[str, ...]:
        return MOVED if self.package.facts.noarch == "python" else ()

    def _child(
        self, name: str, kind: Kind, sources: tuple[str, ...], made: EntryPoint | None = None
    ) -> Offer:
        path = f"{self.path}/{name}" if self.path else name
        mounts = tuple(m for m in self.mounts if m[0].startswith(f"{path}/"))
        return Offer(self.package, self.rank, path, kind, sources, mounts, made)


def _add(found: dict[str, Offer], name: str, offer: Offer) -> None:
    """Another source of the same package for a name: folders come together, else the first stands."""
    other = found.get(name)
    if other is None:
        found[name] = offer
    elif other.kind == offer.kind == "dir":
        mounts = tuple(dict.fromkeys((*other.mounts, *offer.mounts)))
        sources = (*other.sources, *offer.sources)
        found[name] = Offer(other.package, other.rank, other.path, "dir", sources, mounts)


def root_of(package: CondaPackage, rank: int, site: str) -> Offer:
    """What a package has for the prefix itself.

    Raises:
        CondaArchiveError: It is for any Python, and `site` is empty: there is none.
    """
    mounts: tuple[tuple[str, str], ...] = ()
    if package.facts.noarch == "python":
        if not site:
            raise CondaArchiveError(
                f"cannot install the conda package `{package.locked.name}`: it is for any Python, and "
                "there is none among the packages",
                hint='`"requirements": ["conda-forge::python"]` beside it',
                archive=package.locked.artifact.filename,
                member="",
            )
        mounts = tuple(_mounts(package, site))
    return Offer(package, rank, "", "dir", ("",), mounts)


def _mounts(package: CondaPackage, site: str) -> Iterator[tuple[str, str]]:
    """What of a `noarch: python` package goes elsewhere; `bin` also where it only has commands to make."""
    for folder in MOVED:
        is_there = package.listing.kind(folder) == "dir"
        place = final_path(folder, "python", site)
        if is_there or (place == "bin" and package.facts.entry_points):
            yield place, folder if is_there else ""


@dataclass
class Layout:
    """One prefix being planned."""

    site: str
    packages: Sequence[CondaPackage]
    own: frozenset[str]
    folders: dict[str, None] = field(default_factory=dict)
    links: list[tuple[str, str]] = field(default_factory=list)
    copies: list[tuple[str, str]] = field(default_factory=list)
    patches: list[Patch] = field(default_factory=list)
    commands: list[tuple[str, EntryPoint]] = field(default_factory=list)
    _losers: list[tuple[Offer, str]] = field(default_factory=list)
    _owners: dict[str, int] = field(default_factory=dict)

    def folder(self, path: str, offers: Sequence[Offer]) -> None:
        """What some packages' folders make together at `path`."""
        found: dict[str, list[Offer]] = {}
        for offer in offers:
            for name, below in offer.below().items():
                found.setdefault(name, []).append(below)
        for name in sorted(found):
            inside = f"{path}/{name}" if path else name
            if inside not in self.own:
                self._place(inside, self._standing(found[name]))

    def _standing(self, offers: list[Offer]) -> list[Offer]:
        """One file, or folders that come together; what does not stand is remembered."""
        if len(offers) == 1 or all(offer.kind == "dir" for offer in offers):
            return offers
        winner = max(offers, key=lambda offer: offer.rank)
        standing = [
            offer for offer in offers if offer is winner or (winner.kind == "dir" == offer.kind)
        ]
        self._losers += [(o, winner.name) for o in offers if o not in standing]
        return standing

    def _place(self, path: str, offers: list[Offer]) -> None:
        first = offers[0]
        if first.kind != "dir":
            self._file(path, first)
        elif len(offers) == 1 and self._is_one_link(first) and not self._is_for_others(path):
            self.links.append((path, _into_store(path, first)))
        else:
            self.folders[path] = None
            self.folder(path, offers)

    def _is_one_link(self, offer: Offer) -> bool:
        """Whether a link to the store object can stand for this folder of one package."""
        return (
            len(offer.sources) == 1
            and not offer.mounts
            and self._is_whole(offer.package, offer.sources[0], frozenset())
        )

    def _is_whole(self, package: CondaPackage, folder: str, asked: frozenset[str]) -> bool:
        """Whether all that is looked for from `folder` is where the store object has it.

        A library that is looked for there looks for others from there, so the same must hold of it.
        """
        return all(
            goal in asked
            or (self._is_alone(package, goal) and self._is_whole(package, goal, asked | {goal}))
            for goal in package.facts.real.get(folder, ())
        )

    def _is_alone(self, package: CondaPackage, goal: str) -> bool:
        """Whether `goal` is a folder that no other package has anything in."""
        path = final_path(goal, package.facts.noarch, self.site)
        if "/" not in path or package.listing.kind(goal) != "dir":
            return False
        if path not in self._owners:
            found = (
                p.listing.kind(own_path(path, p.facts.noarch, self.site)) for p in self.packages
            )
            self._owners[path] = sum(kind is not None for kind in found)
        return self._owners[path] == 1

    def _is_for_others(self, path: str) -> bool:
        """Folders at the top, and `site-packages`: other layers have something to add there."""
        return "/" not in path or f"{self.site}/".startswith(f"{path}/")

    def _file(self, path: str, offer: Offer) -> None:
        facts, package = offer.package.facts, offer.package
        if offer.made:
            self.commands.append((path, offer.made))
            return
        source = offer.sources[0]
        if offer.kind == "link":
            self.links.append((path, facts.links[source]))
        elif source in facts.patched:
            archive = package.locked.artifact.filename
            inside = f"{package.path}/{source}"
            self.patches.append(Patch(path, inside, facts.patched[source], archive))
        elif source in facts.copied:
            self.copies.append((path, f"{package.path}/{source}"))
        else:
            self.links.append((path, _into_store(path, offer)))

    def clobbered(self) -> None:
        """Place what lost its path where rattler keeps it."""
        for offer, _ in sorted(self._losers, key=lambda loser: (loser[0].name, loser[0].path)):
            path = f"{_CLOBBERS}/{offer.name}/{offer.path}"
            parts = path.split("/")
            self.folders |= {"/".join(parts[:end]): None for end in range(1, len(parts))}
            self._place(path, [offer])

    def warnings(self) -> Iterator[str]:
        """Once for each pair of packages that bring the same paths."""
        pairs: dict[tuple[str, str], list[str]] = {}
        for offer, winner in self._losers:
            pairs.setdefault((winner, offer.name), []).append(offer.path)
        for (winner, loser), paths in pairs.items():
            more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
            yield f"`{min(paths)}`{more} is that of {winner}: {loser} brings it too"


def _into_store(path: str, offer: Offer) -> str:
    return f"{'../' * (path.count('/') + 1)}{offer.package.path}/{offer.sources[0]}"
