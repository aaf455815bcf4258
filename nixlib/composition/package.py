"""One package as a store object: its facts, and a way to look at its files that reads nothing early.

A wheel's store object (layout 1) holds `site-packages/`, `bin/`, `include/` and `data/`, and beside
them `nixenv.json`, its *facts*: what composing an environment needs to know and could only find out
again by opening many files. The invariant: facts are a pure function of the wheel's bytes, written
once as canonical JSON, so the object that holds them has one store path everywhere.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from nixlib.errors import StoreError
from nixlib.storepath import StorePath
from nixlib.tree import Directory, Node, Regular, Symlink

__all__ = [
    "FACTS_NAME",
    "LAYOUT",
    "WHEEL_PARTS",
    "Facts",
    "Kind",
    "Listing",
    "MemoryListing",
    "Package",
    "Place",
    "StoreListing",
    "no_facts",
    "parse_facts",
]

LAYOUT = 1
"""Number of the store object layout and of the composition rules; a lock records it."""

FACTS_NAME = "nixenv.json"
"""Where a package's store object keeps its facts."""

Kind = Literal["dir", "file", "link"]

Place = Literal["bin", "headers", "site-packages", "top"]
"""Where in an environment a folder of a package joins: with its commands, with the headers of Python
packages, with what can be imported, or, `top`, beside all of these: `share`, `etc`, `lib`, `include`."""

WHEEL_PARTS: Mapping[str, Place] = {
    "bin": "bin",
    "data": "top",
    "include": "headers",
    "site-packages": "site-packages",
}
"""The parts of an unpacked wheel."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What composing needs to know of a package beyond the names of its files.

    Attributes:
        layout: Layout number of the store object (`LAYOUT`).
        name: Normalised name (PEP 503).
        version: As the wheel's metadata spells it.
        console_scripts: Command name to entry point, `module:attribute`, as written in the wheel.
        gui_scripts: The same for commands without a terminal; the same thing outside Windows.
        python_scripts: Names below `bin/` whose first line is `#!python` or `#!pythonw`, sorted.
        origin: Directories of the object, such as `site-packages/torch/lib`, which an environment
            must have as real directories, since glibc expands `$ORIGIN` with symlinks kept and a
            library in them looks for a neighbour package's; sorted.
    """

    layout: int
    name: str
    version: str
    console_scripts: Mapping[str, str]
    gui_scripts: Mapping[str, str]
    python_scripts: tuple[str, ...]
    origin: tuple[str, ...]

    def to_bytes(self) -> bytes:
        """Canonical JSON: sorted keys, no spaces, UTF-8, one newline at the end."""
        value = {
            "layout": self.layout,
            "name": self.name,
            "version": self.version,
            "console_scripts": dict(self.console_scripts),
            "gui_scripts": dict(self.gui_scripts),
            "python_scripts": sorted(self.python_scripts),
            "origin": sorted(self.origin),
        }
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        # A lone surrogate (a zip member whose name is not UTF-8) must not make the facts unwritable.
        return text.encode("utf-8", "surrogateescape") + b"\n"


