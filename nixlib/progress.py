"""What the engine says while it works: values, sent to one callable, never printed from inside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

PhaseName = Literal[
    "resolve", "plan", "substitute", "download", "import", "build", "compose", "ready"
]


@dataclass(frozen=True, slots=True)
class Phase:
    """The engine begins `name`."""

    name: PhaseName


@dataclass(frozen=True, slots=True)
class Progress:
    """`done` of `total` items of a phase, and bytes where bytes are what takes the time."""

    phase: PhaseName
    done: int
    total: int
    bytes_done: int = 0
    bytes_total: int = 0


@dataclass(frozen=True, slots=True)
class Note:
    """Something that the user should know; `subject` is the package or file it is about."""

    level: Literal["info", "warning"]
    text: str
    subject: str = ""


Event = Phase | Progress | Note
EventSink = Callable[[Event], None]

_KINDS: dict[str, type[Phase | Progress | Note]] = {
    "phase": Phase,
    "progress": Progress,
    "note": Note,
}


def ignore(event: Event) -> None:
    """The sink of callers who do not listen."""
    del event


def to_json(event: Event) -> dict[str, Any]:
    """An event as a JSON object, its kind under `event`."""
    return {"event": type(event).__name__.lower(), **asdict(event)}


def from_json(value: dict[str, Any]) -> Event:
    """The inverse of `to_json`.

    Raises:
        KeyError: The kind is unknown.
        TypeError: Its fields are not that kind's.
    """
    fields = dict(value)
    return _KINDS[fields.pop("event")](**fields)
