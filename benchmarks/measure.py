"""Two sides, measured in turns so that a busy machine slows both, and their medians as a ratio."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Side:
    """One of the two: `prepare` is not timed, `run` is.

    `run` may return its own figure, for what is not the whole call; anything but a float takes the clock's.
    """

    name: str
    run: Callable[[], object]
    prepare: Callable[[], object] = lambda: None


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    what: str
    against: str
    ours: float
    theirs: float
    target: float
    unit: str = "s"

    @property
    def ratio(self) -> float:
        """Ours over theirs."""
        return self.ours / self.theirs

    def markdown(self) -> str:
        """As a row of the README's table."""
        reached = "" if self.ratio <= self.target else " (missed)"
        return (
            f"| {self.what} | {self.against} | {_figure(self.ours, self.unit)} | "
            f"{_figure(self.theirs, self.unit)} | {self.ratio:.3f} | ≤ {self.target}{reached} |"
        )


def _figure(value: float, unit: str) -> str:
    return f"{value * 1000:.0f} ms" if unit == "s" and value < 1 else f"{value:,.2f} {unit}"


def compare(
    what: str, ours: Side, theirs: Side, *, target: float, rounds: int, warm_up: int = 0
) -> Row:
    """Run both sides `rounds` times, alternating which goes first; the medians are the figures."""
    figures: dict[str, list[float]] = {ours.name: [], theirs.name: []}
    for turn in range(-warm_up, rounds):
        for side in (ours, theirs) if turn % 2 else (theirs, ours):
            side.prepare()
            figure = timed(side.run)
            if turn >= 0:
                figures[side.name].append(figure)
    medians = {name: statistics.median(values) for name, values in figures.items()}
    for name, values in figures.items():
        print(f"  {name}: " + " ".join(f"{value:.3f}" for value in values), flush=True)
    return Row(what, theirs.name, medians[ours.name], medians[theirs.name], target)


def timed(run: Callable[[], object]) -> float:
    """Seconds that `run` takes, or the figure that it returns."""
    start = time.perf_counter()
    own = run()
    return own if isinstance(own, float) else time.perf_counter() - start
