"""Where a build stands: the engine's events folded into one line that a person can read.

Downloads and imports overlap, so their events alternate. What is shown is what is waited for: of the
things that are counted, the first that is not complete.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from nixenv.progress_lines import VERBS, progress_line
from nixlib.progress import Event, Note, Phase, PhaseName, Progress

WINDOW = 3.0
"""Seconds that a speed is of: shorter, and it jumps; longer, and it hides that nothing arrives any more."""

BETWEEN = " · "


class Standing:
    """Takes events, and says at any moment how far it is.

    Args:
        clock: Seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._phase: PhaseName | None = None
        self._counted: dict[PhaseName, Progress] = {}
        self._arrived: deque[tuple[float, int]] = deque()

    def take(self, event: Event) -> None:
        """One event more."""
        if isinstance(event, Note):
            return
        if isinstance(event, Phase):
            self._phase = event.name
            # What was counted before is over, also where not all of it was had (a cache that lacks some).
            self._counted.clear()
            self._arrived.clear()
            return
        self._counted[event.phase] = event
        self._phase = event.phase
        if event.bytes_total:
            self._note(event.bytes_done)

    @property
    def shown(self) -> Progress | None:
        """What is waited for, counted; None where nothing is."""
        waited = (one for one in self._counted.values() if one.done < one.total)
        return next(waited, self._counted.get(self._phase) if self._phase else None)

    @property
    def phase(self) -> str:
        """The engine's phase; empty before the first."""
        return self.shown.phase if self.shown else self._phase or ""

    @property
    def speed(self) -> float:
        """Bytes a second that arrived lately; 0 where no bytes are waited for."""
        shown = self.shown
        if shown is None or not 0 < shown.bytes_total > shown.bytes_done or len(self._arrived) < 2:  # noqa: PLR2004
            return 0.0
        (start, first), (_, last) = self._arrived[0], self._arrived[-1]
        return max(0, last - first) / max(self._clock() - start, 1e-3)

    @property
    def line(self) -> str:
        """`downloading 12 of 60 · 48.0 MB of 120.0 MB · 9.0 MB/s`."""
        if (shown := self.shown) is not None and shown.total:
            return progress_line(shown, speed=self.speed, between=BETWEEN)
        return VERBS[self._phase] if self._phase else "starting"

    def _note(self, count: int) -> None:
        now = self._clock()
        self._arrived.append((now, count))
        while len(self._arrived) > 2 and self._arrived[1][0] <= now - WINDOW:  # noqa: PLR2004
            self._arrived.popleft()
