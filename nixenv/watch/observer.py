"""What the system says about changes below a folder, as hints where to look.

A hint may come late, twice, or (when a queue overflows, on a network's disk) not at all; whoever gets them
looks at the whole tree from time to time all the same.
"""

from __future__ import annotations

import errno
import logging
import os
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from watchdog import events
from watchdog.observers import Observer as SystemObserver
from watchdog.observers.api import BaseObserver

_CHANGES: list[type[events.FileSystemEvent]] = [
    events.FileCreatedEvent,
    events.FileModifiedEvent,
    events.FileClosedEvent,
    events.FileMovedEvent,
    events.FileDeletedEvent,
    events.DirCreatedEvent,
    events.DirMovedEvent,
    events.DirDeletedEvent,
]
"""Without those of reading: looking at a changed file must not look like another change."""

_SWITCHES = {
    # What the system calls the limit that was reached, and a value that holds any home folder.
    errno.ENOSPC: "sudo sysctl fs.inotify.max_user_watches=1048576",
    errno.EMFILE: "sudo sysctl fs.inotify.max_user_instances=1024",
}


class Hints:
    """Paths and whether whole folders changed, collected by any thread, taken by one."""

    def __init__(self, wake: Callable[[], object]) -> None:
        self._wake = wake
        self._lock = threading.Lock()
        self._paths: set[str] = set()
        self._has_folders = False

    def add(self, path: str, *, is_folder: bool) -> None:
        """Something happened at `path`; wakes the taker when it is the first thing since."""
        with self._lock:
            is_first = not self._paths and not self._has_folders
            if is_folder:
                self._has_folders = True
            else:
                self._paths.add(path)
        if is_first:
            self._wake()

    def take(self) -> tuple[set[str], bool]:
        """Every path since the last time, and whether a folder came, went or was renamed."""
        with self._lock:
            taken = self._paths, self._has_folders
            self._paths, self._has_folders = set(), False
        return taken


class Observer:
    """The system's events below one folder.

    Args:
        root: The folder; may be a link to one.
        hints: Gets what changes, by the path that it has below `root`.
        make: Makes an observer of watchdog's.
    """

    def __init__(
        self, root: Path, hints: Hints, make: Callable[[], BaseObserver] = SystemObserver
    ) -> None:
        self._root = root
        self._real = root.resolve()
        self._hints = hints
        self._make = make
        self._observer: BaseObserver | None = None

    def start(self) -> None:
        """Begin to collect hints; an observer that was there before is replaced.

        Raises:
            OSError: The system has no more watches, or cannot watch this folder.
        """
        self.stop()
        _silence()
        observer = self._make()
        try:
            observer.schedule(
                _Handler(self._hint), str(self._real), recursive=True, event_filter=_CHANGES
            )
            observer.start()
        except BaseException:
            with suppress(RuntimeError):
                observer.stop()
            raise
        self._observer = observer

    def stop(self) -> None:
        """Collect no more; nothing happens when it does not."""
        if self._observer is not None:
            self._observer.stop()
            with suppress(RuntimeError):
                self._observer.join()
            self._observer = None

    @property
    def is_alive(self) -> bool:
        """Whether hints can still come: not after the folder was removed, even if it is there again."""
        observer = self._observer
        if observer is None or not observer.is_alive():
            return False
        return all(emitter.is_alive() for emitter in observer.emitters)

    def check(self) -> None:
        """Make sure that the system has watches left; watchdog forgets a subfolder that got none.

        Raises:
            OSError: It has not.
        """
        if self._observer is None:
            return
        with tempfile.TemporaryDirectory(prefix="nixenv-watch-") as folder:
            watch = self._observer.schedule(_Handler(_ignore), folder, event_filter=_CHANGES)
            self._observer.unschedule(watch)

    def _hint(self, path: str, *, is_folder: bool) -> None:
        # As it is called here: events name the folder that a link leads to.
        with suppress(ValueError):
            own = self._root / Path(path).relative_to(self._real)
            self._hints.add(str(own), is_folder=is_folder)


class _Handler(events.FileSystemEventHandler):
    """Each event of watchdog's as one or two hints."""

    def __init__(self, hint: Callable[..., None]) -> None:
        self._hint = hint

    def on_any_event(self, event: events.FileSystemEvent) -> None:
        """Pass on where it was, and where it went."""
        if event.is_directory and event.event_type == events.EVENT_TYPE_MODIFIED:
            return  # something in it changed, which has an event of its own
        for path in (event.src_path, event.dest_path):
            if path:
                self._hint(os.fsdecode(path), is_folder=event.is_directory)


def _ignore(path: str, **said: Any) -> None:
    del path, said


def _silence() -> None:
    """Keep watchdog's own log lines off the screen: what they say is found out by looking."""
    log = logging.getLogger("watchdog")
    if not log.handlers:
        log.addHandler(logging.NullHandler())


def way_out(error: OSError) -> str:
    """The command that lets the system watch more, when it is a limit that was reached."""
    return _SWITCHES.get(error.errno or 0, "")
