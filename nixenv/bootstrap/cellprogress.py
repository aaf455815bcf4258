"""A build's progress as the output of the first cell that waits for it."""

from __future__ import annotations

from collections.abc import Callable

from nixenv.progress_lines import note_line
from nixenv.standing import Standing
from nixlib.progress import Event, Note

FIRST = 0.15
"""Seconds until a cell shows that it waits: most kernels of environments that are there are faster."""

INTERVAL = 0.25
"""Seconds between two updates: a front end draws each of them, and a server passes each on."""


class CellProgress:
    """Turns events into texts for a cell: one line that is written over, warnings on lines of their own.

    A carriage return is understood by notebooks and terminals alike; where it is not, the lines follow
    each other, and there are only a few of them.

    Attributes:
        has_written: The cell has something to clear.
    """

    def __init__(
        self,
        write: Callable[[str], None],
        clock: Callable[[], float],
        later: Callable[[float, Callable[[], None]], object],
    ) -> None:
        """Nothing is written before `open`.

        Args:
            write: Gives text to the cell.
            clock: Seconds, monotonic.
            later: Calls a function after some seconds.
        """
        self.has_written = False
        self._write = write
        self._clock = clock
        self._later = later
        self._standing = Standing(clock)
        self._instead = ""
        self._notes: list[str] = []
        self._written = ""
        self._next = 0.0
        self._is_open = self._is_due = False

    def open(self) -> None:
        """There is a cell now: soon show how far it is."""
        if not self._is_open:
            self._is_open = True
            self._next = self._clock() + FIRST
            self._show_soon()

    def close(self) -> None:
        """Nobody waits any more."""
        self._is_open = False

    def say(self, line: str) -> None:
        """Show `line` instead of what the engine said last."""
        self._instead = line
        self._show_soon()

    def __call__(self, event: Event) -> None:
        """Take an event into account."""
        self._instead = ""
        self._standing.take(event)
        if isinstance(event, Note):
            self._notes.append(note_line(event))
        self._show_soon()

    def _show_soon(self) -> None:
        if not self._is_open or self._is_due:
            return
        wait = self._next - self._clock()
        if wait <= 0:
            self._show()
        else:
            self._is_due = True
            self._later(wait, self._show)

    def _show(self) -> None:
        self._is_due = False
        line = f"nixenv: {self._instead or self._standing.line}"
        if not self._is_open or (line == self._written and not self._notes):
            return
        self._next = self._clock() + INTERVAL
        # What was longer before is covered with spaces.
        width = len(self._written)
        above = "".join(f"\r{note.ljust(width)}\n" for note in self._notes)
        self._write(f"{above}\r{line.ljust(0 if above else width)}" if width or above else line)
        self._notes.clear()
        self._written = line
        self.has_written = True
