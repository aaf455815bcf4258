"""Progress bars for a terminal; the only user of rich's live display."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TransferSpeedColumn,
)
from rich.progress import Progress as Display
from rich.text import Text

from nixenv.progress_lines import VERBS, note_line
from nixlib.progress import Event, EventSink, Note, Phase, Progress


@contextmanager
def bars(stream: TextIO) -> Iterator[EventSink]:
    """A sink that draws one bar per phase on `stream`; what is drawn goes away at the end."""
    with _display(stream) as display:
        yield _Bars(display)


@contextmanager
def build_bars(stream: TextIO) -> Iterator[BuildBars]:
    """Bars for several builds at a time on `stream`, for the length of the block."""
    with _display(stream) as display:
        yield BuildBars(display)


def _display(stream: TextIO) -> Display:
    return Display(
        TextColumn("{task.description:<20}", markup=False),
        BarColumn(bar_width=30),
        _IfCounted(MofNCompleteColumn()),
        _IfBytes(DownloadColumn()),
        _IfBytes(TransferSpeedColumn()),
        console=Console(file=stream),
        transient=True,
    )


class _Bars:
    """Events to tasks of a rich display; rich locks it, so any thread may call."""

    def __init__(self, display: Display) -> None:
        self._display = display
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, event: Event) -> None:
        if isinstance(event, Note):
            self._display.console.print(note_line(event), highlight=False, markup=False)
        elif isinstance(event, Phase):
            if event.name != "ready":
                self._task(event.name)
        elif event.total:
            self._show(event)

    def _task(self, phase: str) -> TaskID:
        if phase not in self._tasks:
            self._tasks[phase] = self._display.add_task(
                VERBS[phase], total=None, bytes=False, count=""
            )
        return self._tasks[phase]

    def _show(self, event: Progress) -> None:
        is_bytes = event.bytes_total > 0
        self._display.update(
            self._task(event.phase),
            completed=event.bytes_done if is_bytes else event.done,
            total=event.bytes_total if is_bytes else event.total,
            bytes=is_bytes,
            count=f"{event.done}/{event.total}",
        )


class BuildBars:
    """One bar for each build under way, and lines above them."""

    def __init__(self, display: Display) -> None:
        self._display = display

    def print(self, line: str) -> None:
        """Write `line` above the bars; it stays."""
        self._display.console.print(line, highlight=False, markup=False, soft_wrap=True)

    def begin(self, name: str) -> BuildBar:
        """A new bar, for the build of `name`."""
        return BuildBar(self._display, name)


class BuildBar:
    """The bar of one build: what it does now, and how far that is."""

    def __init__(self, display: Display, name: str) -> None:
        self._display = display
        self._name = name
        self._is_downloading = False
        self._task = display.add_task(name, total=None, bytes=False, count="")

    def __call__(self, event: Event) -> None:
        """Show what the engine says."""
        if isinstance(event, Note):
            line = f"{self._name}: {note_line(event)}"
            self._display.console.print(line, highlight=False, markup=False)
            return
        phase = event.name if isinstance(event, Phase) else event.phase
        if isinstance(event, Progress) and phase == "download":
            self._is_downloading = event.done < event.total
        elif self._is_downloading and phase == "import":
            return  # both at once, and one bar: what takes longer is shown
        shown: dict[str, Any] = {"description": f"{self._name}: {VERBS[phase]}"}
        if isinstance(event, Progress) and event.total:
            is_bytes = event.bytes_total > 0
            shown |= {
                "completed": event.bytes_done if is_bytes else event.done,
                "total": event.bytes_total if is_bytes else event.total,
                "bytes": is_bytes,
                "count": f"{event.done}/{event.total}",
            }
        self._display.update(self._task, **shown)

    def close(self) -> None:
        """The build is over, so the bar goes."""
        self._display.remove_task(self._task)


class _IfCounted(ProgressColumn):
    """How many of how many, for a phase that counts things or things and bytes."""

    def __init__(self, counter: MofNCompleteColumn) -> None:
        super().__init__()
        self._counter = counter

    def render(self, task: Task) -> Text:
        if task.fields["count"]:
            return Text(task.fields["count"], style="progress.download")
        return self._counter.render(task) if task.total else Text("")


class _IfBytes(ProgressColumn):
    """A column that makes sense only where the bar counts bytes."""

    def __init__(self, column: DownloadColumn | TransferSpeedColumn) -> None:
        super().__init__()
        self._column = column

    def render(self, task: Task) -> Text:
        return self._column.render(task) if task.fields["bytes"] else Text("")
