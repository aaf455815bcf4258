"""What does not answer is left alone for a while."""

from pathlib import Path

import pytest

from nixlib.network.outages import Outages, default_outages


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def test_outage_is_remembered_by_the_next_process_and_forgotten(tmp_path: Path) -> None:
    clock = Clock()
    Outages(tmp_path / "d" / "f.json", forget=60, clock=clock).note("cache")
    later = Outages(tmp_path / "d" / "f.json", forget=60, clock=clock)
    assert later.is_down("cache")
    assert not later.is_down("other")
    clock.now += 61
    assert not later.is_down("cache")


def test_outage_of_a_wrong_clock_is_not_believed(tmp_path: Path) -> None:
    clock = Clock()
    outages = Outages(tmp_path / "f.json", forget=60, clock=clock)
    clock.now += 10_000_000
    outages.note("cache")
    clock.now -= 10_000_000
    assert not outages.is_down("cache")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"cache": "x"}', '{"cache": null}'])
def test_damaged_memory_is_no_memory(tmp_path: Path, content: str) -> None:
    (tmp_path / "f.json").write_text(content)
    outages = Outages(tmp_path / "f.json")
    assert not outages.is_down("cache")
    outages.note("cache")
    assert outages.is_down("cache")


def test_memory_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    outages = Outages(tmp_path / "file" / "f.json")
    outages.note("cache")
    assert not outages.is_down("cache")


def test_default_memory_follows_xdg() -> None:
    assert default_outages({"XDG_CACHE_HOME": "/c"})._path == Path("/c/nixenv/outages.json")
    assert default_outages({"HOME": "/h"})._path == Path("/h/.cache/nixenv/outages.json")
