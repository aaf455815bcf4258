"""Directories of several packages become one: links where one package is alone, else one level deeper (pure).

A path that two packages offer is a *clash* unless the bytes are the same. It is an error where the file
can be imported or run, because then one package would silently run another's code; elsewhere the
package whose name sorts first wins, with a warning. `nixlib.composition.importable` states which is which.
`__pycache__` and `.pyc` files never clash: Python makes them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from nixlib.composition.importable import (
    is_live,
    is_namespace_declaration,
    settling_key,
    settling_keys,
)
from nixlib.composition.package import Kind, Package
from nixlib.composition.scripts import RESERVED_COMMANDS
from nixlib.tree import Directory, Node, Regular, Symlink

__all__ = ["Clash", "Merger", "Mount", "Offer"]

Where = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Offer:
    """What one package has for one path of the environment.

    Attributes:
        package: Whose it is.
        path: Where in the package's store object.
        kind: What is there.
        made: The bytes, of a command that is made for the environment and not linked to.
    """

    package: Package
    path: str
    kind: Kind
    made: bytes | None = None

    def digest(self) -> str:
        """Hex sha256; reads the file."""
        if self.made is not None:
            return hashlib.sha256(self.made).hexdigest()
        return self.package.listing.digest(self.path)

    @property
    def name(self) -> str:
        """Whose it is, as a user knows it."""
        return self.package.called(self.path)

    def below(self, name: str, kind: Kind) -> Offer | None:
        """What this folder has as `name`; None if that does not join here."""
        path = f"{self.path}/{name}" if self.path else name
        package = self.package
        if path in package.apart or path in package.parts:
            return None
        return Offer(package, path, kind)

    def must_be_real(self) -> bool:
        """Whether a link would do too much: `$ORIGIN` in a library below, or a part that stays out."""
        package = self.package
        below = f"{self.path}/"
        return self.path in package.facts.origin or any(
            path.startswith(below)
            for paths in (package.facts.origin, package.apart, package.parts)
            for path in paths
        )


@dataclass(frozen=True, slots=True)
class Mount:
    """A directory of the environment: those of packages, and what the environment itself has there.

    Attributes:
        offers: Directories whose entries come together here.
        own: Entries that are the environment's; they take precedence over any package's.
        made: Commands, in place of a file of that name of the same package.
    """

    offers: Sequence[Offer]
    own: Mapping[str, Node | Mount] = field(default_factory=dict)
    made: Mapping[str, Sequence[Offer]] = field(default_factory=dict)

    def found(self) -> dict[str, list[Offer]]:
        """Every name that packages have for this directory; one directory read per offer."""
        found: dict[str, list[Offer]] = {name: list(offers) for name, offers in self.made.items()}
        for offer in self.offers:
            package = offer.package
            for name, kind in package.listing.children(offer.path).items():
                made = any(other.package is package for other in self.made.get(name, ()))
                below = None if made or name == "__pycache__" else offer.below(name, kind)
                if below:
                    found.setdefault(name, []).append(below)
        return found


@dataclass(frozen=True, slots=True)
class Clash:
    """Two packages, one path, different bytes.

    Attributes:
        path: In the environment.
        key: What `collisions` of a spec is keyed by to settle it.
        packages: Names of the packages, sorted.
    """

    path: str
    key: str
    packages: tuple[str, ...]


@dataclass(slots=True)
class Merger:
    """One composition's rules, and what it has found so far.

    Attributes:
        collisions: Path or top-level name to the package that wins there.
        clashes: What nothing settles.
        warnings: What was settled by sorting, or left out.
    """

    collisions: Mapping[str, str]
    clashes: list[Clash] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def directory(self, mount: Mount, where: Where) -> Directory:
        """The directory that `mount` makes at `where`."""
        found = mount.found()
        entries: dict[str, Node] = {}
        for name in {*found, *mount.own}:
            offers = sorted(found.get(name, ()), key=lambda offer: offer.package.name)
            node = self._entry(mount.own.get(name), offers, (*where, name))
            if node is not None and node != _EMPTY:
                entries[name] = node
        return Directory(entries)

    def _entry(
        self, own: Node | Mount | None, offers: Sequence[Offer], where: Where
    ) -> Node | None:
        if isinstance(own, Mount):
            self._leave_out([offer for offer in offers if offer.kind != "dir"], where)
            inside = [offer for offer in offers if offer.kind == "dir"]
            return self.directory(Mount((*own.offers, *inside), own.own, own.made), where)
        if own is not None or (where[0] == "bin" and where[1:] and where[1] in RESERVED_COMMANDS):
            self._leave_out(offers, where)
            return own
        return self._offered(offers, where)

    def _leave_out(self, offers: Sequence[Offer], where: Where) -> None:
        for offer in offers:
            path = "/".join(where)
            self.warnings.append(
                f"{offer.name}: `{path}` is left out: the environment needs that name itself"
            )

    def _offered(self, offers: Sequence[Offer], where: Where) -> Node:
        if len(offers) > 1 and any(offer.kind != "dir" for offer in offers):
            offers = self._settled(offers, where)
        first = offers[0]
        if first.made is not None:
            return Regular.of(first.made, executable=True)
        if first.kind != "dir" or (len(offers) == 1 and not first.must_be_real()):
            return Symlink(f"{'../' * len(where)}{first.package.path}/{first.path}")
        return self.directory(Mount(offers), where)

    def _settled(self, offers: Sequence[Offer], where: Where) -> Sequence[Offer]:
        """Those that stand where not all are directories: one file, or all the directories."""
        if where[-1].endswith(".pyc") or _are_same(offers):
            return offers[:1]
        namespace = _namespace_declaration(offers, where)
        if namespace:
            return (namespace,)
        winner = self._winner(offers, where)
        if winner.kind == "dir":
            return [offer for offer in offers if offer.kind == "dir"]
        return (winner,)

    def _winner(self, offers: Sequence[Offer], where: Where) -> Offer:
        """As the spec says, else the first; nobody minds if it can neither be imported nor run."""
        by_name = {offer.name: offer for offer in reversed(offers)}
        for key in settling_keys(where):
            if self.collisions.get(key) in by_name:
                return by_name[self.collisions[key]]
        path = "/".join(where)
        names = tuple(offer.name for offer in offers)
        if is_live(where, [offer.package for offer in offers]):
            self.clashes.append(Clash(path, settling_key(where), names))
        else:
            others = ", ".join(names[1:])
            self.warnings.append(f"`{path}` is that of {names[0]}: in {others} it is another file")
        return offers[0]


_EMPTY = Directory({})


def _are_same(offers: Sequence[Offer]) -> bool:
    return len({offer.kind for offer in offers}) == 1 and len({o.digest() for o in offers}) == 1


def _namespace_declaration(offers: Sequence[Offer], where: Where) -> Offer | None:
    """The `__init__.py` to have where each only declares a namespace: one that says so, if any does."""
    if where[-1] != "__init__.py" or any(offer.kind != "file" for offer in offers):
        return None
    sources = [offer.package.listing.read(offer.path) for offer in offers]
    if not all(is_namespace_declaration(source) for source in sources):
        return None
    longest = max(sources, key=lambda source: b"namespace" in source or b"extend_path" in source)
    return offers[sources.index(longest)]