def parse_facts(data: bytes) -> Facts:
    """The facts in the bytes of a `nixenv.json`.

    Raises:
        StoreError: Not facts of a known layout. An object's path proves its content, so this is an
            object that something else made, or one of a newer layout.
    """
    try:
        value = json.loads(data.decode("utf-8", "surrogateescape"))
        facts = Facts(
            layout=value["layout"],
            name=value["name"],
            version=value["version"],
            console_scripts=dict(value["console_scripts"]),
            gui_scripts=dict(value["gui_scripts"]),
            python_scripts=tuple(value["python_scripts"]),
            origin=tuple(value["origin"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(f"a package's `{FACTS_NAME}` cannot be read: {error!r}") from error
    if facts.layout != LAYOUT:
        raise StoreError(
            f"package `{facts.name}` has layout {facts.layout}, this nixenv knows layout {LAYOUT}"
        )
    return facts


def no_facts(name: str, version: str, *, python_scripts: tuple[str, ...] = ()) -> Facts:
    """The facts of a store object that has none of its own, because something else made it."""
    return Facts(LAYOUT, name, version, {}, {}, python_scripts, ())


class Listing(Protocol):
    """The files of one store object; paths are relative and posix, `""` is the object itself.

    Implementations read lazily: nothing is looked at that was not asked for.
    """

    def kind(self, path: str) -> Kind | None:
        """What is at `path`, links not followed; None where there is nothing."""

    def children(self, path: str) -> Mapping[str, Kind]:
        """Names in the directory `path`; empty where there is no directory."""

    def digest(self, path: str) -> str:
        """Hex sha256 of a file's bytes, or of a link's target; equal means the same file."""

    def read(self, path: str) -> bytes:
        """All bytes of the file at `path`."""


@dataclass(frozen=True, slots=True)
class StoreListing:
    """A store object on disk.

    Attributes:
        root: Where the object's files are on this machine (`Store.physical`).
    """

    root: Path

    def kind(self, path: str) -> Kind | None:
        """One or two `lstat`; see `Listing`."""
        full = self.root / path
        if full.is_symlink():
            return "link"
        if full.is_dir():
            return "dir"
        return "file" if full.exists() else None

    def children(self, path: str) -> Mapping[str, Kind]:
        """One directory read: the types come with the names, so nothing is statted."""
        try:
            # Not through pathlib, which would cost as much again: this is called for every package.
            with os.scandir(f"{self.root}/{path}") as entries:
                return {entry.name: _kind_of(entry) for entry in entries}
        except (FileNotFoundError, NotADirectoryError):
            return {}

    def digest(self, path: str) -> str:
        """Reads the whole file; see `Listing`."""
        full = self.root / path
        if full.is_symlink():
            return hashlib.sha256(b"->" + os.fsencode(full.readlink())).hexdigest()
        digest = hashlib.sha256()
        with full.open("rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
        return digest.hexdigest()

    def read(self, path: str) -> bytes:
        """See `Listing`."""
        return (self.root / path).read_bytes()


def _kind_of(entry: os.DirEntry[str]) -> Kind:
    if entry.is_symlink():
        return "link"
    return "dir" if entry.is_dir() else "file"


@dataclass(frozen=True, slots=True)
class MemoryListing:
    """A store object that is still (or only ever) a tree in memory."""

    tree: Directory

    def _node(self, path: str) -> Node | None:
        node: Node | None = self.tree
        for part in path.split("/") if path else ():
            node = node.entries.get(part) if isinstance(node, Directory) else None
        return node

    def kind(self, path: str) -> Kind | None:
        """See `Listing`."""
        node = self._node(path)
        return None if node is None else _kind_of_node(node)

    def children(self, path: str) -> Mapping[str, Kind]:
        """See `Listing`."""
        node = self._node(path)
        if not isinstance(node, Directory):
            return {}
        return {name: _kind_of_node(child) for name, child in node.entries.items()}

    def digest(self, path: str) -> str:
        """See `Listing`."""
        node = self._node(path)
        if isinstance(node, Symlink):
            return hashlib.sha256(b"->" + os.fsencode(node.target)).hexdigest()
        return hashlib.sha256(self.read(path)).hexdigest()

    def read(self, path: str) -> bytes:
        """See `Listing`."""
        node = self._node(path)
        if not isinstance(node, Regular):
            raise FileNotFoundError(path)
        return b"".join(node.read())


def _kind_of_node(node: Node) -> Kind:
    if isinstance(node, Directory):
        return "dir"
    return "link" if isinstance(node, Symlink) else "file"


@dataclass(frozen=True, slots=True)
class Package:
    """A package whose store path is known.

    Attributes:
        name: Normalised name (PEP 503); orders packages, settles collisions, names culprits.
        version: For messages.
        path: Its store object.
        listing: The object's files.
        facts: What the object's `nixenv.json` says.
        parts: Which of the object's folders (`""` is all of it) join the environment, and where. One
            that lies in another joins where it says itself, and not there as well.
        apart: Paths in the object that do not join, though the folder they are in does.
        members: Names of what it was made of, where one object holds many packages.
        owner: The name of the member that a path in the object is of.
    """

    name: str
    version: str
    path: StorePath
    listing: Listing
    facts: Facts
    parts: Mapping[str, Place] = field(default_factory=lambda: WHEEL_PARTS)
    apart: frozenset[str] = frozenset()
    members: frozenset[str] = frozenset()
    owner: Callable[[str], str] | None = None

    def folders(self, place: Place) -> list[str]:
        """Those of its folders that join at `place`."""
        return [folder for folder, joins in self.parts.items() if joins == place]

    def called(self, path: str) -> str:
        """The name to give to whoever has to do with `path`."""
        return self.owner(path) if self.owner else self.name
