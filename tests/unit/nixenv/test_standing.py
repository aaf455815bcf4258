from __future__ import annotations

import pytest

from nixenv.standing import WINDOW, Standing
from nixlib.progress import Note, Phase, Progress


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def standing(clock):
    return Standing(clock)


def test_line_before_and_between_what_is_counted(standing):
    lines = [standing.line]
    for event in (Phase("resolve"), Note("info", "hello"), Phase("plan"), Phase("compose")):
        standing.take(event)
        lines.append(standing.line)

    assert lines == ["starting", "resolving", "resolving", "planning", "composing"]
    assert standing.phase == "compose"
    assert standing.shown is None


def test_line_of_a_download_has_bytes_and_speed(standing, clock):
    standing.take(Phase("download"))
    standing.take(Progress("download", 1, 60, 12_000_000, 120_000_000))
    clock.now = 2.0
    standing.take(Progress("download", 12, 60, 30_000_000, 120_000_000))

    assert standing.line == "downloading 12 of 60 · 30.0 MB of 120.0 MB · 9.0 MB/s"
    assert standing.speed == 9_000_000


def test_speed_falls_when_nothing_arrives(standing, clock):
    for second in range(3):
        clock.now = float(second)
        standing.take(Progress("download", 0, 2, 1_000_000 * second, 9_000_000))
    at_once = standing.speed
    clock.now = 20.0

    assert at_once == 1_000_000
    assert standing.speed == 100_000


def test_speed_is_of_the_last_seconds_only(standing, clock):
    for tenth in range(200):
        clock.now = tenth / 10
        count = tenth * 10_000 if tenth < 100 else 1_000_000 + (tenth - 100) * 500_000
        standing.take(Progress("download", 0, 2, count, 100_000_000))

    assert len(standing._arrived) <= WINDOW * 10 + 2
    assert standing.speed == pytest.approx(5_000_000, rel=0.01)


def test_what_is_waited_for_is_shown_while_imports_overlap(standing):
    standing.take(Phase("download"))
    standing.take(Progress("download", 3, 9, 5, 50))
    standing.take(Progress("import", 2, 9))
    while_downloading = standing.phase, standing.shown.bytes_done
    standing.take(Progress("download", 9, 9, 50, 50))
    standing.take(Phase("import"))
    standing.take(Progress("import", 4, 9))

    assert while_downloading == ("download", 5)
    assert standing.line == "adding to the store 4 of 9"
    assert standing.speed == 0


def test_cache_that_lacks_some_does_not_hide_what_follows(standing):
    standing.take(Phase("substitute"))
    standing.take(Progress("substitute", 3, 9))
    standing.take(Phase("download"))
    standing.take(Progress("download", 0, 6, 0, 50))

    assert standing.phase == "download"


def test_transfer_that_starts_anew_has_no_negative_speed(standing, clock):
    standing.take(Progress("download", 0, 2, 5_000, 9_000))
    clock.now = 1.0
    standing.take(Progress("download", 0, 2, 1_000, 9_000))

    assert standing.speed == 0
