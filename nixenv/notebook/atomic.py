"""Replacing a file in one step, so that no reader ever sees half of it."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Keep other writers that do the same away from `path` for the length of the block.

    The lock is on the file itself, so it needs no second file beside the notebook; a writer that waited
    for it may hold one that was replaced meanwhile, and starts over.

    Raises:
        OSError: It does not exist or cannot be opened.
    """
    while True:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            # Network file systems without locks: the check before the rename is all there is then.
            with suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                yield
                return
        finally:
            os.close(descriptor)


def replace(path: Path, data: bytes, *, still: tuple[int, int, int] | None = None) -> bool:
    """Give `path` the content `data`, by a rename; mode, owner and attributes are kept.

    Args:
        path: The file itself, not a link to it; may not exist yet.
        data: Its new content.
        still: Modification time (ns), size and inode that it must have at the last moment.

    Returns:
        False when it is another file by now; nothing has happened then.

    Raises:
        OSError: The file is read-only (for root too: a rename would not ask), the folder is, or the
            disk is full.
    """
    status = path.stat() if path.exists() else None
    if status is not None and not (status.st_mode & 0o222 and os.access(path, os.W_OK)):
        raise PermissionError(errno.EACCES, "it is read-only", str(path))
    descriptor, staging = tempfile.mkstemp(prefix=".nixenv-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            _copy_status(path, status, file.fileno())
            os.fsync(file.fileno())
        if still is not None:
            now = path.stat()
            if (now.st_mtime_ns, now.st_size, now.st_ino) != still:
                return False
        os.replace(staging, path)  # noqa: PTH105 - a path of mkstemp is a text
        staging = ""
    finally:
        if staging:
            Path(staging).unlink(missing_ok=True)
    _sync_folder(path.parent)
    return True


def _copy_status(path: Path, status: os.stat_result | None, descriptor: int) -> None:
    if status is None:
        umask = os.umask(0)
        os.umask(umask)
        os.fchmod(descriptor, 0o666 & ~umask)
        return
    with suppress(OSError):
        os.fchown(descriptor, status.st_uid, status.st_gid)
    with suppress(OSError):  # attributes are a kindness; not every file system has them
        for name in os.listxattr(path) if hasattr(os, "listxattr") else ():
            os.setxattr(descriptor, name, os.getxattr(path, name))
    os.fchmod(descriptor, stat.S_IMODE(status.st_mode))


def _sync_folder(folder: Path) -> None:
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
