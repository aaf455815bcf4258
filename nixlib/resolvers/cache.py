"""What registries said, kept between runs: sizes and metadata by sha256 for ever, pages for minutes.

One SQLite file, safe between threads and processes. It is only a cache: when it cannot be opened or
written (read-only home, full disk) it lives in memory instead, and nobody is told.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

__all__ = ["FactCache"]

_SCHEMA = """
create table if not exists sizes (sha256 text primary key, size integer not null) without rowid;
create table if not exists bodies (key text primary key, made real not null, body blob not null);
"""


class FactCache:
    """Sizes and bodies by key. `clock` is seconds since the epoch."""

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._lock = threading.Lock()
        self._clock = clock
        self._db = _open(path)

    def sizes(self, sha256s: Iterable[str]) -> dict[str, int]:
        """The sizes in bytes that are known, by sha256."""
        with self._lock:
            rows = (
                self._db.execute(
                    "select sha256, size from sizes where sha256 = ?", (sha256,)
                ).fetchone()
                for sha256 in sha256s
            )
            return {row[0]: row[1] for row in rows if row}

    def put_sizes(self, sizes: dict[str, int]) -> None:
        """Remember sizes in bytes, by sha256."""
        with self._lock, contextlib.suppress(sqlite3.Error), self._db:
            self._db.executemany("insert or replace into sizes values (?, ?)", sizes.items())

    def body(self, key: str, *, seconds: float | None = None) -> bytes | None:
        """A body that was kept, unless it is older than `seconds`."""
        with self._lock:
            row = self._db.execute("select made, body from bodies where key = ?", (key,)).fetchone()
        if row is None or (seconds is not None and not 0 <= self._clock() - row[0] <= seconds):
            return None
        return zlib.decompress(row[1])

    def put_body(self, key: str, body: bytes) -> None:
        """Keep a body."""
        packed = zlib.compress(body, 1)
        with self._lock, contextlib.suppress(sqlite3.Error), self._db:
            self._db.execute(
                "insert or replace into bodies values (?, ?, ?)", (key, self._clock(), packed)
            )

    def close(self) -> None:
        """Close the file."""
        self._db.close()


def _open(path: Path) -> sqlite3.Connection:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)  # pages of private indexes are nobody else's business
        db = sqlite3.connect(path, timeout=10, check_same_thread=False)
        db.executescript("pragma journal_mode=wal; pragma synchronous=off;" + _SCHEMA)
    except (sqlite3.Error, OSError):
        db = sqlite3.connect(":memory:", check_same_thread=False)
        db.executescript(_SCHEMA)
    return db
