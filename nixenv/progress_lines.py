"""Progress as plain lines of text: for logs, for pipes, for a server that starts a kernel."""

from __future__ import annotations

from collections.abc import Callable
from typing import TextIO

from nixenv.notebook.formatting import format_bytes
from nixlib.progress import Event, Note, Phase, Progress

VERBS = {
    "resolve": "resolving",
    "plan": "planning",
    "substitute": "asking caches",
    "download": "downloading",
    "import": "adding to the store",
    "build": "building",
    "compose": "composing",
    "ready": "ready",
}

_LINE_INTERVAL = 2.0
"""Seconds between two plain lines of one phase: a log should show life, not fill a screen."""


class PlainLines:
    """One line when a phase begins to count, one every two seconds, one when it is complete."""

    def __init__(self, stream: TextIO, clock: Callable[[], float]) -> None:
        self._stream = stream
        self._clock = clock
        self._last: dict[str, float] = {}

    def __call__(self, event: Event) -> None:
        """Write the line that `event` is worth, if any."""
        if isinstance(event, Note):
            self._write(note_line(event))
        elif isinstance(event, Phase):
            # Resolving may be silent for seconds; the other phases count at once.
            if event.name == "resolve" and event.name not in self._last:
                self._last[event.name] = -_LINE_INTERVAL
                self._write(VERBS[event.name])
        elif self._is_due(event):
            self._write(progress_line(event))

    def _is_due(self, event: Progress) -> bool:
        if not event.total:
            return False
        now = self._clock()
        is_complete = event.done >= event.total
        if not is_complete and now - self._last.get(event.phase, -_LINE_INTERVAL) < _LINE_INTERVAL:
            return False
        if self._last.get(event.phase) == float("inf"):
            return False
        self._last[event.phase] = float("inf") if is_complete else now
        return True

    def _write(self, line: str) -> None:
        self._stream.write(line + "\n")
        self._stream.flush()


def progress_line(event: Progress, *, speed: float = 0.0, between: str = ", ") -> str:
    """`downloading 3 of 12, 14.2 MB of 80.0 MB, 9.0 MB/s`; `speed` is bytes per second, 0 if unknown."""
    parts = [f"{VERBS[event.phase]} {event.done} of {event.total}"]
    if event.bytes_total:
        parts.append(f"{format_bytes(event.bytes_done)} of {format_bytes(event.bytes_total)}")
    elif event.bytes_done:
        parts.append(format_bytes(event.bytes_done))
    if speed:
        parts.append(f"{format_bytes(round(speed))}/s")
    return between.join(parts)


def note_line(event: Note) -> str:
    """`warning: torch: …`, or only the text when it is neither a warning nor about one thing."""
    prefix = "warning: " if event.level == "warning" else ""
    subject = f"{event.subject}: " if event.subject else ""
    return f"{prefix}{subject}{event.text}"
