"""Builds as pages see them: tasks with a number, a line of text and a way to cancel them.

A task is a view of a build, not the build: two who wait for the same environment are two tasks, and
cancelling one leaves the other. Everything here runs in the server's event loop and returns at once.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from nixenv.server.reason import explained
from nixenv.server.shared import shared
from nixenv.standing import Standing
from nixlib.errors import NixError
from nixlib.progress import Event

INTERVAL = 0.25
"""Seconds between two announcements of one task: more often than a person can read is only load."""

KEPT_SECONDS = 600.0
KEPT = 100
"""How long a task can be asked for after its end, and how many of them."""

State = Literal["running", "done", "failed", "cancelled"]


class Timer(Protocol):
    """What an event loop gives for a call that is still to come."""

    def cancel(self) -> None:
        """It shall not come."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What tasks need of the world.

    Attributes:
        announce: Told a task's JSON whenever there is something new to see; at most every 0.25 seconds.
        clock: Seconds, monotonic.
        later: `later(seconds, call)` calls back in this thread.
    """

    announce: Callable[[Mapping[str, Any]], None]
    clock: Callable[[], float] = time.monotonic
    later: Callable[[float, Callable[[], None]], Timer] = lambda seconds, call: (
        asyncio.get_running_loop().call_later(seconds, call)
    )


class Task:
    """One build that somebody waits for.

    Args:
        path: The notebook's contents path.
        kernel_id: The kernel that starts when it is done, or None.
        cancel: Ends the build for whoever made the task.
        around: What it needs of the world.
    """

    def __init__(
        self, path: str, kernel_id: str | None, cancel: Callable[[], None], around: Surroundings
    ) -> None:
        self.id = uuid.uuid4().hex
        self.path = path
        self.kernel_id = kernel_id
        self.state: State = "running"
        self.ended: float | None = None
        self._cancel = cancel
        self._is_cancelled = False
        self._around = around
        self._began = around.clock()
        self._standing = Standing(around.clock)
        self._error: tuple[str, NixError] | None = None
        self._announced = float("-inf")
        self._timer: Timer | None = None

    def sink(self, event: Event) -> None:
        """Take an event of the engine."""
        if self.state == "running":
            self._standing.take(event)
            self._announce_soon()

    def cancel(self) -> None:
        """Ask whoever made the task to end it; nothing happens the second time, or after its end."""
        if self.state == "running" and not self._is_cancelled:
            self._is_cancelled = True
            self._cancel()
            self._announce_soon()

    def end(self, error: BaseException | None = None) -> None:
        """It is over: done, or as `error` says."""
        if self.state != "running":
            return
        self.ended = self._around.clock()
        if error is None:
            self.state = "done"
        elif is_cancellation(error):
            self.state = "cancelled"
        else:
            self.state, self._error = "failed", explained(error)
        self.announce()

    def announce(self) -> None:
        """Say now how it stands."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._announced = self._around.clock()
        self._around.announce(self.to_json())

    def _announce_soon(self) -> None:
        wait = self._announced + INTERVAL - self._around.clock()
        if wait <= 0:
            self.announce()
        elif self._timer is None:
            self._timer = self._around.later(wait, self.announce)

    def to_json(self) -> dict[str, Any]:
        """The task as `task-1.json` describes it."""
        shown = self._standing.shown
        now = self._around.clock() if self.ended is None else self.ended
        return {
            "id": self.id,
            "path": self.path,
            "kernel_id": self.kernel_id,
            "state": self.state,
            "phase": self._standing.phase,
            "done": shown.done if shown else 0,
            "total": shown.total if shown else 0,
            "bytes": shown.bytes_done if shown else 0,
            "total_bytes": shown.bytes_total if shown else 0,
            "speed": round(self._standing.speed) if self.state == "running" else 0,
            "message": self._message(now - self._began),
            "seconds": round(now - self._began, 3),
            "error": _error_json(*self._error) if self._error else None,
        }

    def _message(self, seconds: float) -> str:
        if self.state == "done":
            return f"ready in {seconds:.1f} s"
        if self.state == "cancelled":
            return "stopped on request"
        if self._error is not None:
            return str(_error_json(*self._error)["message"])
        return "stopping" if self._is_cancelled else self._standing.line


class Tasks:
    """The tasks of one server: those that run, and for some minutes those that have ended."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._tasks: dict[str, Task] = {}

    @contextmanager
    def running(
        self, path: str, kernel_id: str | None, cancel: Callable[[], None]
    ) -> Iterator[Task]:
        """A task for the length of the block; an exception that leaves it is how the task ended.

        Args:
            path: The notebook's contents path.
            kernel_id: The kernel that waits for it, or None.
            cancel: Called once when a page cancels the task, in the event loop's thread; has the block
                end with `asyncio.CancelledError` or the engine's `RealisationCancelledError`.
        """
        task = self.begin(path, kernel_id, cancel)
        try:
            yield task
        except BaseException as error:
            task.end(error)
            raise
        task.end()

    def begin(self, path: str, kernel_id: str | None, cancel: Callable[[], None]) -> Task:
        """A task that runs until its `end` is called; announced at once."""
        self._forget()
        task = Task(path, kernel_id, cancel, self._around)
        self._tasks[task.id] = task
        task.announce()
        return task

    def all(self) -> tuple[Task, ...]:
        """Every task that can be asked for, in the order in which they began."""
        self._forget()
        return tuple(self._tasks.values())

    def find(self, number: str) -> Task | None:
        """The task with this `id`."""
        self._forget()
        return self._tasks.get(number)

    def _forget(self) -> None:
        now = self._around.clock()
        ended = [(task.ended, task.id) for task in self._tasks.values() if task.ended is not None]
        ended.sort()
        for count, (when, number) in enumerate(ended, start=1):
            if now - when > KEPT_SECONDS or len(ended) - count >= KEPT:
                del self._tasks[number]


def tasks_of(kernels: Any) -> Tasks | None:
    """The tasks of the server above the mapping kernel manager `kernels`.

    None where there is no server, or one that has not loaded our extension.
    """
    return shared(kernels, Tasks)


def is_cancellation(error: BaseException) -> bool:
    """Whether somebody wanted this end."""
    if isinstance(error, NixError):
        return explained(error)[0] == "RealisationCancelledError"
    return isinstance(error, asyncio.CancelledError)


def _error_json(kind: str, error: NixError) -> dict[str, Any]:
    # The engine's own errors arrive with their evidence in the summary's further lines.
    first, *more = NixError(error.summary, details=error.details).render().splitlines() or [""]
    details = [line.removeprefix("  ") for line in more]
    return {"type": kind, "message": first, "details": details, "hint": error.hint}
