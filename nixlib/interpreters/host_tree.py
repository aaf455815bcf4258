"""A Python of this machine as a tree that stands alone.

The tree depends on the interpreter's own files and on nothing else of the machine: not on where they
are, nor on when they were written. So the same distribution package gives the same store path everywhere.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from nixlib.binaries.sharedlibs import gather
from nixlib.errors import InterpreterError
from nixlib.interpreters.host_python import HostPython
from nixlib.interpreters.precompile import with_bytecode
from nixlib.interpreters.sysconfigdata import relocated
from nixlib.interpreters.trim import is_kept, minor_of
from nixlib.tree import Directory, Node, Regular, Symlink, tree_of

RECIPE = 1
"""Changes whenever the same interpreter would give another tree."""

_CHUNK = 1 << 18


@dataclass(frozen=True, slots=True)
class HostCopy:
    """An interpreter that needs nothing of the place that it came from.

    Attributes:
        tree: `bin/python3.X`, `lib/python3.X`, `include/python3.X`.
        libraries: Sonames that it needs from the system.
        version: `3.11.7`.
    """

    tree: Directory
    libraries: tuple[str, ...]
    version: str


def host_tree(host: HostPython, *, scratch: Path | None = None) -> HostCopy:
    """A copy of `host` with bytecode; reads files again whenever the tree is read.

    Costs the compilation of the standard library, some 2 s on one core.

    Args:
        host: What to copy.
        scratch: Folder for a temporary copy, on a file system that lets programs run.

    Raises:
        InterpreterError: A file cannot be read, a library cannot be moved, the copy does not start.
    """
    minor = minor_of(host.version)
    try:
        nodes = dict(_library_nodes(host, f"lib/python{minor}"))
        nodes.update(_header_nodes(host, f"include/python{minor}"))
        binaries = gather(_programs(host, minor, nodes), _mover(host), _spare(host))
    except OSError as error:
        raise InterpreterError(
            f"Python {host.version} of this machine cannot be copied",
            details=(f"`{host.executable}`", f"{error.strerror}: `{error.filename}`"),
        ) from error
    program = f"bin/python{minor}"
    nodes |= _library_links(host, binaries.files)
    nodes.update(_tcl_nodes(host, binaries.files))
    for path, data in binaries.files.items():
        nodes[path] = Regular.of(
            data, executable=path == program or _is_executable(nodes.get(path))
        )
    nodes |= {"bin/python3": Symlink(f"python{minor}"), "bin/python": Symlink(f"python{minor}")}
    if host.platlibdir != "lib":  # Fedora: the program looks for `lib64/python3.X`
        nodes[host.platlibdir] = Symlink("lib")
    tree = with_bytecode(tree_of(nodes), host.version, scratch=scratch)
    return HostCopy(tree, binaries.libraries, host.version)


def fingerprint(host: HostPython) -> str:
    """A digest that changes when any file of `host` does; by sizes and times, in some 20 ms."""
    digest = hashlib.sha256(f"{RECIPE} {host}".encode())
    seen = [host.executable, *host.prefix.glob("lib*/libpython3*")]
    seen += [
        path
        for folder in (host.stdlib, host.extensions, *host.headers)
        for path, _ in _files(folder)
    ]
    for path in seen:
        try:
            status = path.stat()
        except OSError:
            continue
        digest.update(
            f"{path}\0{status.st_size}\0{status.st_mtime_ns}\0{status.st_mode}\n".encode()
        )
    return digest.hexdigest()


def _library_nodes(host: HostPython, place: str) -> Iterator[tuple[str, Node]]:
    for path, inside in _files(host.stdlib):
        if not inside.startswith("lib-dynload/"):
            yield f"{place}/{inside}", _node(path, inside, host)
    for path, name in _files(host.extensions):
        if is_kept(f"lib-dynload/{name}"):
            yield f"{place}/lib-dynload/{name}", _file(path)


def _header_nodes(host: HostPython, place: str) -> Iterator[tuple[str, Node]]:
    for folder in host.headers:
        for path, inside in _files(folder):
            yield f"{place}/{inside}", _file(path)


def _files(folder: Path, inside: str = "") -> Iterator[tuple[Path, str]]:
    """Files that belong to the tree, sorted, with their paths below `folder`.

    Links to folders are not followed: none of upstream's or the distributions' leads to a part of the
    standard library.
    """
    try:
        found = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except FileNotFoundError:
        return
    for entry in found:
        path = inside + entry.name
        if not is_kept(path):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _files(Path(entry.path), f"{path}/")
        elif entry.is_file():
            yield Path(entry.path), path


def _node(path: Path, inside: str, host: HostPython) -> Node:
    if inside.startswith("_sysconfigdata") and inside.endswith(".py"):
        if path.is_symlink() and path.resolve().parent == host.stdlib.resolve():
            return Symlink(path.resolve().name)
        text = relocated(path.read_text("utf-8"), host.configured or str(host.prefix))
        return Regular.of(text.encode())
    return _file(path)


def _file(path: Path) -> Regular:
    status = path.stat()

    def read() -> Iterator[bytes]:
        try:
            with path.open("rb") as file:
                while chunk := file.read(_CHUNK):
                    yield chunk
        except OSError as error:
            raise InterpreterError(
                f"a file of this machine's Python cannot be read: `{path}`",
                details=(str(error.strerror),),
            ) from error

    return Regular(status.st_size, read, executable=bool(status.st_mode & stat.S_IXUSR))


def _is_executable(node: Node | None) -> bool:
    return isinstance(node, Regular) and node.executable


def _programs(host: HostPython, minor: str, nodes: dict[str, Node]) -> dict[str, Path]:
    """Every ELF file that the tree must have, by its path there."""
    programs = {f"bin/python{minor}": host.executable}
    for path in nodes:
        if path.endswith(".so"):
            _, _, inside = path.partition(f"lib/python{minor}/")
            folder, _, name = inside.rpartition("/")
            own = folder == "lib-dynload"
            programs[path] = host.extensions / name if own else host.stdlib / inside
    return programs


def _mover(host: HostPython) -> Callable[[str], str]:
    def find(folder: str) -> str:
        configured = host.configured
        if configured and (folder == configured or folder.startswith(configured + "/")):
            return str(host.prefix) + folder[len(configured) :]
        return folder

    return find


def _library_links(host: HostPython, files: Mapping[str, bytes]) -> dict[str, Node]:
    """`libpython3.X.so`, for those who link to it or embed it."""
    name = f"libpython{minor_of(host.version)}.so"
    return {f"lib/{name}": Symlink(f"{name}.1.0")} if f"lib/{name}.1.0" in files else {}


def _tcl_nodes(host: HostPython, files: Mapping[str, bytes]) -> Iterator[tuple[str, Node]]:
    """The scripts of a Tcl that came along, conda's for one: without them `tkinter` has no windows."""
    if any(path.startswith("lib/libtcl") for path in files):
        for folder in (*host.prefix.glob("lib/tcl8*"), *host.prefix.glob("lib/tk8*")):
            for path, inside in _files(folder):
                yield f"lib/{folder.name}/{inside}", _file(path)


def _spare(host: HostPython) -> list[Path]:
    return [host.prefix / "lib"] if host.prefix != Path("/usr") else []
