"""A build that its kernel's start has not waited for: it goes on here, and the kernel's place is held.

The bootstrap kernel that holds the place follows the build over a socket that it inherits;
`nixenv.bootstrap.follow` is its end, and says what goes over it.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from typing import Any

from nixenv.errors import stopped
from nixenv.server.opening import Opened
from nixenv.server.reason import reason_of
from nixlib.progress import Event, EventSink, to_json

_BACKLOG = 1 << 16
"""Bytes that a kernel may leave unread; progress beyond that is lost, the outcome is not."""

Work = Callable[[EventSink], Coroutine[Any, Any, Opened]]


class Waiting:
    """One kernel's wait for its environment.

    Attributes:
        wish: What is being built, as the kernel is told.
    """

    def __init__(self, work: Work, wish: Mapping[str, Any]) -> None:
        """Begin, in the running event loop.

        Args:
            work: Makes the environment and tells its argument what happens.
            wish: From `nixenv.bootstrap.follow.wish_json`.
        """
        self.wish = wish
        self._writers: set[asyncio.StreamWriter] = set()
        self._links: set[asyncio.Task[None]] = set()
        self._inherited: list[socket.socket] = []
        self._last: Event | None = None
        self._is_left = False
        self._task = asyncio.ensure_future(self._work(work))

    @property
    def opened(self) -> Opened | None:
        """The environment, once it is there."""
        task = self._task
        return None if not task.done() or task.cancelled() or task.exception() else task.result()

    async def until(self, seconds: float | None) -> Opened | None:
        """The environment; None when it is not there after so many seconds.

        Whoever is cancelled here does not want it any more.

        Raises:
            NixError: It cannot be made, or somebody stopped it.
        """
        try:
            done, _ = await asyncio.wait({self._task}, timeout=seconds)
        except asyncio.CancelledError:
            await self.leave()
            raise
        if self._task.cancelled():
            raise stopped()
        return self._task.result() if done else None

    def stop(self) -> None:
        """Stop it on request: whoever waits for it is told so."""
        self._task.cancel()

    async def leave(self) -> None:
        """Nobody wants it any more: stop it, or let go of it; returns when nothing of it is left."""
        self.release()
        with suppress(asyncio.CancelledError, Exception):
            await self._task

    def release(self) -> None:
        """As `leave`, which goes on by itself in the event loop."""
        if self._is_left:
            return
        self._is_left = True
        self.close_inherited()
        self._task.cancel()
        self._task.add_done_callback(_let_go)
        for link in self._links:
            link.cancel()

    def connect(self) -> int:
        """A descriptor for a kernel to inherit; `close_inherited` when it has."""
        ours, theirs = socket.socketpair()
        self._inherited.append(theirs)
        link = asyncio.ensure_future(self._serve(ours))
        self._links.add(link)
        link.add_done_callback(self._links.discard)
        return theirs.fileno()

    def close_inherited(self) -> None:
        """Close this process's share of what kernels were given."""
        while self._inherited:
            self._inherited.pop().close()

    async def _work(self, work: Work) -> Opened:
        try:
            return await work(self._announce)
        except asyncio.CancelledError:
            if self._is_left:
                raise
            raise stopped() from None

    def _announce(self, event: Event) -> None:
        self._last = event
        for writer in self._writers:
            if writer.transport.get_write_buffer_size() < _BACKLOG:
                _say(writer, to_json(event))

    async def _serve(self, end: socket.socket) -> None:
        reader, writer = await asyncio.open_unix_connection(sock=end)
        listening = asyncio.ensure_future(self._listen(reader))
        try:
            _say(writer, {"wish": self.wish})
            if self._last is not None:
                _say(writer, to_json(self._last))
            self._writers.add(writer)
            await asyncio.wait({self._task, listening}, return_when=asyncio.FIRST_COMPLETED)
            if self._task.done():
                _say(writer, self._outcome())
                await writer.drain()
        except OSError:
            pass  # the kernel has gone
        finally:
            self._writers.discard(writer)
            listening.cancel()
            writer.close()

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        """Do what the kernel says; returns when it has gone."""
        with suppress(OSError, ValueError):
            while line := await reader.readline():
                if json.loads(line).get("cancel"):
                    self.stop()

    def _outcome(self) -> Mapping[str, Any]:
        if self._task.cancelled():
            error: BaseException | None = stopped()
        else:
            error = self._task.exception()
        if error is None:
            return {"ready": True}
        reason = reason_of(error)
        return {"error": {"kind": reason.kind, "text": reason.text}}


def _say(writer: asyncio.StreamWriter, value: Mapping[str, Any]) -> None:
    writer.write(json.dumps(value).encode() + b"\n")


def _let_go(task: asyncio.Task[Opened]) -> None:
    """What comes after all is not kept; an error that nobody asks for is not one."""
    if not task.cancelled() and task.exception() is None:
        task.result().hit.release()
