"""The ledger: which tree this machine itself made out of which artifact.

A hint from elsewhere may pair a genuine sha256 with another tree; a pair in here cannot, as only whoever
made the store object wrote it. That makes it worth a store path without looking at the artifact, and it
is only ever an optimisation: a ledger that is lost, damaged or locked costs a download, never an error.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from nixlib.composition.package import LAYOUT
from nixlib.conda.facts import CONDA_LAYOUT

if TYPE_CHECKING:
    from typing_extensions import Self

    from nixlib.lock import Lock

WHEEL_RECIPE = f"wheel-{LAYOUT}"
"""What is made of a wheel: its layout decides the tree, so another layout is another pair."""

STRICT_WHEEL_RECIPE = f"{WHEEL_RECIPE}-strict"
"""The same, noted only for wheels that agree with their own RECORD."""

CONDA_RECIPE = f"conda-{CONDA_LAYOUT}"
"""What is made of an archive of conda."""

STANDALONE_RECIPE = "standalone-1"
"""What is made of a release tarball of Python."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS pairs (
  sha256 TEXT NOT NULL, recipe TEXT NOT NULL, nar TEXT NOT NULL,
  PRIMARY KEY (sha256, recipe)
) WITHOUT ROWID
"""
_VERSION = 1
_BATCH = 500  # variables of one query; SQLite allows 999 in old builds


class Ledger:
    """Pairs on disk. Safe under many threads and processes, and for a process that is killed.

    Args:
        path: The SQLite file; its directory is made, for this user alone.
        patience: Seconds to wait for another process that writes.
    """

    def __init__(self, path: Path, *, patience: float = 10.0) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._patience = patience
        self._connection = _open(path, patience)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            if self._connection:
                self._connection.close()
                self._connection = None

    def get(self, sha256: str, recipe: str) -> str | None:
        """The SRI hash of the tree that `recipe` makes of the artifact, if this machine made it."""
        return self.get_many((sha256,), recipe).get(sha256)

    def get_many(self, sha256s: Iterable[str], recipe: str) -> dict[str, str]:
        """The same for many artifacts: those that are known, in a query for each 500."""
        wanted = list(dict.fromkeys(sha256s))
        found: dict[str, str] = {}
        for start in range(0, len(wanted), _BATCH):
            batch = wanted[start : start + _BATCH]
            marks = ",".join("?" * len(batch))
            query = f"SELECT sha256, nar FROM pairs WHERE recipe = ? AND sha256 IN ({marks})"  # noqa: S608 - only question marks
            found.update(self._run(query, (recipe, *batch)))
        return found

    def known(self, lock: Lock, *, strict: bool = False) -> Mapping[str, str]:
        """The trees of a lock's artifacts, those of its groups among them, as far as this machine made them.

        Args:
            lock: Whose artifacts.
            strict: Leave out wheels that disagree with their own RECORD.
        """
        recipe = STRICT_WHEEL_RECIPE if strict else WHEEL_RECIPE
        locks = (lock, *lock.processes)
        packages = (package for one in locks for package in one.indexed)
        wheels = (wheel.sha256 for package in packages for wheel in package.wheels)
        interpreters = (one.interpreter for one in locks)
        pythons = (found.sha256 for one in interpreters for found in one.artifacts.values())
        archives = (package.artifact.sha256 for one in locks for package in one.conda.packages)
        return {
            **self.get_many(pythons, STANDALONE_RECIPE),
            **self.get_many(archives, CONDA_RECIPE),
            **self.get_many(wheels, recipe),
        }

    def put(self, sha256: str, recipe: str, nar: str) -> None:
        """Note that this machine made the tree `nar` (SRI) out of an artifact."""
        self._run("INSERT OR REPLACE INTO pairs VALUES (?, ?, ?)", (sha256, recipe, nar))

    def _run(self, query: str, values: tuple[str, ...]) -> list[tuple[str, str]]:
        with self._lock:
            if self._connection is None:
                return []
            try:
                return list(self._connection.execute(query, values))
            except sqlite3.OperationalError:
                return []  # locked for long, full or read-only disk: as if it were not known
            except sqlite3.DatabaseError:
                self._connection.close()
                self._connection = _renewed(self._path, self._patience)
                return []


def _open(path: Path, patience: float) -> sqlite3.Connection | None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Whoever can write here can make us believe a pair; a directory made elsewhere may be open.
        if path.parent.stat().st_mode & 0o077:
            path.parent.chmod(0o700)
        return _connect(path, patience)
    except (sqlite3.OperationalError, OSError):
        return None
    except sqlite3.DatabaseError:
        return _renewed(path, patience)


def _renewed(path: Path, patience: float) -> sqlite3.Connection | None:
    """Set a file that is no database aside, for whoever wants to look at it, and begin anew."""
    with contextlib.suppress(OSError):
        path.rename(f"{path}.damaged-{time.time_ns()}")
    for suffix in ("-wal", "-shm"):
        with contextlib.suppress(OSError):
            Path(f"{path}{suffix}").unlink()
    try:
        return _connect(path, patience)
    except (sqlite3.Error, OSError):
        return None


def _connect(path: Path, patience: float) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, timeout=patience, isolation_level=None, check_same_thread=False
    )
    try:
        if connection.execute("PRAGMA user_version").fetchone()[0] != _VERSION:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(_SCHEMA)
            connection.execute(f"PRAGMA user_version = {_VERSION}")
        # A power cut may lose the last pairs, never more; waiting for the disk costs 10 ms each.
        connection.execute("PRAGMA synchronous = OFF")
    except sqlite3.Error:
        connection.close()
        raise
    return connection
