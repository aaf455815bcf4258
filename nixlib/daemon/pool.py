"""A few connections to one daemon, shared by threads.

Connections are opened when they are needed and kept. Temporary roots belong to a connection in Nix's
eyes; here they belong to the pool: when a connection breaks, the next one takes its roots over.
"""

from __future__ import annotations

import threading
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
        self._orphans: set[StorePath] = set()
        self._closed = False

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A connection for this thread alone; closed for good if the block raises."""
        with self._free:
            connection = self._take()
            try:
                yield connection
            except BaseException:
                self._discard(connection)
                raise
            self._give_back(connection)

    def _take(self) -> Connection:
        with self._lock:
            if self._closed:
                raise StoreError("the store has been closed", reason="closed")
            connection = self._idle.pop() if self._idle else None
            orphans, self._orphans = self._orphans, set()
        try:
            connection = connection or self._connect()
            if orphans:
                connection.add_temp_roots(orphans)
        except BaseException:
            with self._lock:
                self._orphans |= orphans
            if connection is not None:
                self._discard(connection)
            raise
        return connection

    def _give_back(self, connection: Connection) -> None:
        with self._lock:
            if not self._closed:
                self._idle.append(connection)
                return
        connection.close()

    def _discard(self, connection: Connection) -> None:
        with self._lock:
            self._orphans |= connection.temp_roots
        connection.close()

    def close(self) -> None:
        """Hang up on all of them; one in use by another thread is closed when that thread is done."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()
