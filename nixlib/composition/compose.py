"""Packages and an interpreter become one environment: a small tree of links (pure, given listings).

The result is a `pyvenv.cfg` tree (PEP 405) without `home`, so that nothing in it says where the store
is: links lead from one store object to its neighbour (`../../<digest>-<name>/…`), and Python finds its
library behind the link `bin/python`. Invariants: the tree is a function of the *set* of packages, not of
their order; its references are exactly the store objects that its links lead to, never itself. Both are
frozen for a layout number (`nixlib.composition.package.LAYOUT`): any change of a byte here is another layout.

Where one package alone provides a directory, that is one link; only directories that several provide, or
that must be real for the sake of `$ORIGIN` (`Facts.origin`), are made and looked into. So the cost grows
with the packages, not with their files.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from nixlib.composition.builtin import builtin_source
from nixlib.composition.libraries import FOLDER, Library, library_links, library_loader
from nixlib.composition.merge import Clash, Merger, Mount, Offer
from nixlib.composition.package import Listing, Package, Place
from nixlib.composition.scripts import command_fault, console_script, relocate_python_script
from nixlib.errors import CollisionError
from nixlib.storepath import StorePath
from nixlib.tree import Directory, Node, Regular, Symlink, walk
from nixlib.wheels.distinfo import normalised

__all__ = [
    "Composition",
    "InterpreterPackage",
    "PrivateFolder",
    "collision_error",
    "compose",
    "linked_objects",
    "offers_of",
]


@dataclass(frozen=True, slots=True)
class InterpreterPackage:
    """A Python whose store path is known.

    Attributes:
        version: Full version, `3.11.7`.
        path: Its store object, with `bin/python3.X` and `lib/python3.X/`.
        listing: The object's files; one directory of it is read.
    """

    version: str
    path: StorePath
    listing: Listing

    @property
    def folder(self) -> str:
        """The name of its library directory, `python3.11`."""
        return "python" + ".".join(self.version.split(".")[:2])


@dataclass(frozen=True, slots=True)
class PrivateFolder:
    """The folder `share/nixenv/private` of an environment.

    Attributes:
        tree: Links to the groups, and the file that describes them.
        references: The store objects that the links lead to.
        members: Names of the groups' packages, which `collisions` may name.
    """

    tree: Directory
    references: tuple[StorePath, ...]
    members: frozenset[str]


@dataclass(frozen=True, slots=True)
class Composition:
    """An environment that the store does not have yet.

    Attributes:
        name: The store object's name.
        tree: Its files.
        references: The store objects that links of it lead to, sorted.
        warnings: What the user should know, sorted.
    """

    name: str
    tree: Directory
    references: tuple[StorePath, ...]
    warnings: tuple[str, ...]


def compose(
    packages: Sequence[Package],
    interpreter: InterpreterPackage,
    *,
    collisions: Mapping[str, str] | None = None,
    libraries: Sequence[Library] = (),
    private: PrivateFolder | None = None,
) -> Composition:
    """The environment of some packages; reads a directory or two per package, files only on a clash.

    Args:
        packages: In any order.
        interpreter: The Python that runs them.
        collisions: Top-level name, or a path below it, to the name of the package that wins
            wherever two provide different files there; scripts are keyed as `bin/<name>`.
        libraries: Native libraries that its Python loads by their paths, in order.
        private: Groups of private dependencies.

    Raises:
        CollisionError: Two packages provide the same path with different bytes.
    """
    ordered = sorted(packages, key=lambda package: (package.name, package.version, package.path))
    settled = {path: normalised(name) for path, name in (collisions or {}).items()}
    merger = Merger(settled)
    commands, unusable = _commands(ordered)
    present = {name for package in ordered for name in (package.name, *package.members)}
    absent = set(settled.values()) - present - (private.members if private else frozenset())
    unknown = [f"`collisions` names `{name}`, which is not in this environment" for name in absent]
    tree = merger.directory(_layout(ordered, interpreter, commands, libraries, private), ())
    if merger.clashes:
        raise collision_error(merger.clashes)
    of_packages = (package.path for package in ordered)
    of_groups = private.references if private else ()
    of_libraries = (library.path for library in libraries)
    everything = (interpreter.path, *of_packages, *of_libraries, *of_groups)
    paths = {str(path): path for path in everything}
    return Composition(
        name=f"python-{interpreter.version}-environment",
        tree=tree,
        references=tuple(sorted(paths[name] for name in linked_objects(tree))),
        warnings=tuple(sorted({*merger.warnings, *unusable, *unknown})),
    )


def _layout(
    packages: Sequence[Package],
    interpreter: InterpreterPackage,
    commands: Mapping[str, Sequence[Offer]],
    libraries: Sequence[Library],
    private: PrivateFolder | None,
) -> Mount:
    """Where in the environment each part of a package goes, and what the environment adds itself."""
    folder = interpreter.folder
    has_pip = any("pip" in (package.name, *package.members) for package in packages)
    programs = {**_stand_ins(packages, commands), **_interpreter_links(interpreter)}
    loader = library_loader() if libraries else {}
    own = {**_site_files(has_pip=has_pip), **loader}
    site = Mount(offers_of(packages, "site-packages"), own)
    folder_of_libraries = {FOLDER: Mount((), library_links(libraries))} if libraries else {}
    headers = {folder: Mount(offers_of(packages, "headers"))}
    return Mount(
        offers_of(packages, "top"),
        {
            "bin": Mount(offers_of(packages, "bin"), programs, commands),
            "lib": Mount((), {**_library(interpreter, site), **folder_of_libraries}),
            "include": Mount((), {**_headers(interpreter), "site": Mount((), headers)}),
            "pyvenv.cfg": _pyvenv_cfg(interpreter.version),
            **({"pip.conf": _PIP_CONF} if has_pip else {}),
            **(_shared_data(private) if private else {}),
        },
    )


def _shared_data(private: PrivateFolder) -> dict[str, Node | Mount]:
    return {"share": Mount((), {"nixenv": Mount((), {"private": private.tree})})}


def offers_of(packages: Sequence[Package], place: Place) -> tuple[Offer, ...]:
    """The folders of packages that join at `place`."""
    return tuple(
        Offer(package, folder, "dir") for package in packages for folder in package.folders(place)
    )


def _pyvenv_cfg(version: str) -> Regular:
    return Regular.of(f"include-system-site-packages = false\nversion = {version}\n".encode())


# Keeps a real pip, where one is asked for, from writing into the store, which root could: pip reads this
# file in `sys.prefix`, and refuses to install "for the user" inside a virtual environment.
_PIP_CONF = Regular.of(b"[install]\nuser = true\n")


def _interpreter_links(interpreter: InterpreterPackage) -> dict[str, Node]:
    return {
        "python": Symlink(f"../../{interpreter.path}/bin/{interpreter.folder}"),
        "python3": Symlink("python"),
        interpreter.folder: Symlink("python"),
    }


def _library(interpreter: InterpreterPackage, site: Node | Mount) -> dict[str, Node | Mount]:
    """The folder `lib`: `site-packages`, and the standard library for this environment's children.

    `python -m venv` records our `bin` as the child's `home`, and Python from 3.11 on then looks for the
    landmarks `lib/python3.X/os.py` and `lib-dynload` beside it. Without them a child has no library, or
    the one at the interpreter's compiled-in prefix; with them a child that is made with
    `--system-site-packages` also sees this environment's packages. The library itself is one link: where
    `sys.path` has room for a zip of it, a directory of that name serves as well.
    """
    folder = interpreter.folder
    library = f"{interpreter.path}/lib/{folder}"
    landmarks: dict[str, Node | Mount] = {
        name: Symlink(f"../../../{library}/{name}")
        for name in ("lib-dynload", "os.py")
        if interpreter.listing.kind(f"lib/{folder}/{name}")
    }
    return {
        folder: Mount((), {**landmarks, "site-packages": site}),
        f"{folder.replace('.', '')}.zip": Symlink(f"../../{library}"),
    }


def _headers(interpreter: InterpreterPackage) -> dict[str, Node]:
    """The interpreter's headers, again for children: they compute their own place of them."""
    inside = f"include/{interpreter.folder}"
    if not interpreter.listing.kind(inside):
        return {}
    return {interpreter.folder: Symlink(f"../../{interpreter.path}/{inside}")}


