"""What a waiting cell shows of a build."""

from nixenv.bootstrap.cellprogress import FIRST, INTERVAL, CellProgress
from nixlib.progress import Note, Phase, Progress


class Cell:
    """A cell, a clock that is set, and the calls that are still to come."""

    def __init__(self):
        self.texts, self.now, self.later = [], 0.0, []
        self.progress = CellProgress(
            self.texts.append, lambda: self.now, lambda wait, call: self.later.append((wait, call))
        )

    def wait(self, seconds):
        due, self.later = self.later, []
        self.now += seconds
        for wait, call in due:
            assert wait <= seconds
            call()


def test_nothing_is_written_while_no_cell_waits():
    cell = Cell()
    cell.progress(Phase("resolve"))
    cell.wait(5)
    assert cell.texts == []
    assert not cell.progress.has_written


def test_cell_soon_shows_how_far_it_is():
    cell = Cell()
    cell.progress(Progress("download", 1, 4, 10_000_000, 40_000_000))
    cell.progress.open()
    assert cell.texts == []
    cell.wait(FIRST)
    assert cell.texts == ["nixenv: downloading 1 of 4 · 10.0 MB of 40.0 MB"]


def test_kernel_that_is_there_first_leaves_the_cell_alone():
    cell = Cell()
    cell.progress.open()
    cell.progress.close()
    cell.wait(FIRST)
    assert cell.texts == []


def test_updates_are_few_and_the_last_one_is_seen():
    cell = Cell()
    cell.progress.open()
    cell.wait(FIRST)
    for done in range(1, 100):
        cell.progress(Progress("download", done, 100))
    assert len(cell.texts) == 1
    cell.wait(INTERVAL)
    assert cell.texts[1:] == ["\rnixenv: downloading 99 of 100"]


def test_longer_line_is_covered():
    cell = Cell()
    cell.progress(Progress("download", 1, 2, 123_456_789, 234_567_890))
    cell.progress.open()
    cell.wait(FIRST)
    cell.wait(INTERVAL)
    cell.progress(Phase("compose"))
    assert len(cell.texts[-1]) == 1 + len(cell.texts[0])
    assert cell.texts[-1].split() == ["nixenv:", "composing"]


def test_speed_is_shown():
    cell = Cell()
    cell.progress.open()
    cell.wait(FIRST)
    for second in range(5):
        cell.progress(Progress("download", 1, 2, second * 9_000_000, 90_000_000))
        cell.wait(1)
    assert cell.texts[-1].rstrip().endswith("MB/s")


def test_warning_keeps_its_own_line():
    cell = Cell()
    cell.progress.open()
    cell.wait(FIRST)
    cell.wait(INTERVAL)
    cell.progress(Note("warning", "it was yanked", "six"))
    assert cell.texts[-1].startswith("\rwarning: six: it was yanked")
    assert cell.texts[-1].endswith("\n\rnixenv: starting")
    shown = len(cell.texts)
    cell.wait(INTERVAL)
    assert len(cell.texts) == shown


def test_what_is_said_in_between_is_shown():
    cell = Cell()
    cell.progress.open()
    cell.progress.say("starting the kernel")
    cell.wait(FIRST)
    assert cell.texts == ["nixenv: starting the kernel"]
