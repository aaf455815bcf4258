"""A few connections to one daemon, shared by threads.

Connections are opened when they are needed and kept. Temporary roots belong to a connection in Nix's
eyes; here they belong to the pool: another takes them over before a connection that broke is closed.
"""

from __future__ import annotations

import threading
import weakref
from contextlib import contextmanager
from typing import TYPE_CHECKING

from nixlib.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nixlib.daemon.client import Connection
    from nixlib.storepath import StorePath


class Pool:
    """At most `size` connections at a time; more threads than that wait for one.

    Args:
        connect: Opens a connection; called on the thread that needs it.
        size: How many at most.
    """

    def __init__(self, connect: Callable[[], Connection], size: int) -> None:
        self._connect = connect
        self._free = threading.BoundedSemaphore(size)
        self._lock = threading.Lock()
        self._idle: list[Connection] = []
        self._orphans: frozenset[StorePath] = frozenset()
        self._closed = False
        # A store that somebody drops without closing it must not leave processes behind.
        weakref.finalize(self, _close_all, self._idle)

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A connection for this thread alone; given up if the block leaves it out of step."""
        with self._free:
            connection = self._take()
            try:
                yield connection
            finally:
                self._give_back(connection)

    def _take(self) -> Connection:
        while (idle := self._take_idle()) is not None:
            if idle.is_usable():
                return idle
            self._replace(idle)
        return self._connect_with(frozenset())

    def _take_idle(self) -> Connection | None:
        with self._lock:
            if self._closed:
                raise StoreError("the store has been closed", reason="closed")
            return self._idle.pop() if self._idle else None

    def _connect_with(self, roots: frozenset[StorePath]) -> Connection:
        with self._lock:
            roots, self._orphans = roots | self._orphans, frozenset()
        connection = None
        try:
            connection = self._connect()
            connection.add_temp_roots(roots)
        except BaseException:
            with self._lock:
                self._orphans |= roots
            if connection is not None:
                connection.close()
            raise
        return connection

    def _give_back(self, connection: Connection) -> None:
        if not connection.is_usable():
            self._replace(connection)
            return
        with self._lock:
            if not self._closed:
                self._idle.append(connection)
                return
        connection.close()

    def _replace(self, broken: Connection) -> None:
        """Close a connection, after another has taken over the roots that end with it."""
        try:
            if broken.temp_roots and not self._closed:
                fresh = self._connect_with(frozenset(broken.temp_roots))
                with self._lock:
                    self._idle.append(fresh)
        except StoreError:
            # No Nix to connect to: the next operation says so, or takes the roots over.
            pass
        finally:
            broken.close()

    def close(self) -> None:
        """Hang up on all of them; one in use by another thread is closed when that thread is done."""
        with self._lock:
            self._closed = True
        _close_all(self._idle)


def _close_all(connections: list[Connection]) -> None:
    while connections:
        connections.pop().close()