def _site_files(*, has_pip: bool) -> dict[str, Node]:
    names = ("_nixenv_commands.py", "_nixenv_site.py", *(() if has_pip else ("pip.py",)))
    files: dict[str, Node] = {name: Regular.of(builtin_source(name)) for name in names}
    return {**files, "000_nixenv.pth": _SITE_HOOK}


# Digits sort first, so no other `.pth` file's imports come before it. See `builtin/_nixenv_site.py`.
_SITE_HOOK = Regular.of(
    b"import sys; sys.dont_write_bytecode |= sys.pycache_prefix is None; "
    b"import _nixenv_site; _nixenv_site.settle()\n"
)


def _commands(packages: Sequence[Package]) -> tuple[dict[str, list[Offer]], tuple[str, ...]]:
    """The files of `bin/` that are made rather than linked, and why some are not."""
    made: dict[str, list[Offer]] = {}
    unusable = []
    for package in packages:
        folder = next(iter(package.folders("bin")), "bin")
        for name, data, fault in _package_commands(package, folder):
            if data is None:
                unusable.append(f"{package.name}: command {name!r} is left out: {fault}")
            else:
                made.setdefault(name, []).append(Offer(package, f"{folder}/{name}", "file", data))
    return made, tuple(unusable)


def _package_commands(package: Package, folder: str) -> Iterator[tuple[str, bytes | None, str]]:
    """Name, file, and why there is none, of each command that a package declares."""
    facts = package.facts
    entry_points = {**facts.gui_scripts, **facts.console_scripts}
    for name, entry_point in entry_points.items():
        fault = command_fault(name)
        data = None if fault else console_script(entry_point)
        yield name, data, fault or f"{entry_point!r} is not `module:function`"
    for name in set(facts.python_scripts) - set(entry_points):
        fault = command_fault(name)
        read = package.listing.read
        yield name, None if fault else relocate_python_script(read(f"{folder}/{name}")), fault


