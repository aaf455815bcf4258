"""What happens while a folder is watched: values, sent to one callable, as the engine's own events are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nixlib import progress


@dataclass(frozen=True, slots=True)
class Watching:
    """The first look is over: `documents` notebooks and projects are below `folder`."""

    folder: Path
    documents: int


@dataclass(frozen=True, slots=True)
class Polling:
    """The system cannot tell about changes, so they are looked for every `seconds`; `command` mends it."""

    reason: str
    seconds: float
    command: str = ""


@dataclass(frozen=True, slots=True)
class Building:
    """The engine begins to build the environment of `document`."""

    document: Path


@dataclass(frozen=True, slots=True)
class Doing:
    """What the engine says about the build of `document`."""

    document: Path
    event: progress.Event


@dataclass(frozen=True, slots=True)
class Ready:
    """A kernel of `document` would start at once.

    Attributes:
        document: The notebook or project.
        environment: Where its environment is.
        lock: The digest of its lock.
        seconds: How long the build took; None when the environment was there already.
    """

    document: Path
    environment: Path
    lock: str
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Outdated:
    """The build of `document` is stopped, because it has changed or is gone."""

    document: Path


@dataclass(frozen=True, slots=True)
class Trouble:
    """`document`, or a folder, cannot be built or read; said once for each reason."""

    document: Path
    error: Exception


@dataclass(frozen=True, slots=True)
class Idle:
    """Nothing is left to do: `ready` environments are there, `troubled` documents have none."""

    ready: int
    troubled: int


WatchEvent = Watching | Polling | Building | Doing | Ready | Outdated | Trouble | Idle
WatchSink = Callable[[WatchEvent], None]


def to_json(event: WatchEvent) -> dict[str, Any]:
    """An event as a JSON object, its kind under `event`; of a `Trouble`, all but its error."""
    if isinstance(event, Doing):
        return {**progress.to_json(event.event), "notebook": str(event.document)}
    names = (name for name in event.__slots__ if name != "error")
    fields = {_KEYS.get(name, name): _plain(getattr(event, name)) for name in names}
    return {"event": type(event).__name__.lower(), **fields}


_KEYS = {"document": "notebook", "environment": "env"}


def _plain(value: object) -> object:
    if isinstance(value, float):
        return round(value, 3)
    return str(value) if isinstance(value, Path) else value
