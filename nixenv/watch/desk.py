"""Which builds run, which wait, and for whom: one per environment, a few at a time, the newest wish first.

Invariant: a running build reads the document that it was started for; when that one changes, the build is
stopped, and those who want the same environment for another document start it again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from nixenv.notebook.metadata import Document
from nixenv.server.opening import Opened
from nixenv.watch.events import Building, Doing, Outdated, WatchSink
from nixlib.progress import Event, EventSink

LIMIT = 2
"""Builds at a time: each downloads with many connections and imports with two threads already."""

Opener = Callable[[Document, EventSink], Awaitable[Opened]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a build ended.

    Attributes:
        documents: Those that waited for it; it was started for the first.
        result: The environment, held no more, or what went wrong.
        seconds: How long it took.
    """

    documents: tuple[Document, ...]
    result: Opened | Exception
    seconds: float


@dataclass(eq=False, slots=True)
class _Job:
    key: str
    documents: dict[Path, Document] = field(default_factory=dict)
    task: asyncio.Task[None] | None = None


class Desk:
    """The builds of one watch, on the running event loop.

    Args:
        opener: Makes sure of one document's environment.
        tell: Gets `Building`, `Doing` and `Outdated`.
        ended: Gets every outcome, except of what was stopped.
        wake: Called when there is room for another build.
        limit: Builds at a time.
    """

    def __init__(
        self,
        opener: Opener,
        tell: WatchSink,
        ended: Callable[[Outcome], None],
        wake: Callable[[], None] = lambda: None,
        *,
        limit: int = LIMIT,
    ) -> None:
        self._open = opener
        self._tell = tell
        self._ended = ended
        self._wake = wake
        self._limit = limit
        self._jobs: dict[str, _Job] = {}
        self._job_of: dict[Path, _Job] = {}
        self._waiting: list[_Job] = []
        self._running: set[asyncio.Task[None]] = set()

    def want(self, document: Document, key: str, *, first: bool = True) -> None:
        """`document` wants the environment `key`, and no other one any more.

        Args:
            document: As it was read.
            key: Documents with the same key share a build.
            first: Before those that wait already: somebody has just saved it.
        """
        job = self._job_of.get(document.path)
        if job is not None and job.key == key:
            return
        self.leave(document.path)
        job = self._jobs.get(key)
        if job is None:
            job = self._jobs[key] = _Job(key)
            self._waiting.insert(0 if first else len(self._waiting), job)
        job.documents[document.path] = document
        self._job_of[document.path] = job
        self._start()

    def leave(self, path: Path) -> None:
        """The document at `path` wants nothing any more."""
        job = self._job_of.pop(path, None)
        if job is None:
            return
        started_for = next(iter(job.documents))
        del job.documents[path]
        if job.task is None:
            if not job.documents:
                self._waiting.remove(job)
                del self._jobs[job.key]
        elif started_for == path:
            self._stop(job, path)

    def _stop(self, job: _Job, path: Path) -> None:
        assert job.task is not None  # noqa: S101 - the caller has looked
        job.task.cancel()
        del self._jobs[job.key]
        self._tell(Outdated(path))
        for other in job.documents.values():
            del self._job_of[other.path]
            self.want(other, job.key)

    def key_of(self, path: Path) -> str | None:
        """What the document at `path` waits for."""
        job = self._job_of.get(path)
        return job.key if job else None

    @property
    def is_idle(self) -> bool:
        """Whether no build runs or waits."""
        return not self._waiting and not self._running

    async def close(self) -> None:
        """Stop everything; returns when the last engine is gone."""
        self._waiting.clear()
        running = tuple(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _start(self) -> None:
        while self._waiting and len(self._running) < self._limit:
            job = self._waiting.pop(0)
            job.task = asyncio.ensure_future(self._run(job))
            self._running.add(job.task)
            job.task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._wake()
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error  # a bug, which the loop reports
        self._start()

    async def _run(self, job: _Job) -> None:
        first = next(iter(job.documents.values()))
        loop = asyncio.get_running_loop()
        began = loop.time()
        self._tell(Building(first.path))
        result: Opened | Exception
        try:
            result = await self._open(first, partial(self._relay, first.path))
        except Exception as error:  # noqa: BLE001 - whoever is told of the end decides what it means
            result = error
        else:
            result.hit.release()
        if self._jobs.get(job.key) is not job:
            return  # it was stopped in its last moment
        del self._jobs[job.key]
        for path in job.documents:
            del self._job_of[path]
        self._ended(Outcome(tuple(job.documents.values()), result, loop.time() - began))

    def _relay(self, path: Path, event: Event) -> None:
        self._tell(Doing(path, event))
