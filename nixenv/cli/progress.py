"""Progress, in the form that fits whoever reads it: bars, plain lines, JSON lines, or nothing."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TextIO

from nixenv.progress_lines import PlainLines
from nixlib.progress import Event, EventSink, ignore, to_json


def events_to(
    stream: TextIO, *, is_json: bool, is_quiet: bool
) -> AbstractContextManager[EventSink]:
    """A sink that shows events on `stream` for the length of a `with` block."""
    if is_json:
        return _json_lines(stream)
    if is_quiet:
        return _warnings_only(stream)
    if stream.isatty():
        from nixenv.cli.bars import bars  # noqa: PLC0415

        return bars(stream)
    return _plain_lines(stream, time.monotonic)


@contextmanager
def _json_lines(stream: TextIO) -> Iterator[EventSink]:
    def show(event: Event) -> None:
        stream.write(json.dumps(to_json(event)) + "\n")
        stream.flush()

    yield show


@contextmanager
def _warnings_only(stream: TextIO) -> Iterator[EventSink]:
    del stream
    yield ignore


@contextmanager
def _plain_lines(stream: TextIO, clock: Callable[[], float]) -> Iterator[EventSink]:
    yield PlainLines(stream, clock)
