"""A project's folder on this machine as a tree, without what is no part of the project.

What tools leave behind does not belong to what is built, and the notebook beside the project even less: it
holds the lock, and would change the tree that the lock names each time it is saved. Files that commonly hold
secrets stay out as well, because everybody on a machine can read its store.
"""

from __future__ import annotations

import fnmatch
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from nixlib.errors import SourceError
from nixlib.sources.links import leads_out
from nixlib.tree import Directory, Node, Regular, Symlink, tree_of

__all__ = ["read_folder"]

_SKIPPED_FOLDERS: Final = frozenset(
    {
        *(".git", ".hg", ".svn", ".bzr", ".jj"),
        *("__pycache__", ".eggs", "node_modules", "__pypackages__"),
        *(".venv", ".direnv", ".nox", ".tox", ".pixi"),
        *(".mypy_cache", ".pytest_cache", ".ruff_cache", ".hypothesis", ".cache"),
        *(".ipynb_checkpoints", ".idea", ".vscode", ".ssh", ".aws", ".gnupg"),
    }
)
_SKIPPED_FILES: Final = ("*.pyc", "*.pyo", "*.ipynb", ".env", ".env.*", ".netrc", ".DS_Store")
_SKIPPED_SUFFIXES: Final = (".egg-info",)
_PROJECT_FILES: Final = ("pyproject.toml", "setup.py", "setup.cfg")
_MAX_BYTES: Final = 1 << 30
_MAX_FILES: Final = 100_000
_CHUNK: Final = 1 << 20


def read_folder(folder: Path, *, subdirectory: str = "") -> Directory:
    """The files of a project; they are read when the tree is.

    Args:
        folder: Absolute.
        subdirectory: Where in it the project is.

    Raises:
        SourceError: It is no folder of a project, too big, or a link leads out of it.
    """
    project = folder / subdirectory
    if not any((project / name).is_file() for name in _PROJECT_FILES):
        seen = "there is no such folder" if not project.is_dir() else f"it has no {_named()}"
        raise _bad(folder, seen)
    files: dict[str, Node] = {}
    size = 0
    try:
        for path, entry in _entries(folder, ""):
            node = _node(folder, path, entry)
            if node is None:
                continue
            files[path] = node
            size += node.size if isinstance(node, Regular) else 0
            if len(files) > _MAX_FILES or size > _MAX_BYTES:
                raise _bad(folder, f"more than {_MAX_FILES} files or {_MAX_BYTES} bytes are in it")
    except OSError as error:
        raise _bad(folder, f"{error.strerror}: `{error.filename}`") from error
    return tree_of(files)


def _entries(folder: Path, prefix: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        if not entry.is_dir(follow_symlinks=False):
            if not any(fnmatch.fnmatch(entry.name, pattern) for pattern in _SKIPPED_FILES):
                yield prefix + entry.name, entry
        elif not _is_skipped(entry):
            yield from _entries(Path(entry.path), f"{prefix}{entry.name}/")


def _is_skipped(entry: os.DirEntry[str]) -> bool:
    """Whether a folder is a tool's, or a virtual environment of any name."""
    return (
        entry.name in _SKIPPED_FOLDERS
        or entry.name.endswith(_SKIPPED_SUFFIXES)
        or Path(entry.path, "pyvenv.cfg").is_file()
        or Path(entry.path, "conda-meta").is_dir()
    )


def _node(folder: Path, path: str, entry: os.DirEntry[str]) -> Node | None:
    if entry.is_symlink():
        target = os.readlink(entry.path)  # noqa: PTH115 - the text, and no `Path` of it
        if leads_out(path, target):
            raise _bad(folder, f"link `{path}` leads out of it: `{target[:200]}`")
        return Symlink(target)
    status = entry.stat(follow_symlinks=False)
    if not stat.S_ISREG(status.st_mode):
        return None  # a socket or a pipe of a program that runs
    return Regular(status.st_size, _reader(Path(entry.path)), bool(status.st_mode & stat.S_IXUSR))


def _reader(path: Path) -> Callable[[], Iterator[bytes]]:
    def read() -> Iterator[bytes]:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                yield chunk

    return read


def _named() -> str:
    return " and no ".join(f"`{name}`" for name in _PROJECT_FILES)


def _bad(folder: Path, reason: str) -> SourceError:
    return SourceError(
        f"`{folder}` is not a project that can be built",
        details=(reason,),
        source=str(folder),
        member="",
    )
