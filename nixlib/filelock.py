"""Locks between processes that a killed process cannot leave behind (`flock(2)`)."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from nixlib.cancel import Cancel

_POLL = 0.02  # seconds; a blocking flock could not be cancelled


def try_lock(path: Path) -> Callable[[], None] | None:
    """Take the lock that `path` stands for, unless somebody has it.

    Its file is there only while somebody holds or wants it; the directory is made.

    Returns:
        What lets go of it, from any thread; None where another holds it, be it this very process.

    Raises:
        OSError: The directory cannot be written.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        if _is_current(path, descriptor):
            return lambda: _release(path, descriptor)
        os.close(descriptor)  # its holder removed it meanwhile: the lock is another file now


def wait_lock(path: Path, cancel: Cancel) -> Callable[[], None]:
    """The same, when it is free.

    Raises:
        RealisationCancelledError: While waiting.
        OSError: The directory cannot be written.
    """
    while (release := try_lock(path)) is None:
        cancel.wait(_POLL)
    return release


@contextmanager
def file_lock(path: Path, cancel: Cancel) -> Iterator[None]:
    """Hold a lock while the block runs; see `wait_lock`."""
    release = wait_lock(path, cancel)
    try:
        yield
    finally:
        release()


def _release(path: Path, descriptor: int) -> None:
    path.unlink(missing_ok=True)  # before letting go, so that nobody can hold a nameless one
    os.close(descriptor)


def _is_current(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
