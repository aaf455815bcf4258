"""Bytecode for a standard library, inside the interpreter's own store object.

Without it, imports of the standard library take five times as long; in everybody's own cache it would
be made once per user. It is made by the tree's own interpreter, started from a temporary copy, which
also proves that the tree can start. Compiling all of Python 3.11's takes 1.4 s on one core.

Every `__pycache__` also links to those of the packages below it. So `-X pycache_prefix`, which makes
Python ignore `__pycache__`, is served by one link: from `<prefix>/<store path>/lib/python3.X` to
`<store path>/lib/python3.X/__pycache__`.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from nixlib.errors import InterpreterError
from nixlib.interpreters.trim import minor_of
from nixlib.tree import Directory, Node, Regular, Symlink, walk

_SCRIPT = Path(__file__).parent.parent / "builders" / "compile_stdlib.py"
_PREFIX = "nixenv-python-"
_ABANDONED_SECONDS = 3600
_SECONDS = 300  # on one slow core it takes ten


def with_bytecode(tree: Directory, version: str, *, scratch: Path | None = None) -> Directory:
    """`tree` with `__pycache__` beside every module of its standard library.

    Args:
        tree: An interpreter with `bin/python3.X` and `lib/python3.X`, able to run on this machine.
        version: Its version, for messages and names.
        scratch: Folder for the temporary copy, on a file system that lets programs run.

    Raises:
        InterpreterError: It does not start, or is not of `version`.
    """
    minor = minor_of(version)
    library = f"lib/python{minor}"
    sources = [
        path
        for path, node in walk(tree)
        if path.endswith(".py") and isinstance(node, Regular) and path.startswith(library + "/")
    ]
    try:
        with _scratch_folder(scratch) as folder:
            write_tree(tree, folder)
            output = _run(folder, version, "\n".join(sources).encode())
    except OSError as error:
        raise InterpreterError(
            f"a temporary copy of Python {version} cannot be written",
            details=(f"{error.strerror}: `{error.filename or scratch}`",),
        ) from error
    suffix = f".cpython-{minor.replace('.', '')}.pyc"
    codes = dict(_records(io.BytesIO(output)))
    return _merged(tree, library, codes, suffix)


@contextmanager
def _scratch_folder(scratch: Path | None) -> Iterator[Path]:
    """A new folder, gone afterwards; those of processes that were killed go as well."""
    if scratch is not None:
        scratch.mkdir(parents=True, exist_ok=True)
        for old in scratch.glob(f"{_PREFIX}*"):
            if time.time() - old.stat().st_mtime > _ABANDONED_SECONDS:
                shutil.rmtree(old, ignore_errors=True)
    # A thread that is cut short by Ctrl-C may still write there; the next process clears it then.
    with tempfile.TemporaryDirectory(
        dir=scratch, prefix=_PREFIX, ignore_cleanup_errors=True
    ) as folder:
        yield Path(folder)


def write_tree(tree: Directory, folder: Path) -> None:
    """Write `tree` into the empty directory `folder`."""
    for path, node in walk(tree):
        target = folder / path
        if isinstance(node, Directory):
            target.mkdir()
        elif isinstance(node, Symlink):
            target.symlink_to(node.target)
        else:
            with target.open("wb") as file:
                file.writelines(node.read())
            target.chmod(0o755 if node.executable else 0o644)


def _run(folder: Path, version: str, sources: bytes) -> bytes:
    # A fixed hash seed, because the order of a set in marshalled code depends on it before 3.11.
    # Isolated mode would ignore that variable, so each of its parts is asked for by itself.
    program = folder / f"bin/python{minor_of(version)}"
    flags = ("-s", "-S", "-B", "-W", "ignore")
    command = [str(program), *flags, "-c", _SCRIPT.read_text("utf-8"), version]
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            input=sources,
            capture_output=True,
            timeout=_SECONDS,
            env={"PYTHONHASHSEED": "0"},
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InterpreterError(
            f"the copy of Python {version} cannot be started", details=(str(error),)
        ) from error
    if done.returncode != 0:
        tail = done.stderr.decode("utf-8", "replace").splitlines()[-20:]
        raise InterpreterError(
            f"the copy of Python {version} does not run on this machine: exit status {done.returncode}",
            details=tuple(tail),
        )
    return done.stdout


def _records(stream: BinaryIO) -> Iterator[tuple[str, bytes]]:
    for header in stream:
        path_size, size = map(int, header.split())
        yield stream.read(path_size).decode(), stream.read(size)


def _merged(tree: Directory, library: str, codes: Mapping[str, bytes], suffix: str) -> Directory:
    def with_cache(path: str, folder: Directory) -> Directory:
        entries: dict[str, Node] = {}
        cache: dict[str, Node] = {}
        for name, node in folder.entries.items():
            inside = f"{path}/{name}"
            if isinstance(node, Directory):
                entries[name] = below = with_cache(inside, node)
                if "__pycache__" in below.entries:
                    cache[name] = Symlink(f"../{name}/__pycache__")
                continue
            entries[name] = node
            if inside in codes:
                cache[name.removesuffix(".py") + suffix] = Regular.of(codes[inside])
        if cache:
            entries["__pycache__"] = Directory(cache)
        return Directory(entries)

    return _replaced(tree, library.split("/"), lambda folder: with_cache(library, folder))


def _replaced(
    folder: Directory, path: Sequence[str], change: Callable[[Directory], Directory]
) -> Directory:
    """`folder` with what `change` makes of the directory at `path`."""
    if not path:
        return change(folder)
    inside = folder.entries.get(path[0])
    if not isinstance(inside, Directory):
        raise InterpreterError(f"an interpreter's tree has no `{path[0]}`")
    return Directory({**folder.entries, path[0]: _replaced(inside, path[1:], change)})
