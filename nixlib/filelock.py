"""Locks between processes that a killed process cannot leave behind (`flock(2)`)."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nixlib.cancel import Cancel

_POLL = 0.02  # seconds; a blocking flock could not be cancelled


@contextmanager
def file_lock(path: Path, cancel: Cancel) -> Iterator[None]:
    """Hold the lock that `path` stands for; its file is there only while somebody holds or wants it.

    Raises:
        RealisationCancelledError: While waiting.
        OSError: The directory cannot be written.
    """
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            _acquire(descriptor, cancel)
            if _is_current(path, descriptor):
                break
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # its holder removed it meanwhile: the lock is another file now
    try:
        yield
    finally:
        path.unlink(missing_ok=True)  # before letting go, so that nobody can hold a nameless one
        os.close(descriptor)


def _acquire(descriptor: int, cancel: Cancel) -> None:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            cancel.wait(_POLL)
        else:
            return


def _is_current(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
