"""What an environment's bytecode consists of: which package each importable folder and module is of.

Read from links alone. An environment's lead into packages; those that lead into a conda prefix are followed
one step further, to the package of conda that the prefix has it from. Only what the prefix itself had to
write (a module with the prefix's path in it) is the prefix's own, and shared with no other.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from nixlib.composition.places import GROUPS
from nixlib.environment import groups_folder

__all__ = ["Link", "Mirror", "read_mirror"]

_SITE = "site-packages"


@dataclass(frozen=True, slots=True)
class Link:
    """A place of an environment where the modules of one package are.

    Attributes:
        path: Relative to the environment: a folder, or a module (`….py`) in a folder that packages share.
        package: The name of the store object that provides it.
        inside: Where in that object it is.
    """

    path: str
    package: str
    inside: str

    @property
    def is_module(self) -> bool:
        """Whether it is one file, rather than a folder."""
        return self.inside.endswith(".py")


@dataclass(frozen=True, slots=True)
class Mirror:
    """What an environment needs below the prefix.

    Attributes:
        interpreter: The name of its interpreter's store object: of a package of conda where the
            interpreter lies in a conda prefix, so that all prefixes with that Python share bytecode.
        library: The name of its library folder, `python3.11`.
        links: Where its packages are, sorted.
        shared: Folders that several packages provide, relative to the environment, parents first.
        home: The name of the store object that the interpreter starts from: itself, or the prefix.
        groups: Private groups in this interpreter: links to trees of packages that have a mirror of their
            own, as they stay the same when the environment changes.
        processes: Private groups with a process of their own: links to environments.
    """

    interpreter: str
    library: str
    links: tuple[Link, ...]
    shared: tuple[str, ...]
    home: str
    groups: tuple[Link, ...] = ()
    processes: tuple[Link, ...] = ()

    @property
    def suffix(self) -> str:
        """How bytecode files end, `.cpython-311.pyc` (PEP 3147)."""
        return f".cpython-{self.library.removeprefix('python').rstrip('t').replace('.', '')}.pyc"

    @property
    def is_prefix(self) -> bool:
        """Whether the standard library is part of a conda prefix."""
        return self.home != self.interpreter

    def to_json(self, beside: Sequence[Path] = ()) -> str:
        """What is needed to know which packages are in use, in the file that says a mirror is complete.

        Args:
            beside: Where what `groups` and `processes` lead to has its files, and so mirrors of its own.
        """
        packages = sorted({self.interpreter, *(link.package for link in self.links)})
        facts = {"interpreter": self.interpreter, "packages": packages, "home": self.home}
        return json.dumps({**facts, "beside": [str(path) for path in beside]})

    def of_group(self, group: Link, store_dir: Path) -> Mirror:
        """The same for the packages of one of `groups`; its paths are relative to their tree.

        Raises:
            OSError: It is not there.
        """
        folder = f"lib/{self.library}/{_SITE}"
        found = list(
            _Walk(store_dir, self.home).modules(folder, store_dir / group.package / folder)
        )
        links, shared = _parted(found)
        return Mirror(self.interpreter, self.library, links, shared, self.home)

    def of_library(self, store_dir: Path) -> Mirror:
        """The same for the standard library in a conda prefix; its paths are relative to the prefix.

        Raises:
            OSError: It is not there.
        """
        folder = f"lib/{self.library}"
        walk = _Walk(store_dir, self.home)
        found = list(walk.modules(folder, store_dir / self.home / folder, skip=_SITE))
        links, shared = _parted(found)
        return Mirror(self.interpreter, self.library, links, shared, self.home)


def read_mirror(environment: Path, store_dir: Path | None = None) -> Mirror:
    """What an environment's links say: a directory read per real folder, a `readlink` per link.

    Args:
        environment: Its folder.
        store_dir: The store's folder on this machine, where it is not the environment's own.

    Raises:
        OSError: It is not there, or is not an environment of ours.
    """
    store_dir = store_dir or environment.parent
    program = str((environment / "bin" / "python").readlink())
    home, _, name = _split(program)
    library = name.rpartition("/")[2]
    walk = _Walk(store_dir, home)
    folder = f"lib/{library}/{_SITE}"
    links, shared = _parted(list(walk.modules(folder, environment / folder)))
    interpreter = walk.owner(f"lib/{library}/os.py").package
    groups, processes = _read_groups(environment)
    return Mirror(interpreter, library, links, shared, home, groups, processes)


def _read_groups(environment: Path) -> tuple[tuple[Link, ...], tuple[Link, ...]]:
    """The links to private groups, and to the environments of those with a process."""
    folder = groups_folder(environment)
    if folder is None:
        return (), ()
    places = [f"{GROUPS}/{path.name}" for path in sorted(folder.iterdir()) if path.is_symlink()]
    targets = [(place, *_split(str((environment / place).readlink()))) for place in places]
    links = [Link(place, package, inside) for place, package, _, inside in targets]
    return (
        tuple(link for link in links if link.inside),
        tuple(link for link in links if not link.inside),
    )


def _parted(found: list[Link | str]) -> tuple[tuple[Link, ...], tuple[str, ...]]:
    links = sorted((one for one in found if isinstance(one, Link)), key=lambda link: link.path)
    return tuple(links), tuple(sorted(one for one in found if isinstance(one, str)))


def _split(target: str) -> tuple[str, str, str]:
    """A link between store objects: the object's name, `/`, and the path inside."""
    return target.rpartition("../")[2].partition("/")


