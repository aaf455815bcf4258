"""The first opening of a store, by one process at a time.

Nix does not guard the moment in which it creates a store: of six processes that open a new one at
once, with Nix 2.8 most and with Nix 2.34 some fail ("schema is corrupt", "database is busy"; tried).
"""

from __future__ import annotations

import fcntl
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LOCK = "nixenv-first-opening.lock"


@contextmanager
def first_opening(state_dir: Path) -> Iterator[None]:
    """Hold this while a store is opened; for one that exists it costs a `stat`."""
    if _exists(state_dir):
        yield
        return
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
        lock = (state_dir / _LOCK).open("a")
    except OSError:
        # Not ours to create; Nix says best why not.
        yield
        return
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _exists(state_dir: Path) -> bool:
    # Written last of all, and for a moment empty.
    try:
        return (state_dir / "db" / "schema").stat().st_size > 0
    except PermissionError:
        return True
    except OSError:
        return False
