"""Letters: small files between our processes that are gone when the process that wrote them is.

A kernel killed in the middle of `%nixenv add` cannot tidy up. So each letter lies in a folder of its own
beside a file that its writer keeps locked: `nixenv gc` removes every folder whose lock is free. (A file
with a process id would outlive a SIGKILL and could name a stranger later.)
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Mapping

LOCK = "lock"
# Descriptors of the locks of this process's letters, by the letters' paths.
_held: dict[str, int] = {}


def mail_folder(environ: Mapping[str, str]) -> str:
    """Where letters lie; the same for the server, its kernels and `nixenv gc`.

    Not `$XDG_RUNTIME_DIR`: that goes when the user logs out, and kernels stay.
    """
    # As `nixenv.config`, whose settings cannot be read here; a relative path is none.
    chosen = environ.get("NIXENV_CACHE_DIR", "")
    if not os.path.isabs(chosen):
        caches = environ.get("XDG_CACHE_HOME", "")
        if not os.path.isabs(caches):
            caches = os.path.join(environ.get("HOME") or os.path.expanduser("~"), ".cache")
        chosen = os.path.join(caches, "nixenv")
    return os.path.join(chosen, "mail")


def write_letter(name: str, text: str) -> str:
    """A new file called `name`, with `text` in it, for this user only; returns its path.

    It is this process's until `remove_letter`, or until the process ends.

    Raises:
        OSError: Neither the cache nor the folder for temporary files can be written.
    """
    _let_go_of_the_gone()
    place: str | None = mail_folder(os.environ)
    try:
        os.makedirs(str(place), mode=0o700, exist_ok=True)
        folder, descriptor = _new_folder(place)
    except OSError:
        # A home that cannot be written, or is full: what nobody sweeps elsewhere, the machine does.
        folder, descriptor = _new_folder(None)
    path = os.path.join(folder, name)
    _held[path] = descriptor
    try:
        with open(path, "w", encoding="utf-8", opener=_private) as file:
            file.write(text)
    except OSError:
        remove_letter(path)
        raise
    return path


def remove_letter(path: str) -> None:
    """Take a letter of this process away; nothing happens when it is gone."""
    descriptor = _held.pop(path, None)
    if descriptor is not None:
        shutil.rmtree(os.path.dirname(path), ignore_errors=True)
        os.close(descriptor)


def _let_go_of_the_gone() -> None:
    """Whoever was given a letter's path may have deleted the file."""
    for path in [path for path in _held if not os.path.exists(path)]:
        remove_letter(path)


def _new_folder(place: str | None) -> tuple[str, int]:
    """A folder that only this process has, and the descriptor that keeps it so."""
    while True:
        folder = tempfile.mkdtemp(prefix="nixenv-", dir=place)
        descriptor = _locked(os.path.join(folder, LOCK))
        if descriptor >= 0:
            return folder, descriptor


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _locked(path: str) -> int:
    """A descriptor with the lock; -1 when a sweeper was faster than we."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:
        return -1
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError:
        return descriptor  # A file system without locks; there nothing is ever swept.
    try:
        if os.path.samestat(os.fstat(descriptor), os.stat(path)):
            return descriptor
    except FileNotFoundError:
        pass
    os.close(descriptor)
    return -1


def sweep(folder: str, *, is_dry: bool = False) -> int:
    """Remove the letters in `folder` whose writers are gone, and say how many there were.

    Args:
        folder: From `mail_folder`; need not exist.
        is_dry: Only count them.
    """
    try:
        names = os.listdir(folder)
    except OSError:
        return 0
    return sum(_is_swept(os.path.join(folder, name), is_dry=is_dry) for name in names)


def _is_swept(folder: str, *, is_dry: bool) -> bool:
    try:
        # Made where it is missing: its writer was killed between two steps, or is about to take it.
        descriptor = os.open(
            os.path.join(folder, LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
        )
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not is_dry:
            shutil.rmtree(folder, ignore_errors=True)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True
