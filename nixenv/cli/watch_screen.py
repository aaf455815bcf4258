"""What `nixenv watch` shows: lines, bars, JSON lines, or only what is wrong."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, TextIO, cast

from nixenv.cli.failure import Failure, failure_of
from nixenv.errors import EngineError
from nixenv.notebook.formatting import printable
from nixenv.progress_lines import PlainLines
from nixenv.watch.events import (
    Building,
    Doing,
    Idle,
    Outdated,
    Polling,
    Ready,
    Trouble,
    WatchEvent,
    Watching,
    to_json,
)
from nixlib.errors import NixError
from nixlib.progress import Event

Screen = Callable[[WatchEvent], None]

_FEW = 5


class Progress(Protocol):
    """What shows how far one build is."""

    def __call__(self, event: Event) -> None:
        """The engine says something."""

    def close(self) -> None:
        """The build is over."""


@contextmanager
def open_screen(
    root: Path, *, is_json: bool, is_quiet: bool, stop: Callable[[], None]
) -> Iterator[Screen]:
    """The screen for these options, for the length of the block.

    Args:
        root: The folder that is watched: paths are shown as they are below it.
        is_json: One JSON object for each event, on standard output.
        is_quiet: Only what is wrong, on standard error.
        stop: Called when nobody reads what is printed any more.
    """
    out, err = _Lines(sys.stdout, stop), _Lines(sys.stderr, stop)
    if is_json:
        # In ASCII, because a path may hold what is no text.
        yield lambda event: out(json.dumps(_json_of(event)))
    elif is_quiet:
        yield lambda event: err(_trouble_text(event, root)) if _is_wrong(event) else None
    elif sys.stderr.isatty():
        from nixenv.cli.bars import build_bars  # noqa: PLC0415 - only a terminal has them

        # Between bars only their own display may write.
        with build_bars(sys.stderr) as bars:
            over = bars.print if sys.stdout.isatty() else out
            yield _Text(root, over, bars.print, bars.begin)
    else:
        yield _Text(root, out, err, lambda name: _PlainBuild(name, err))


class _Lines:
    """A stream of lines whose reader may go away (`| head`)."""

    def __init__(self, stream: TextIO, stop: Callable[[], None]) -> None:
        self._stream = stream
        self._stop = stop

    def __call__(self, line: str) -> None:
        try:
            print(line, file=self._stream, flush=True)
        except OSError:  # a closed pipe, a terminal that is gone, a full disk
            # Without this, Python complains again while it shuts down.
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())
            self._stop()


class _Text:
    """Events as lines of text, the engine's own as `begin` shows them.

    Args:
        root: The folder that is watched.
        say: Shows a result.
        warn: Shows what is wrong.
        begin: Opens what shows one build's progress, by the document's name.
    """

    def __init__(
        self,
        root: Path,
        say: Callable[[str], None],
        warn: Callable[[str], None],
        begin: Callable[[str], Progress],
    ) -> None:
        self._root = root
        self._say = say
        self._warn = warn
        self._begin = begin
        self._builds: dict[Path, Progress] = {}
        self._last = ""
        self._untold = 0  # before the first silence, what is there already is only counted

    def __call__(self, event: WatchEvent) -> None:
        if isinstance(event, Building):
            self._builds[event.document] = self._begin(_name(event.document, self._root))
        elif isinstance(event, Doing):
            self._builds[event.document](event.event)
        elif _is_wrong(event):
            self._end(event)
            self._warn(_trouble_text(event, self._root))
        else:
            self._end(event)
            if (line := self._line(event)) and line != self._last:
                self._last = line
                self._say(line)

    def _end(self, event: WatchEvent) -> None:
        document = getattr(event, "document", None)
        if document is not None and (build := self._builds.pop(document, None)):
            build.close()

    def _line(self, event: WatchEvent) -> str:
        if isinstance(event, Watching):
            return (
                f"watching `{printable(str(event.folder))}`: {_count(event.documents, 'notebook')}"
            )
        if isinstance(event, Ready):
            return self._ready_line(event)
        if isinstance(event, Outdated):
            return f"`{_name(event.document, self._root)}` has changed: its build is stopped"
        if isinstance(event, Idle):
            self._untold = _FEW
            return _idle(event)
        return ""

    def _ready_line(self, event: Ready) -> str:
        """None for one of many that needed no build, as after `git checkout`: their number is enough."""
        name = _name(event.document, self._root)
        if event.seconds is not None:
            return f"`{name}` is ready ({event.seconds:.1f} s)"
        self._untold -= 1
        return f"`{name}` is ready" if self._untold >= 0 else ""


class _PlainBuild:
    """One build's progress as lines that begin with its name."""

    def __init__(self, name: str, write: Callable[[str], None]) -> None:
        stream = cast("TextIO", _Prefixed(f"{name}: ", write))
        self._lines = PlainLines(stream, time.monotonic)

    def __call__(self, event: Event) -> None:
        self._lines(event)

    def close(self) -> None:
        """What was written stays."""


class _Prefixed:
    """A stream of lines, each with something before it."""

    def __init__(self, prefix: str, write: Callable[[str], None]) -> None:
        self._prefix = prefix
        self._write = write

    def write(self, line: str) -> None:
        self._write(self._prefix + line.rstrip("\n"))

    def flush(self) -> None:
        """Every line is flushed."""


def _name(path: Path, root: Path) -> str:
    shown = path.relative_to(root) if path != root and path.is_relative_to(root) else path
    return printable(str(shown))


def _idle(event: Idle) -> str:
    if not event.ready and not event.troubled:
        return "no notebook here carries an environment yet"
    ready = f"{_count(event.ready, 'environment')} ready"
    return f"{ready}, {_count(event.troubled, 'notebook')} not" if event.troubled else ready


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def _is_wrong(event: WatchEvent) -> bool:
    return isinstance(event, Trouble | Polling)


def _trouble_text(event: WatchEvent, root: Path) -> str:
    if isinstance(event, Polling):
        error = NixError(
            f"the system cannot tell about changes: {event.reason}",
            details=(f"so they are looked for every {event.seconds:.0f} seconds",),
            hint=f"`{event.command}`" if event.command else "",
        )
        return f"warning: {error.render()}"
    assert isinstance(event, Trouble)  # noqa: S101 - the caller has looked
    failure = _failure(event)
    name = _name(event.document, root)
    if event.document.name not in failure.message:
        failure = replace(failure, message=f"`{name}`: {failure.message}")
    return f"nixenv: {failure.render()}"


def _failure(event: Trouble) -> Failure:
    """The error as the other verbs show it; an engine's brings the name of its class with it."""
    error = event.error
    if isinstance(error, EngineError):
        first, *rest = error.summary.splitlines() or [""]
        details = (*(line.strip() for line in rest), *error.details)
        kind = str(error.fields.get("type") or "EngineError")
        error = EngineError(first, details=details, hint=error.hint, **error.fields)
        failure = replace(failure_of(error), type=kind)
    else:
        assert isinstance(error, NixError | OSError)  # noqa: S101 - all that a watch tells
        failure = failure_of(error)
    notebook = failure.notebook or str(event.document)
    return replace(failure, notebook=notebook, hint=failure.hint.replace("NOTEBOOK", notebook))


def _json_of(event: WatchEvent) -> dict[str, Any]:
    told = to_json(event)
    return {**told, "error": _failure(event).to_json()} if isinstance(event, Trouble) else told