@dataclass(frozen=True, slots=True)
class _Walk:
    """A walk through folders of an environment, and of the prefix that it leads to.

    Attributes:
        store: The store's folder on this machine.
        home: The object that the interpreter starts from, which may be a conda prefix.
    """

    store: Path
    home: str

    def owner(self, inside: str) -> Link:
        """Who has brought what is at `inside` of the home: a package, or the home itself."""
        try:
            target = os.readlink(self.store / self.home / inside)  # noqa: PTH115 - as below
        except OSError:
            return Link(inside, self.home, inside)
        if not target.startswith("../" * (inside.count("/") + 1)):
            return Link(inside, self.home, inside)  # a package's link to a neighbour
        package, _, there = _split(target)
        return Link(inside, package, there)

    def modules(self, folder: str, place: Path, skip: str = "") -> Iterator[Link | str]:
        """What is in a real folder: one link in its place where one package provides it all.

        Args:
            folder: Relative to the environment.
            place: Where it is: in the environment, or in the home.
            skip: A name in it that does not count.
        """
        links: list[Link] = []
        below: list[Link | str] = []
        with os.scandir(place) as entries:
            for entry in entries:
                if entry.name == skip or entry.name.endswith(".dist-info"):
                    continue
                path = f"{folder}/{entry.name}"
                if entry.is_dir(follow_symlinks=False):
                    below += self.modules(path, place / entry.name)
                elif (found := self._entry(path, place, entry)) is not None:
                    if found.package == self.home and (deeper := self._folder(found.inside)):
                        below += self.modules(path, deeper)
                    else:
                        links.append(found)
        owners = {link.package for link in (*links, *(o for o in below if isinstance(o, Link)))}
        # `site-packages` itself stays real, or one package could be found through its name alone.
        if len(owners) == 1 and not folder.endswith(f"/{_SITE}"):
            yield Link(folder, owners.pop(), _folder_inside(folder, links, below))
            return
        yield folder
        yield from (
            link
            for link in links
            if link.is_module or (place / link.path[len(folder) + 1 :]).is_dir()
        )
        yield from below

    def _entry(self, path: str, place: Path, entry: os.DirEntry[str]) -> Link | None:
        """Who has brought a link of the environment, or a file of the home; None for what has no owner."""
        root = self.store / self.home
        if place.is_relative_to(root):
            found = self.owner(str(place.relative_to(root) / entry.name))
            is_own_module = found.package != self.home or entry.name.endswith(".py")
            return Link(path, found.package, found.inside) if is_own_module else None
        if not entry.is_symlink():
            return None
        package, _, inside = _split(os.readlink(entry.path))  # noqa: PTH115 - pathlib costs as much again
        if not inside:
            return None
        found = self.owner(inside) if package == self.home else Link(path, package, inside)
        return Link(path, found.package, found.inside)

    def _folder(self, inside: str) -> Path | None:
        """The home's own folder at `inside`; None where there is a file or a link."""
        place = self.store / self.home / inside
        return place if place.is_dir() and not place.is_symlink() else None


def _folder_inside(folder: str, links: list[Link], below: list[Link | str]) -> str:
    """Where in its package a folder is that this one alone provides."""
    some = next(one for one in (*links, *below) if isinstance(one, Link))
    depth = some.path.count("/") - folder.count("/")
    return some.inside.rsplit("/", depth)[0]
