"""Which notebook uses which environment, and which environments are in use right now.

One file per pair of root and notebook: its text is the notebook's path, its modification time the last
use. Nothing is rewritten in place, so a hundred kernels that start at once cannot lose each other's
entries. An environment is in use while somebody holds a shared `flock` on its file in `running/`: a
kernel inherits the descriptor, so the hold ends when the kernel's process does, however it ends (a
file with a process id would outlive a SIGKILL and could name a stranger later).
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Use:
    """`notebook` started, built or ran in the environment that the root `root` keeps.

    Attributes:
        root: File name of the GC root's link.
        notebook: Absolute path, as it was when used; the file may be gone.
        last_used: Seconds since the epoch.
    """

    root: str
    notebook: Path
    last_used: float


def record_use(state_dir: Path, root: str, notebook: Path, *, when: float | None = None) -> None:
    """Remember that `notebook` uses the environment of `root` now (or at `when`).

    Costs two system calls when the pair is known. Never raises for a state directory that cannot be
    written: a kernel must start from a read-only home too; all that is lost is that gc may think the
    environment unused, and then only rebuilding it is.
    """
    moment = time.time() if when is None else when
    absolute = os.path.abspath(notebook)  # noqa: PTH100 - resolve() would follow the user's links
    entry = use_file(state_dir, root, notebook)
    try:
        os.utime(entry, (moment, moment))
    except FileNotFoundError:
        _create_entry(entry, absolute, moment)
    except OSError:
        return


def use_file(state_dir: Path, root: str, notebook: Path) -> Path:
    """The file whose time is the last use of `root` by `notebook`."""
    absolute = os.path.abspath(notebook)  # noqa: PTH100 - resolve() would follow the user's links
    return _uses(state_dir) / root / hashlib.sha256(os.fsencode(absolute)).hexdigest()[:32]


def hold_file(state_dir: Path, root: str) -> Path:
    """The file that is locked for as long as `root` is in use."""
    return _running(state_dir) / root


def _create_entry(entry: Path, notebook: str, moment: float) -> None:
    staging = entry.with_name(f".{entry.name}.{os.getpid()}")
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        staging.write_bytes(os.fsencode(notebook))
        os.utime(staging, (moment, moment))
        staging.replace(entry)
    except OSError:
        return


def recorded_uses(state_dir: Path) -> tuple[Use, ...]:
    """Every use that is known, by root, then oldest first."""
    found = [
        Use(entry.parent.name, Path(os.fsdecode(entry.read_bytes())), entry.stat().st_mtime)
        for entry in _uses(state_dir).glob("*/*")
        if not entry.name.startswith(".")
    ]
    return tuple(sorted(found, key=lambda use: (use.root, use.last_used)))


def forget_use(state_dir: Path, use: Use) -> None:
    """Drop one pair; nothing happens when it is gone."""
    name = hashlib.sha256(os.fsencode(use.notebook)).hexdigest()[:32]
    (_uses(state_dir) / use.root / name).unlink(missing_ok=True)


def forget_root(state_dir: Path, root: str) -> None:
    """Drop every use of `root`."""
    shutil.rmtree(_uses(state_dir) / root, ignore_errors=True)


def hold(state_dir: Path, root: str) -> int:
    """Keep `root` from the collector until the returned descriptor is closed everywhere.

    Take it *before* looking through the root: a collector that was faster has then removed the root
    already, one that is slower sees the hold. Pass the descriptor to the kernel (`pass_fds`).

    Returns:
        An inheritable file descriptor with a shared lock.

    Raises:
        OSError: The state directory cannot be written.
    """
    path = hold_file(state_dir, root)
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        if _is_current(descriptor, path):
            os.set_inheritable(descriptor, True)  # noqa: FBT003 - positional-only
            return descriptor
        # The collector removed the file between our open and our lock: a lock on it protects nothing.
        os.close(descriptor)


@contextmanager
def claim(state_dir: Path, root: str) -> Iterator[bool]:
    """Keep kernels from starting in `root` for the length of the block.

    Yields:
        False when one is running there already; then nothing is locked.
    """
    path = _running(state_dir) / root
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield _is_current(descriptor, path)
        path.unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def is_running(state_dir: Path, root: str) -> bool:
    """Whether a process holds `root` at this moment; leaves no trace."""
    try:
        descriptor = os.open(_running(state_dir) / root, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _is_current(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _uses(state_dir: Path) -> Path:
    return state_dir / "uses"


def _running(state_dir: Path) -> Path:
    return state_dir / "running"
