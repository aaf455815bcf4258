"""Groups of private dependencies in an environment: their trees, and the file that describes them (pure).

The packages of a group become a tree of links of their own, by the rules of any environment but without a
Python, commands or `.pth` files that run. It is a store object: a group that does not change stays the same
object, whatever else changes in the notebook, and so do its modules' files and their bytecode.

    share/nixenv/private/groups.json
    share/nixenv/private/old     -> …-python3.11-private-packages/lib/python3.11/site-packages
    share/nixenv/private/legacy  -> …-python-3.8.18-environment
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nixlib.canonical import canonical_json
from nixlib.composition.compose import (
    Composition,
    InterpreterPackage,
    PrivateFolder,
    collision_error,
    linked_objects,
    offers_of,
)
from nixlib.composition.importable import is_by_mistake
from nixlib.composition.merge import Merger, Mount
from nixlib.composition.package import Kind, Package
from nixlib.composition.places import GROUPS_FILE
from nixlib.storepath import StorePath
from nixlib.tree import Directory, Regular, Symlink
from nixlib.wheels.distinfo import normalised

__all__ = [
    "KERNEL_MODULES",
    "ImportGroup",
    "ProcessGroup",
    "compose_group",
    "exposed_by",
    "private_folder",
    "standard_library",
    "top_levels",
]

KERNEL_MODULES = frozenset({"IPython", "comm", "debugpy", "ipykernel", "nixenv"})
"""What is the kernel's own, and every group's code talks to."""

# Also names that no `import` statement can say: mypyc calls a library after a digest, and asks for it so.
_MODULE = re.compile(r"(\w+)(\.(abi3|cpython-\w+|cp\w+)[\w-]*)?\.(py|so|pyc)")
_DUNDER = re.compile(r"__\w*__")
_UNNOTICED = re.compile(r".*-nspkg\.pth|distutils-precedence\.pth")
# Compiled modules of every Python from 3.8 on, which may be part of its program instead of files. Not
# those of the Python that runs this: an environment is the same whoever composes it.
_COMPILED_NAMES = """
_abc _ast _asyncio _bisect _blake2 _bz2 _codecs _codecs_cn _codecs_hk _codecs_iso2022
_codecs_jp _codecs_kr _codecs_tw _collections _contextvars _csv _ctypes _curses
_curses_panel _datetime _dbm _decimal _elementtree _frozen_importlib
_frozen_importlib_external _functools _gdbm _hashlib _heapq _imp _io _json _locale
_lsprof _lzma _md5 _multibytecodec _multiprocessing _opcode _operator _pickle
_posixshmem _posixsubprocess _queue _random _scproxy _sha1 _sha3 _signal _socket
_sqlite3 _sre _ssl _stat _statistics _string _struct _symtable _thread _tkinter
_tracemalloc _uuid _warnings _weakref _zoneinfo array atexit binascii builtins cmath
errno faulthandler fcntl gc grp itertools marshal math mmap posix pwd pyexpat readline
resource select sys syslog termios time unicodedata zlib
"""
_COMPILED = frozenset(_COMPILED_NAMES.split())
_UP = "../" * 4  # from `share/nixenv/private/<group>` to the environment's neighbours


@dataclass(frozen=True)
class ImportGroup:
    """A group whose modules are loaded into the notebook's process.

    Attributes:
        name: As in `nixenv.private.<name>`.
        packages: Its own.
        path: The store object of their tree; None where it has no packages of its own.
        shared: The notebook's packages that it uses.
        lent: The same of an earlier group, by that group's name.
        package: Name of the package that the notebook imports by its plain name; empty for none.
    """

    name: str
    packages: Sequence[Package] = ()
    path: StorePath | None = None
    shared: Sequence[Package] = ()
    lent: Mapping[str, Sequence[Package]] = field(default_factory=dict)
    package: str = ""


@dataclass(frozen=True)
class ProcessGroup:
    """A group with a process of its own.

    Attributes:
        name: As in `nixenv.private.<name>`.
        path: The environment of that process.
        distributions: Version of each package in it, by normalised name.
    """

    name: str
    path: StorePath
    distributions: Mapping[str, str]


def compose_group(
    name: str,
    packages: Sequence[Package],
    interpreter: InterpreterPackage,
    *,
    collisions: Mapping[str, str] | None = None,
) -> Composition:
    """The tree of a group's own packages.

    Args:
        name: The group's, for messages: the tree does not depend on it.
        packages: In any order.
        interpreter: The Python that loads them.
        collisions: As of `compose`.

    Raises:
        CollisionError: Two packages provide the same path with different bytes.
    """
    ordered = sorted(packages, key=lambda package: (package.name, package.version, package.path))
    merger = Merger({path: normalised(winner) for path, winner in (collisions or {}).items()})
    site = Mount(offers_of(ordered, "site-packages"))
    library = Mount((), {interpreter.folder: Mount((), {"site-packages": site})})
    # What wheels put beside `site-packages` is there for libraries that look for their neighbours.
    tree = merger.directory(Mount(offers_of(ordered, "top"), {"lib": library}), ())
    if merger.clashes:
        raise collision_error(merger.clashes)
    paths = {str(package.path): package.path for package in ordered}
    return Composition(
        name=f"{interpreter.folder}-private-packages",
        tree=tree,
        references=tuple(sorted(paths[linked] for linked in linked_objects(tree))),
        warnings=tuple(sorted({*_said_of(name, merger.warnings), *_not_run(name, ordered)})),
    )


def _said_of(name: str, warnings: Iterable[str]) -> Iterator[str]:
    return (f"private group `{name}`: {warning}" for warning in warnings)


def _not_run(name: str, packages: Sequence[Package]) -> Iterator[str]:
    """Files of start-up code: those of namespaces are not needed, and what others do is not done."""
    for package in packages:
        for folder in package.folders("site-packages"):
            for file in package.listing.children(folder):
                if file.endswith(".pth") and not _UNNOTICED.fullmatch(file):
                    yield (
                        f"private group `{name}`: `{file}` of `{package.name}` is not run:"
                        " a group has no start of its own"
                    )


def top_levels(packages: Iterable[Package]) -> frozenset[str]:
    """Names that `import` could be given for what packages bring; one directory is read for each."""
    found: set[str] = set()
    for package in packages:
        for folder in package.folders("site-packages"):
            children = package.listing.children(folder).items()
            inside = {
                name: kind
                for name, kind in children
                if f"{folder}/{name}" not in package.apart
                and f"{folder}/{name}" not in package.parts
            }
            found.update(_importable(inside))
    return frozenset(found)


def _importable(children: Mapping[str, Kind]) -> Iterator[str]:
    for name, kind in children.items():
        module = _MODULE.fullmatch(name) if kind != "dir" else None
        if module and not _DUNDER.fullmatch(module[1]):
            yield module[1]
        elif kind != "file" and name.isidentifier() and not _DUNDER.fullmatch(name):
            yield name


def exposed_by(group: ImportGroup) -> frozenset[str]:
    """Top-level names that the notebook gets from a group by a plain `import`.

    Not what wheels bring by mistake, as `tests`: nobody's `import tests` shall lead into a group.
    """
    packages = [package for package in group.packages if package.name == group.package]
    found = top_levels(packages)
    return frozenset(top for top in found if top == group.package or not is_by_mistake(top))


def standard_library(interpreter: InterpreterPackage) -> frozenset[str]:
    """Top-level names of Python's own modules, which nothing that is installed can take the place of."""
    library = f"lib/{interpreter.folder}"
    places = (library, f"{library}/lib-dynload")
    found = (name for place in places for name in _importable(interpreter.listing.children(place)))
    return _COMPILED.union(found)