def _stand_ins(packages: Sequence[Package], made: Collection[str]) -> dict[str, Node]:
    """Commands that answer for tools which the environment does not contain."""
    folders = ((package, folder) for package in packages for folder in package.folders("bin"))
    linked = (package.listing.children(folder) for package, folder in folders)
    taken = {*made, *(name for names in linked for name in names)}
    return {
        name: Regular.of(console_script(f"_nixenv_commands:{function}") or b"", executable=True)
        for name, function in _STAND_INS.items()
        if name not in taken
    }


_STAND_INS = {"pip": "pip", "pip3": "pip", "uv": "uv", "conda": "conda", "mamba": "mamba"}


def linked_objects(tree: Directory) -> set[str]:
    """Names of the store objects that the links of an environment lead to."""
    found = set()
    for path, node in walk(tree):
        if isinstance(node, Symlink):
            up = "../" * (path.count("/") + 1)
            # Links between an environment's own files do not go up so far.
            if node.target.startswith(up):
                found.add(node.target[len(up) :].partition("/")[0])
    return found


def collision_error(clashes: Sequence[Clash]) -> CollisionError:
    """All clashes at once, and one entry of the spec for each top-level name that settles them."""
    ordered = sorted(clashes, key=lambda clash: clash.path)
    settled = {clash.key: clash.packages[0] for clash in reversed(ordered)}
    names = tuple(sorted({name for clash in ordered for name in clash.packages}))
    shown = [f"`{clash.path}`  {', '.join(clash.packages)}" for clash in ordered[:_SHOWN]]
    more = [f"and {len(ordered) - _SHOWN} more"] if len(ordered) > _SHOWN else []
    return CollisionError(
        f"{' and '.join(f'`{name}`' for name in names)} bring different files of the same name",
        details=(*shown, *more),
        hint=f'`"collisions": {json.dumps(dict(sorted(settled.items())))}`',
        path=ordered[0].path,
        paths=tuple(clash.path for clash in ordered),
        packages=names,
        collisions=settled,
    )


_SHOWN = 8
