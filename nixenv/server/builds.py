"""Builds under way: one engine process per environment, however many kernels wait for it.

The engine runs as a process of its own, so a build costs the server's event loop nothing but reading
lines, and stopping it is a signal. Invariant: a process lives no longer than somebody waits for it.
"""

from __future__ import annotations

import asyncio
import atexit
import json
import os
import signal
import weakref
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from nixenv.errors import EngineError, stopped
from nixlib.progress import Event, EventSink, from_json

_GRACE = 10.0
"""Seconds that a stopped engine has for leaving the store in order, before it is killed."""

_EVIDENCE_LINES = 20

_LINE_LIMIT = 1 << 24
"""Bytes of one line: an answer holds a whole lock."""


@dataclass(frozen=True, slots=True)
class Order:
    """What the engine is to do.

    Attributes:
        key: Orders with the same key are one build.
        argv: The engine's command line.
        process_env: Its variables.
    """

    key: str
    argv: Sequence[str]
    process_env: Mapping[str, str]


@dataclass
class _Build:
    task: asyncio.Task[Mapping[str, Any]]
    sinks: list[EventSink] = field(default_factory=list)


class Builds:
    """The builds of one event loop."""

    def __init__(self) -> None:
        self._running: dict[str, _Build] = {}

    async def run(self, order: Order, on_event: EventSink) -> Mapping[str, Any]:
        """Do what `order` says, or join those who wait for the same already.

        Cancelling the last one who waits stops the engine and returns when it is gone.

        Returns:
            The engine's answer.

        Raises:
            EngineError: The engine said what went wrong (`type` is its class), or died.
        """
        build = self._running.get(order.key)
        if build is None:
            build = self._running[order.key] = self._start(order)
        build.sinks.append(on_event)
        try:
            # Shielded, because one who stops waiting must not stop the others' build.
            return await asyncio.shield(build.task)
        except asyncio.CancelledError:
            if build.task.cancelled():
                raise stopped() from None
            raise
        finally:
            build.sinks.remove(on_event)
            if not build.sinks and not build.task.done():
                self._forget(order.key, build)
                build.task.cancel()
                with suppress(asyncio.CancelledError, EngineError):
                    await build.task

    def cancel(self, key: str) -> bool:
        """Stop a build for everybody who waits for it; False when there is none."""
        build = self._running.get(key)
        return build is not None and build.task.cancel()

    @property
    def keys(self) -> tuple[str, ...]:
        """What is being built at this moment."""
        return tuple(self._running)

    def _start(self, order: Order) -> _Build:
        sinks: list[EventSink] = []

        def announce(event: Event) -> None:
            for sink in tuple(sinks):
                # What one listener cannot show must not end the build of the others.
                with suppress(Exception):
                    sink(event)

        build = _Build(asyncio.ensure_future(_run_engine(order, announce)), sinks)
        build.task.add_done_callback(lambda _: self._forget(order.key, build))
        return build

    def _forget(self, key: str, build: _Build) -> None:
        if self._running.get(key) is build:
            del self._running[key]


_of_loop: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Builds] = weakref.WeakKeyDictionary()


def current_builds() -> Builds:
    """The builds of the running event loop; a server has one, nbclient may have one per notebook."""
    return _of_loop.setdefault(asyncio.get_running_loop(), Builds())


async def _run_engine(order: Order, announce: EventSink) -> Mapping[str, Any]:
    try:
        process = await asyncio.create_subprocess_exec(
            *order.argv,
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=PIPE,
            env=dict(order.process_env),
            limit=_LINE_LIMIT,
            # A Ctrl-C that asks the server whether it should stop is not for the build.
            start_new_session=True,
        )
    except OSError as error:
        raise EngineError(
            f"the engine cannot be started: {(error.strerror or str(error)).lower()}",
            details=(f"`{order.argv[0]}`",),
            hint="`nixenv doctor`",
        ) from error
    _alive.add(process.pid)
    try:
        evidence: deque[str] = deque(maxlen=_EVIDENCE_LINES)
        output, _ = await asyncio.gather(_read(process), _relay(process, announce, evidence))
        status = await process.wait()
    finally:
        await _stop(process)
        _alive.discard(process.pid)
    return _answer(output, status, evidence)


async def _read(process: Process) -> bytes:
    assert process.stdout is not None  # noqa: S101 - it was asked for
    return await process.stdout.read()


async def _relay(process: Process, announce: EventSink, evidence: deque[str]) -> None:
    """Pass events on as they come; keep what is none of them as evidence."""
    assert process.stderr is not None  # noqa: S101 - it was asked for
    async for line in process.stderr:
        text = line.decode(errors="replace").rstrip()
        try:
            event = from_json(json.loads(text))
        except (ValueError, KeyError, TypeError, AttributeError):
            evidence.append(text)
        else:
            announce(event)


async def _stop(process: Process) -> None:
    """Make sure that the process is gone and reaped; at once when it has ended by itself."""
    if process.returncode is not None:
        return
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), _GRACE)
    except asyncio.TimeoutError:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


def _answer(output: bytes, status: int, evidence: Sequence[str]) -> Mapping[str, Any]:
    try:
        answer = json.loads(output)
    except ValueError:
        answer = None
    if isinstance(answer, dict) and isinstance(error := answer.get("error"), dict):
        raise engine_error(error, status)
    if status == 0 and isinstance(answer, dict):
        return answer
    how = f"was killed by signal {-status}" if status < 0 else f"ended with exit status {status}"
    raise EngineError(
        f"the engine gave no answer: it {how}",
        details=tuple(evidence),
        hint="`nixenv doctor`",
        type="EngineError",
        exit_status=status,
    )


def engine_error(error: Mapping[str, Any], status: int) -> EngineError:
    """The `error` object of an engine's answer as an exception of this process."""
    return EngineError(
        str(error.get("message", "")),
        details=tuple(str(line) for line in error.get("details", ())),
        hint=str(error.get("hint", "")),
        type=str(error.get("type", "EngineError")),
        notebook=str(error.get("notebook", "")),
        key=str(error.get("key", "")),
        exit_status=status,
    )


_alive: set[int] = set()


@atexit.register
def _stop_all() -> None:
    """A server that ends in the middle of a build takes the build with it."""
    for pid in tuple(_alive):
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGTERM)
