"""Progress in a cell's output: events fold into a state (pure), and the state is painted in place."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from html import escape

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Mapping

    Paint = Callable[[str, str], None]

TITLES: Mapping[str, str] = {
    "resolve": "resolving",
    "plan": "planning",
    "substitute": "asking caches",
    "download": "downloading",
    "import": "adding to the store",
    "build": "building",
    "compose": "composing the environment",
    "ready": "ready",
}
# Seconds between two paintings of the same phase: a notebook stores and sends each one.
INTERVAL = 0.1


@dataclass(frozen=True)
class State:
    """Where the engine is.

    Attributes:
        headline: What is being done, such as `%nixenv add seaborn`.
        phase: The engine's phase; empty before the first.
        done: Items finished in this phase, of `total`; a total of 0 is unknown.
        bytes_done: Bytes of `bytes_total`, likewise.
        warnings: What the engine warned about so far.
    """

    headline: str
    phase: str = ""
    done: int = 0
    total: int = 0
    bytes_done: int = 0
    bytes_total: int = 0
    warnings: tuple[str, ...] = ()


def advance(state: State, event: Mapping[str, Any]) -> State:
    """The state after one event; events of an unknown kind change nothing."""
    kind = event.get("event")
    if kind == "phase":
        return State(state.headline, str(event.get("name", "")), warnings=state.warnings)
    if kind == "progress":
        return replace(
            state,
            phase=str(event.get("phase", state.phase)),
            done=_count(event, "done"),
            total=_count(event, "total"),
            bytes_done=_count(event, "bytes_done"),
            bytes_total=_count(event, "bytes_total"),
        )
    if kind == "note" and event.get("level") == "warning":
        return replace(state, warnings=(*state.warnings, str(event.get("text", ""))))
    return state


def describe(state: State) -> str:
    """The state as one line of text, such as `downloading 3 of 12, 4.2 of 18.0 MB`."""
    text = TITLES.get(state.phase, state.phase) or "starting"
    if state.total:
        text += f" {state.done} of {state.total}"
    if state.bytes_total:
        text += f", {state.bytes_done / 1e6:.1f} of {state.bytes_total / 1e6:.1f} MB"
    return f"{state.headline}: {text}"


def describe_html(state: State) -> str:
    """The state as HTML: the line of text, and a bar that moves when there is something to count."""
    done, total = (
        (state.bytes_done, state.bytes_total) if state.bytes_total else (state.done, state.total)
    )
    span = f' value="{done}" max="{total}"' if total else ""
    bar = "" if state.phase == "ready" else f"<progress{span}></progress> "
    return f"<div>{bar}<code>{escape(describe(state))}</code></div>"


class ProgressView:
    """Shows the engine's events while it works.

    Args:
        headline: What is being done.
        paint: Called with text and HTML whenever there is something new to see.
        clock: Seconds, monotonic.
    """

    def __init__(
        self, headline: str, paint: Paint, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.state = State(headline)
        self._paint = paint
        self._clock = clock
        self._painted_at = float("-inf")
        self._started_at = clock()

    def show(self, event: Mapping[str, Any]) -> None:
        """Take one event; paints at once when a phase begins, else ten times a second at most."""
        before, self.state = self.state, advance(self.state, event)
        finished = 0 < self.state.total == self.state.done
        due = self._clock() - self._painted_at >= INTERVAL
        if self.state != before and (due or finished or self.state.phase != before.phase):
            self._painted_at = self._clock()
            self._paint(describe(self.state), describe_html(self.state))

    def finish(self) -> None:
        """Leave one quiet line where the progress was, if any was shown."""
        if self._painted_at > float("-inf"):
            seconds = self._clock() - self._started_at
            text = f"{self.state.headline}: {seconds:.1f} s"
            self._paint(text, f"<div><code>{escape(text)}</code></div>")


def _count(event: Mapping[str, Any], name: str) -> int:
    value = event.get(name, 0)
    return value if isinstance(value, int) else 0
