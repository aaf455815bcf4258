"""Where tests keep their files: in memory where there is room, and nothing of it stays.

The tests make dozens of stores with thousands of small files each. On a busy disk creating and deleting
those took longer than everything else. `pytest --basetemp DIR` puts them where they can be looked at.
"""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

MEMORY = Path("/dev/shm")
ENOUGH = 8 << 30  # bytes; the whole suite fills less than half of it
SCRATCH = pytest.StashKey[str]()


def pytest_configure(config: pytest.Config) -> None:
    """Once, in the process that the workers inherit their variables from."""
    if hasattr(config, "workerinput") or config.option.basetemp:
        return
    scratch = tempfile.mkdtemp(prefix="nixenv-", dir=MEMORY if _has_room() else None)
    Path(scratch).chmod(0o755)  # some tests are another user's
    config.stash[SCRATCH] = scratch
    os.environ["TMPDIR"] = os.environ["PYTEST_DEBUG_TEMPROOT"] = scratch
    tempfile.tempdir = None


def pytest_unconfigure(config: pytest.Config) -> None:
    """Delete everything, in the background: nobody has to wait for it."""
    scratch = config.stash.get(SCRATCH, None)
    if scratch is not None:
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
