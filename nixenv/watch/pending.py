"""Changed documents that wait until nobody writes them any more (pure)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

QUIET = 0.3
"""Seconds without another change: editors and `git checkout` write a file in several steps."""

PATIENCE = 2.0
"""Seconds after which one that is changed all the time has its turn all the same."""


class Pending:
    """Paths, each with the moment at which it is due.

    Examples:
        >>> pending = Pending()
        >>> pending.add(Path("a.ipynb"), now=10.0)
        >>> pending.take(now=10.1), pending.take(now=10.4)
        ([], [PosixPath('a.ipynb')])
    """

    def __init__(self) -> None:
        self._due: dict[Path, float] = {}
        self._latest: dict[Path, float] = {}

    def add(self, path: Path, now: float) -> None:
        """`path` has changed at this moment."""
        latest = self._latest.setdefault(path, now + PATIENCE)
        self._due[path] = min(now + QUIET, latest)

    def add_all(self, paths: Iterable[Path], now: float) -> None:
        """`paths` are due at once: they are new to us, but nobody is writing them."""
        for path in paths:
            self._due[path] = self._latest[path] = now

    def put_off(self, path: Path, until: float) -> None:
        """Look at `path` again then, or when it changes before."""
        self._due[path] = self._latest[path] = until

    def drop(self, path: Path) -> None:
        """`path` is gone."""
        self._due.pop(path, None)
        self._latest.pop(path, None)

    def take(self, now: float) -> list[Path]:
        """What is due, longest waiting first; it waits no more."""
        due = sorted((moment, path) for path, moment in self._due.items() if moment <= now)
        for _, path in due:
            self.drop(path)
        return [path for _, path in due]

    @property
    def next_due(self) -> float:
        """When there will be something to take; infinity when nothing waits."""
        return min(self._due.values(), default=float("inf"))

    def __len__(self) -> int:
        return len(self._due)
