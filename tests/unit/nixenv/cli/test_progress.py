"""Progress for people and programs."""

import io
import json

from nixenv.cli.progress import events_to
from nixenv.progress_lines import PlainLines, progress_line
from nixlib.progress import Note, Phase, Progress, from_json


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_json_events_survive_the_way_to_another_process():
    events = [
        Phase("resolve"),
        Progress("download", 3, 12, 5, 10),
        Note("warning", "ä: 100 %", "torch"),
    ]
    stream = io.StringIO()
    with events_to(stream, is_json=True, is_quiet=False) as show:
        for event in events:
            show(event)
    assert [from_json(json.loads(line)) for line in stream.getvalue().splitlines()] == events


def test_quiet_shows_nothing():
    stream = io.StringIO()
    with events_to(stream, is_json=False, is_quiet=True) as show:
        show(Progress("download", 1, 2))
    assert stream.getvalue() == ""


def test_plain_lines_are_few_and_show_the_end():
    stream, clock = io.StringIO(), Clock()
    show = PlainLines(stream, clock)
    for done in range(101):
        clock.now = done * 0.1
        show(Progress("download", done, 100, done * 1_000_000, 100_000_000))
    lines = stream.getvalue().splitlines()
    assert len(lines) == 6
    assert lines[-1] == "downloading 100 of 100, 100.0 MB of 100.0 MB"


def test_plain_lines_say_complete_once():
    stream = io.StringIO()
    show = PlainLines(stream, Clock())
    show(Progress("import", 2, 2))
    show(Progress("import", 2, 2))
    assert stream.getvalue().splitlines() == ["adding to the store 2 of 2"]


def test_progress_line_counts_bytes_only_where_there_are_some():
    assert progress_line(Progress("compose", 1, 2)) == "composing 1 of 2"
    assert progress_line(Progress("download", 1, 2, 1500)) == "downloading 1 of 2, 1.5 kB"


def test_bars_are_drawn_on_a_terminal_and_taken_away():
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    with events_to(stream, is_json=False, is_quiet=False) as show:
        show(Phase("download"))
        show(Progress("download", 1, 2, 500_000, 1_000_000))
        show(Note("warning", "its RECORD disagrees", "torch"))
    assert "warning: torch: its RECORD disagrees" in stream.getvalue()
