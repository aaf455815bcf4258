"""The shared libraries of an interpreter: which come along, and which the system must have.

A library that the loader finds through a run-path belongs to whoever built the interpreter: it comes
along, into `lib/`, and so does what it needs in turn. One that the loader finds by itself is the
system's, and only its soname is kept.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from nixlib.binaries.elf import read_elf
from nixlib.binaries.runpath import rewrite_run_path

_LIBRARY: Final = "lib"
# glibc itself: manylinux wheels need it as well, so a machine without it is no machine of ours.
_GLIBC: Final = (
    "libc.so",
    "libm.so",
    "libdl.so",
    "libpthread.so",
    "librt.so",
    "libutil.so",
    "ld-linux",
)
# Modules that a machine may well lack the libraries of; they say so when they are imported.
_OPTIONAL: Final = ("_tkinter.", "_gdbm.", "_dbm.", "nis.", "_curses", "readline.", "_uuid.")
_SYSTEM_FOLDERS: Final = ("/lib/", "/lib64/", "/usr/lib/", "/usr/lib64/")


@dataclass(frozen=True, slots=True)
class Binaries:
    """ELF files that find each other wherever the tree is.

    Attributes:
        files: Contents by path in the tree; the programs and modules given, and libraries for `lib/`.
        libraries: Sonames that the system must have, sorted.
    """

    files: Mapping[str, bytes]
    libraries: tuple[str, ...]


def gather(
    programs: Mapping[str, Path], find: Callable[[str], str], spare: Iterable[Path]
) -> Binaries:
    """The `programs`, and every library that must come along, with run-paths of `$ORIGIN`.

    Args:
        programs: Where each ELF file is now, by its path in the tree.
        find: Maps a directory of a run-path to where it is on this machine: the interpreter may have
            been moved since it was linked.
        spare: Directories to look in for what no run-path finds: an interpreter in `/usr/local` relies
            on `ldconfig` for its own library.

    Raises:
        InterpreterError: An ELF file is malformed, or cannot take a run-path.
    """
    spare = tuple(spare)
    waiting = dict(programs)
    files: dict[str, bytes] = {}
    system: set[str] = set()
    while waiting:
        path, source = waiting.popitem()
        data = source.read_bytes()
        elf = read_elf(data)
        if elf is None:  # linked statically, or no ELF at all
            files[path] = data
            continue
        folders = [*_run_path(elf.run_path, source, find), *spare]
        own = {soname: _found(soname, folders) for soname in elf.needed}
        brought = {soname: at for soname, at in own.items() if at is not None}
        for soname, at in brought.items():
            inside = f"{_LIBRARY}/{soname}"
            if inside not in files:
                waiting[inside] = at
        if not path.rpartition("/")[2].startswith(_OPTIONAL):
            system.update(soname for soname, at in own.items() if at is None)
        files[path] = rewrite_run_path(data, [_origin(path)] if brought else [])
    return Binaries(files, tuple(sorted(name for name in system if not name.startswith(_GLIBC))))


def _origin(path: str) -> str:
    steps = os.path.relpath(_LIBRARY, PurePosixPath(path).parent)
    return "$ORIGIN" if steps == "." else f"$ORIGIN/{steps}"


def _run_path(entries: Iterable[str], source: Path, find: Callable[[str], str]) -> Iterator[Path]:
    for entry in entries:
        here = entry.replace("${ORIGIN}", "$ORIGIN").replace("$ORIGIN", str(source.parent))
        yield Path(os.path.normpath(find(here)))


def _found(soname: str, folders: Iterable[Path]) -> Path | None:
    for folder in folders:
        # A run-path may well name the system's own folder; what is there still is the system's.
        if f"{folder}/".startswith(_SYSTEM_FOLDERS) and not soname.startswith("libpython"):
            continue
        if (folder / soname).is_file():
            return (folder / soname).resolve()
    return None
