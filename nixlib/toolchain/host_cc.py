"""This machine's C compiler with all that it needs, copied into the store in the layout of a file system.

Its programs expect to be at `/usr/bin`, and find the rest from there; so the object is a layer of an enclosed
build (`bin`, `lib`, `usr`), where it lies at `/`. Nothing of the machine itself is seen there, so two builds
on machines with the same distribution packages use the same compiler, by the same store path.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from nixlib.binaries.elf import MAGIC, read_elf
from nixlib.cancel import Cancel
from nixlib.errors import StoreError
from nixlib.filelock import file_lock
from nixlib.interpreters.host_memory import HostMemory
from nixlib.settings import Settings
from nixlib.sri import sri, sri_digest
from nixlib.store import Store
from nixlib.storepath import StorePath, fixed_output_path
from nixlib.toolchain.parts import (
    BINUTILS,
    C_LIBRARIES,
    COMPILER_LIBRARIES,
    COMPILERS,
    GLIBC,
    HEADER_FOLDERS,
    HEADERS,
    INTERNAL,
    SHELL,
)
from nixlib.tree import Directory, Node, Regular, Symlink, tree_of
from nixlib.workshop.hostlibs import HostLibraries

__all__ = ["NAME", "host_cc", "toolchain_tree"]

NAME: Final = "host-cc"

_RECIPE: Final = 1
_PATH: Final = "/usr/bin:/bin"
_SECONDS: Final = 20
_CHUNK: Final = 1 << 20
_SCRIPTED: Final = re.compile(r"/[A-Za-z0-9._/+-]+\.so[.0-9]*")


def host_cc(store: Store, settings: Settings, cancel: Cancel | None = None) -> StorePath:
    """The compiler of this machine, valid in `store`; a look at its files where it is already.

    Copies some 200 MB the first time, and after the machine's compiler has changed.

    Raises:
        StoreError: This machine has none in `/usr/bin`, or the store did not take it.
    """
    cancel = cancel or Cancel()
    memory = HostMemory(settings.state_dir / "toolchain.json")
    files = toolchain_files()
    mark = _fingerprint(files)
    known = memory.recall(NAME) or {}
    if known.get("fingerprint") == mark:
        digest = sri_digest(str(known["nar"]))
        path = fixed_output_path(NAME, digest, (), store.store_dir)
        store.add_temp_root([path])
        if store.query_valid_paths([path]):
            return path
    with file_lock(settings.state_dir / "locks" / NAME, cancel):
        info = store.add_tree(NAME, toolchain_tree(files))
    store.add_temp_root([info.path])
    memory.keep({NAME: {"fingerprint": mark, "nar": sri(info.nar_sha256)}})
    return info.path


def toolchain_tree(files: Mapping[str, Path | str]) -> Directory:
    """The tree of what `toolchain_files` found."""
    nodes: dict[str, Node] = {
        path: Symlink(found) if isinstance(found, str) else _file(found)
        for path, found in files.items()
    }
    return tree_of(nodes)


def toolchain_files() -> Mapping[str, Path | str]:
    """What the toolchain consists of, by its path there: a file of this machine, or a link's target.

    Raises:
        StoreError: There is no compiler.
    """
    compiler = shutil.which("gcc", path=_PATH)
    if compiler is None:
        raise _no_compiler("it has no `gcc` in `/usr/bin`")
    files: dict[str, Path | str] = {}
    for name in (*COMPILERS, *BINUTILS, *SHELL):
        files.update(_program(name))
    own = Path(_ask(compiler, "-print-file-name=libgcc.a")).parent
    target = _ask(compiler, "-dumpmachine")
    for name in (*COMPILERS, *BINUTILS):
        files.update(_program(f"{target}-{name}"))
    asked = [f"-print-prog-name={name}" for name in INTERNAL]
    asked += [f"-print-file-name={name}" for name in C_LIBRARIES]
    for question in asked:
        path = Path(os.path.normpath(_ask(compiler, question)))
        if path.is_absolute() and path.is_file():
            files[_inside(path)] = path.resolve()
    files.update(_own_files(own))
    files.update(_headers(compiler, own))
    files |= dict(_scripted(files))
    files |= dict(_libraries(files))
    return files


def _program(name: str) -> Iterator[tuple[str, Path | str]]:
    found = shutil.which(name, path=_PATH)
    if found is None:
        return
    real = Path(found).resolve()
    if real.parent != Path("/usr/bin"):  # a wrapper such as ccache's, or of another place
        yield f"usr/bin/{name}", real
    else:
        yield f"usr/bin/{real.name}", real
        if real.name != name:
            yield f"usr/bin/{name}", real.name
    if name in ("sh", "bash", "env"):
        yield f"bin/{name}", f"../usr/bin/{real.name}"


def _own_files(folder: Path) -> Iterator[tuple[str, Path]]:
    """The compiler's own objects, libraries and headers."""
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.name.startswith(COMPILER_LIBRARIES):
            yield _inside(path), path.resolve()
    for name in ("include", "include-fixed"):
        yield from _below(folder / name)


