"""Where tests keep their files: in memory where there is room, and nothing of it stays.

The tests make dozens of stores with thousands of small files each. On a busy disk creating and deleting
those took longer than everything else. `pytest --basetemp DIR` puts them where they can be looked at.
"""

import contextlib
import fcntl
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

MEMORY = Path("/dev/shm")
ENOUGH = 8 << 30  # bytes; the whole suite fills less than half of it
PREFIX = "nixenv-pytest-"
SCRATCH = pytest.StashKey[tuple[str, int]]()


def pytest_configure(config: pytest.Config) -> None:
    """Once, in the process that the workers inherit their variables from."""
    if hasattr(config, "workerinput") or config.option.basetemp:
        return
    place = MEMORY if _has_room() else Path(tempfile.gettempdir())
    for left in place.glob(f"{PREFIX}*"):
        _delete_if_nobodys(left)
    scratch = tempfile.mkdtemp(prefix=PREFIX, dir=place)
    Path(scratch).chmod(0o755)  # some tests are another user's
    config.stash[SCRATCH] = scratch, _lock(scratch)
    os.environ["TMPDIR"] = os.environ["PYTEST_DEBUG_TEMPROOT"] = scratch
    # Root's stores share their build users, and Nix kills all processes of one when a build ends.
    os.environ.setdefault("NIX_CONFIG", "build-users-group =")
    tempfile.tempdir = None


def pytest_unconfigure(config: pytest.Config) -> None:
    """Delete everything, in the background: nobody has to wait for it."""
    scratch, lock = config.stash.get(SCRATCH, ("", -1))
    if scratch:
        _delete(scratch)
        os.close(lock)


def _lock(scratch: str | Path) -> int:
    """A descriptor that says, as long as this process lives, that the folder is in use."""
    descriptor = os.open(scratch, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _delete_if_nobodys(left: Path) -> None:
    """A run that was killed could not delete its own."""
    with contextlib.suppress(OSError):  # in use, or another user's
        os.close(_lock(left))
        _delete(str(left))


def _delete(scratch: str) -> None:
    # Folders of a store are read-only, also for their owner.
    delete = 'trap "" HUP; (chmod -R u+w "$0"; rm -rf "$0") &'
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
    argv = ["sh", "-c", delete, scratch]
    subprocess.run(argv, **quiet, stderr=subprocess.DEVNULL, check=True, start_new_session=True)


def _has_room() -> bool:
    """Whether programs can be run from memory, and there is enough of it."""
    if not os.access(MEMORY, os.W_OK) or os.statvfs(MEMORY).f_flag & os.ST_NOEXEC:
        return False
    return min(shutil.disk_usage(MEMORY).free, _available()) >= ENOUGH


def _available() -> int:
    """Bytes of memory that a program can still have."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) << 10
    return 0