def private_folder(
    groups: Sequence[ImportGroup | ProcessGroup], interpreter: InterpreterPackage
) -> PrivateFolder | None:
    """What an environment has of its groups; None without any.

    Args:
        groups: In the lock's order.
        interpreter: The notebook's.
    """
    if not groups:
        return None
    library = standard_library(interpreter)
    links = {
        group.name: Symlink(f"{_UP}{group.path}{_inside(group, interpreter)}")
        for group in groups
        if group.path
    }
    described = [
        _describe(group, library) if isinstance(group, ImportGroup) else _describe_process(group)
        for group in groups
    ]
    file = Regular.of(canonical_json({"groups": described}) + b"\n")
    return PrivateFolder(
        tree=Directory({**links, GROUPS_FILE: file}),
        references=tuple(sorted({group.path for group in groups if group.path})),
        members=frozenset(name for group in groups for name in _names(group)),
    )


def _names(group: ImportGroup | ProcessGroup) -> Iterable[str]:
    """Names of a group's own packages."""
    if isinstance(group, ProcessGroup):
        return group.distributions
    return (package.name for package in group.packages)


def _inside(group: ImportGroup | ProcessGroup, interpreter: InterpreterPackage) -> str:
    is_process = isinstance(group, ProcessGroup)
    return "" if is_process else f"/lib/{interpreter.folder}/site-packages"


def _describe(group: ImportGroup, library: frozenset[str]) -> dict[str, Any]:
    lent = {
        top: lender
        for lender, packages in sorted(group.lent.items())
        for top in top_levels(packages) - library
    }
    everything = (*group.packages, *group.shared, *(p for ps in group.lent.values() for p in ps))
    return {
        "name": group.name,
        "mode": "import",
        "folders": [group.name] if group.path else [],
        "owned": sorted(top_levels(group.packages) - library),
        "distributions": {package.name: package.version for package in everything},
        "public": sorted(top_levels(group.shared) - library),
        "lent": lent,
        "exposed": sorted(exposed_by(group) - library),
    }


def _describe_process(group: ProcessGroup) -> dict[str, Any]:
    return {
        "name": group.name,
        "mode": "process",
        "environment": group.name,
        "distributions": dict(group.distributions),
    }
