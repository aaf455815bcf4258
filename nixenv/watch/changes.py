"""Which documents below a folder have changed: by what the system tells, and by looking from time to time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from nixenv.errors import UsageError
from nixenv.watch.events import Polling, Trouble, WatchSink
from nixenv.watch.observer import Hints, Observer, way_out
from nixenv.watch.pace import DEFAULT_PACE, Pace
from nixenv.watch.pending import Pending
from nixenv.watch.scan import Seen, Stamp, document_of, scan
from nixlib.errors import NixError

_SHARE = 20
"""A look may cost one part in so many of the time."""

_BREATH = 0.5
"""Seconds before a look that a changed folder asks for: where one comes, others come too."""

ObserverMaker = Callable[[Path, Hints], Observer]


class Changes:
    """The documents below `root`, and those of them that somebody has to read again.

    Args:
        root: The folder, absolute.
        tell: Gets `Polling`, and `Trouble` of folders.
        check: Called while the tree is looked at; what it raises ends that.
        pace: How often the whole tree is looked at.
        make_observer: Makes what tells about changes.
    """

    def __init__(
        self,
        root: Path,
        tell: WatchSink,
        check: Callable[[], None],
        pace: Pace = DEFAULT_PACE,
        make_observer: ObserverMaker = Observer,
    ) -> None:
        loop = asyncio.get_running_loop()
        self.wake = asyncio.Event()
        self.pending = Pending()
        self.known: dict[Path, Stamp] = {}
        self._root = root
        self._tell = tell
        self._check = check
        self._pace = pace
        self._hints = Hints(partial(loop.call_soon_threadsafe, self.wake.set))
        self._observer = make_observer(root, self._hints)
        self._closed: dict[Path, str] = {}
        self._is_polling = self._is_gone = False
        self._next_look = self._looked = self._cost = 0.0

    async def start(self) -> None:
        """Begin; afterwards every document is pending.

        Raises:
            UsageError: The folder cannot be read.
        """
        try:
            # First, so that nothing can change unseen between the look and the events.
            await asyncio.to_thread(self._observer.start)
        except FileNotFoundError as error:
            raise _unreadable(self._root, error) from error
        except OSError as error:
            self._poll(error)
        try:
            await self._look()
        except OSError as error:
            raise _unreadable(self._root, error) from error

    def stop(self) -> None:
        """Collect no more hints."""
        self._observer.stop()

    @property
    def next_due(self) -> float:
        """When there will be something to do, if nothing changes before."""
        return min(self.pending.next_due, self._next_look)

    async def collect(self) -> set[Path]:
        """Turn hints into pending documents, and look at the whole tree when its time has come.

        Returns:
            Documents that are gone.

        Raises:
            UsageError: The folder itself is gone.
        """
        names, has_folders = self._hints.take()
        now = time.monotonic()
        for name in names:
            if path := document_of(Path(name), self._root):
                self.pending.add(path, now)
        if has_folders:
            soon = max(now + _BREATH, self._looked + _SHARE * self._cost)
            self._next_look = min(self._next_look, soon)
        if now < self._next_look:
            return set()
        try:
            return await self._look()
        except (FileNotFoundError, NotADirectoryError) as error:
            if self._is_gone:
                raise _unreadable(self._root, error) from error
            # Somebody may be about to put another one in its place.
            self._is_gone = True
            self._next_look = time.monotonic() + 2 * _BREATH
        except OSError as error:
            # A network's disk may come back.
            self._say_closed({self._root: (error.strerror or str(error)).lower()})
            self._next_look = time.monotonic() + self._pace.poll
        return set()

    async def _look(self) -> set[Path]:
        """Compare the whole tree with what is known of it; returns what is gone."""
        seen = await asyncio.to_thread(scan, self._root, self._check)
        self._looked, self._cost, self._is_gone = time.monotonic(), seen.seconds, False
        pause = self._pace.poll if self._is_polling else self._pace.look
        self._next_look = self._looked + max(pause, _SHARE * seen.seconds)
        await self._check_observer()
        self._say_closed(seen.closed)
        return self._compare(seen)

    def _compare(self, seen: Seen) -> set[Path]:
        new = sorted(seen.documents.keys() - self.known.keys())
        self.pending.add_all(new, self._looked)
        for path in self.known.keys() & seen.documents.keys():
            if self.known[path] != seen.documents[path]:
                self.pending.add(path, self._looked)
        return self.known.keys() - seen.documents.keys()

    def _say_closed(self, closed: dict[Path, str]) -> None:
        for folder, reason in closed.items():
            if self._closed.get(folder) != reason:
                error = NixError(f"cannot read the folder `{folder}`: {reason}")
                self._tell(Trouble(folder, error))
        self._closed = closed

    async def _check_observer(self) -> None:
        if self._is_polling:
            return
        try:
            if not self._observer.is_alive:
                await asyncio.to_thread(self._observer.start)
            await asyncio.to_thread(self._observer.check)
        except OSError as error:
            self._poll(error)

    def _poll(self, error: OSError) -> None:
        self._observer.stop()
        self._is_polling = True
        self._next_look = min(self._next_look, time.monotonic() + self._pace.poll)
        reason = (error.strerror or str(error)).lower()
        self._tell(Polling(reason, self._pace.poll, way_out(error)))


def _unreadable(root: Path, error: OSError) -> UsageError:
    if isinstance(error, FileNotFoundError):
        return UsageError(f"there is no folder `{root}`", key="DIR")
    if isinstance(error, NotADirectoryError):
        return UsageError(
            f"`{root}` is not a folder",
            hint=f'`nixenv build "{root}"` builds one notebook',
            key="DIR",
        )
    reason = (error.strerror or str(error)).lower()
    return UsageError(f"cannot read the folder `{root}`: {reason}", key="DIR")
