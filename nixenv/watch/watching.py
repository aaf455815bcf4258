"""Watching a folder: what changed is read, what it asks for is built, until somebody stops it.

Nothing is written into a document, except (where that was asked for) the lock of one that has none.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nixenv.watch.changes import Changes, ObserverMaker
from nixenv.watch.desk import Opener
from nixenv.watch.events import Watching, WatchSink
from nixenv.watch.keeper import Keeper
from nixenv.watch.observer import Observer
from nixenv.watch.pace import DEFAULT_PACE, Pace
from nixlib.cancel import Cancel
from nixlib.errors import NixError

_READERS = 4
"""Documents that are read at a time; a big one is read by a process of its own."""

_SOON = 1.0
"""Seconds: what is due within them is still part of what is being done."""


async def watch(
    root: Path,
    *,
    process_env: Mapping[str, str],
    tell: WatchSink,
    may_lock: bool = False,
    pace: Pace = DEFAULT_PACE,
    make_observer: ObserverMaker = Observer,
    opener: Opener | None = None,
) -> None:
    """Build what is below `root`, and what changes there, until the task is cancelled.

    When this returns, no engine runs any more; what they finished stays in the store.

    Args:
        root: A folder, absolute.
        process_env: The engine's variables, which are this watch's settings too.
        tell: Gets every event, on the loop's thread.
        may_lock: Whether a document without a lock is locked, and its lock written into it.
        pace: How often it does what nothing tells it to do.
        make_observer: Makes what tells about changes.
        opener: Makes sure of an environment; the engine, if nothing else is said.

    Raises:
        UsageError: The folder cannot be read, or is gone.
    """
    cancel = Cancel()
    changes = Changes(root, tell, cancel.check, pace, make_observer)
    keeper = Keeper(
        process_env,
        tell,
        may_lock=may_lock,
        known=changes.known,
        pending=changes.pending,
        wake=changes.wake.set,
        pace=pace,
        opener=opener,
    )
    bugs = _caught_bugs(changes.wake)
    try:
        await changes.start()
        tell(Watching(root, len(changes.pending)))
        await _examine(changes, keeper, is_saved=False)
        idle = _Idle(changes, keeper, tell)
        while True:
            idle.say()
            await _sleep(changes)
            if bugs:
                raise bugs[0]
            gone = await changes.collect()
            for path in gone:
                keeper.forget(path)
            if await _examine(changes, keeper, is_saved=True) or gone:
                idle.is_said = False
    finally:
        cancel.set()
        changes.stop()
        await keeper.desk.close()


def _caught_bugs(wake: asyncio.Event) -> list[BaseException]:
    """Where exceptions of callbacks go, for which nobody waits."""
    bugs: list[BaseException] = []

    def catch(loop: asyncio.AbstractEventLoop, context: Mapping[str, Any]) -> None:
        error = context.get("exception") or RuntimeError(context.get("message", ""))
        # An engine that failed while it was being stopped has nobody to tell.
        if not isinstance(error, NixError):
            bugs.append(error)
            loop.call_soon(wake.set)

    asyncio.get_running_loop().set_exception_handler(catch)
    return bugs


async def _sleep(changes: Changes) -> None:
    """Until something is due, or changes, or a build ends."""
    # Not `wait_for`, which forgets (until Python 3.12) a cancel that comes in the moment of waking.
    pause = max(0.0, changes.next_due - time.monotonic())
    alarm = asyncio.get_running_loop().call_later(pause, changes.wake.set)
    try:
        await changes.wake.wait()
    finally:
        alarm.cancel()
    changes.wake.clear()


async def _examine(changes: Changes, keeper: Keeper, *, is_saved: bool) -> int:
    """Examine what is due; how many that were."""
    turns = asyncio.Semaphore(_READERS)

    async def one(path: Path) -> None:
        async with turns:
            await keeper.examine(path, is_saved=is_saved)

    due = changes.pending.take(time.monotonic())
    await asyncio.gather(*map(one, due))
    return len(due)


class _Idle:
    """Says once, each time when all that was to do is done, how things stand."""

    def __init__(self, changes: Changes, keeper: Keeper, tell: WatchSink) -> None:
        self.is_said = False
        self._changes = changes
        self._keeper = keeper
        self._tell = tell

    def say(self) -> None:
        has_more = self._changes.pending.next_due < time.monotonic() + _SOON
        if not self._keeper.desk.is_idle:
            self.is_said = False
        elif not has_more and not self.is_said:
            self.is_said = True
            self._tell(self._keeper.summary())