def _scripted(files: Mapping[str, Path | str]) -> Iterator[tuple[str, Path]]:
    """Libraries that linker scripts name by their whole paths, the C library's own apart."""
    for inside, path in files.items():
        if isinstance(path, str) or not inside.endswith(".so") or _is_elf(path):
            continue
        for name in _SCRIPTED.findall(path.read_text(errors="replace")):
            if not name.rpartition("/")[2].startswith(GLIBC) and Path(name).is_file():
                yield name.lstrip("/"), Path(name).resolve()


def _headers(compiler: str, own: Path) -> Iterator[tuple[str, Path]]:
    for folder in _include_folders(compiler):
        if folder.is_relative_to(own) or folder.is_relative_to("/usr/local"):
            continue
        if "c++" in folder.parts:
            yield from _below(folder)
            continue
        for path in sorted(folder.iterdir()):
            if path.is_dir() and path.name in HEADER_FOLDERS:
                yield from _below(path)
            elif path.is_file() and path.name in HEADERS:
                yield _inside(path), path.resolve()


def _include_folders(compiler: str) -> Iterator[Path]:
    said = _run(compiler, "-E", "-v", "-xc++", os.devnull).stderr
    lines = said.partition("#include <...>")[2].partition("End of search list")[0].splitlines()
    for line in lines[1:]:
        folder = Path(os.path.normpath(line.strip()))
        if folder.is_dir():
            yield folder


def _below(folder: Path) -> Iterator[tuple[str, Path]]:
    for place, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = Path(place, name)
            if path.is_file():
                yield _inside(path), path.resolve()


def _libraries(files: Mapping[str, Path | str]) -> Iterator[tuple[str, Path]]:
    """The shared libraries that the programs need, the C library's own apart."""
    programs = {path for path in files.values() if isinstance(path, Path) and _is_elf(path)}
    needed: set[str] = set()
    for path in programs:
        elf = read_elf(path.read_bytes())
        needed.update(elf.needed if elf else ())
    found = HostLibraries(Path("/usr/bin/gcc").resolve()).closure(needed)
    for soname, path in sorted(found.items()):
        if not soname.startswith(GLIBC):
            yield f"lib/{soname}", path


def _is_elf(path: Path) -> bool:
    if path.suffix in (".h", ".a", ".o"):
        return False
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def _inside(path: Path) -> str:
    """Where a file of this machine is in the toolchain; all of it is below `/usr` (merged or not)."""
    place = path.parent.resolve() / path.name
    inside = place.relative_to("/")
    if inside.parts[0] != "usr":
        inside = Path("usr", inside)
    return inside.as_posix()


def _ask(compiler: str, question: str) -> str:
    return _run(compiler, question).stdout.strip()


def _run(compiler: str, *argv: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            [compiler, *argv],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            env={"PATH": _PATH, "LC_ALL": "C"},
            cwd="/",
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise _no_compiler(f"`{compiler}` does not answer: {error}") from error


def _fingerprint(files: Mapping[str, Path | str]) -> str:
    digest = hashlib.sha256(f"{_RECIPE}".encode())
    for inside, found in sorted(files.items()):
        mark = found if isinstance(found, str) else _stamp(found.stat())
        digest.update(f"{inside}\0{mark}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _stamp(status: os.stat_result) -> str:
    return f"{status.st_size} {status.st_mtime_ns} {status.st_mode}"


def _file(path: Path) -> Regular:
    status = path.stat()

    def read() -> Iterable[bytes]:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                yield chunk

    return Regular(status.st_size, read, bool(status.st_mode & stat.S_IXUSR))


def _no_compiler(why: str) -> StoreError:
    return StoreError(
        "`host#cc` is not to be had: this machine has no C compiler",
        details=(why,),
        hint='`"build-inputs": ["nixpkgs#gcc"]`, or install the package `gcc` of this machine',
        reason="toolchain",
    )
