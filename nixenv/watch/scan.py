"""What there is below a folder that can carry an environment, and whether it is still what it was.

Looking is the truth here; what the system says about changes only tells when to look. It blocks, so an
event loop has it done in a thread.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from nixenv.notebook.metadata import lock_path
from nixenv.notebook.notebookpath import PROJECT_FILE

Stamp = tuple[tuple[int, int, int], ...]
"""Modification time, size and inode of each file of a document: another one is another content."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One look at a tree.

    Attributes:
        documents: Notebooks and `nixenv.toml` files by path, each with its stamp.
        closed: Folders that could not be read, each with the reason.
        seconds: What the look cost.
    """

    documents: dict[Path, Stamp]
    closed: dict[Path, str]
    seconds: float


def scan(root: Path, check: Callable[[], None] = lambda: None) -> Seen:
    """Every document below `root`; links to folders are not followed, so a loop of them ends nowhere.

    Args:
        root: An absolute path.
        check: Called for each folder; what it raises ends the look.

    Raises:
        OSError: `root` itself cannot be read.
    """
    began = time.monotonic()
    seen = Seen({}, {}, 0.0)
    folders = [root]
    while folders:
        check()
        folder = folders.pop()
        try:
            inside = list(_entries(folder))
        except (FileNotFoundError, NotADirectoryError):
            if folder == root:
                raise
            continue  # it went away meanwhile
        except OSError as error:
            if folder == root:
                raise
            seen.closed[folder] = (error.strerror or str(error)).lower()
            continue
        folders += [path for path, is_folder in inside if is_folder]
        found = ((path, stamp_of(path)) for path, is_folder in inside if not is_folder)
        seen.documents.update((path, stamp) for path, stamp in found if stamp)
    return Seen(seen.documents, seen.closed, time.monotonic() - began)


def _entries(folder: Path) -> Iterator[tuple[Path, bool]]:
    """The folders and the documents in `folder`; what is hidden is nobody's own notebook."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield Path(entry.path), True
            elif _is_document(entry.name):
                yield Path(entry.path), False


def _is_document(name: str) -> bool:
    return name.endswith(".ipynb") or name == PROJECT_FILE


def stamp_of(path: Path) -> Stamp | None:
    """The stamp of the document at `path`; None when there is no file."""
    stamps = []
    for part in (path, lock_path(path)) if path.name == PROJECT_FILE else (path,):
        with suppress(OSError):
            status = part.stat()
            if stat.S_ISREG(status.st_mode):
                stamps.append((status.st_mtime_ns, status.st_size, status.st_ino))
        if not stamps:
            return None
    return tuple(stamps)


def document_of(path: Path, root: Path) -> Path | None:
    """The document below `root` that a change of the file at `path` is about; None when there is none."""
    if not path.is_relative_to(root):
        return None
    if any(part.startswith(".") for part in path.relative_to(root).parts):
        return None
    if path.name == lock_path(Path(PROJECT_FILE)).name:
        return path.with_name(PROJECT_FILE)
    return path if _is_document(path.name) else None
