"""The event loop of a process that others await things of: one for its life, on a thread of its own."""

from __future__ import annotations

import asyncio
import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_loops: list[asyncio.AbstractEventLoop] = []
_lock = threading.Lock()


def _running() -> asyncio.AbstractEventLoop:
    with _lock:
        if not _loops:
            loop = asyncio.new_event_loop()
            threading.Thread(target=loop.run_forever, name="nixenv-loop", daemon=True).start()
            _loops.append(loop)
        return _loops[0]


async def _awaited(awaitable: Any) -> Any:
    return await awaitable


def wait_for(awaitable: Any) -> Any:
    """The result of a coroutine, or whatever else can be awaited; an interrupt cancels it."""
    future = asyncio.run_coroutine_threadsafe(_awaited(awaitable), _running())
    try:
        return future.result()
    except BaseException:
        if not future.done():
            future.cancel()
        raise
