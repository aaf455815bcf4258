"""What `nixenv watch` shows."""

import json
import os
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from nixenv.cli.watch_screen import open_screen
from nixenv.errors import EngineError, MetadataError
from nixenv.watch.events import (
    Building,
    Doing,
    Idle,
    Outdated,
    Polling,
    Ready,
    Trouble,
    Watching,
)
from nixlib.progress import Note, Progress

ROOT = Path("/w")
ENGINE_SAYS = EngineError(
    "cannot resolve `b.ipynb`: no index has a package `nmpy`\n  asked by requirement 1",
    hint="`%nixenv remove nmpy`",
    type="ResolutionError",
    notebook="/w/b.ipynb",
    exit_status=3,
)
STORY = [
    Watching(ROOT, 3),
    Ready(ROOT / "old.ipynb", Path("/e0"), "l0"),
    Building(ROOT / "sub/a.ipynb"),
    Doing(ROOT / "sub/a.ipynb", Progress("download", 12, 12)),
    Doing(ROOT / "sub/a.ipynb", Note("warning", "slow", "torch")),
    Ready(ROOT / "sub/a.ipynb", Path("/e1"), "l1", 3.21),
    Building(ROOT / "b.ipynb"),
    Trouble(ROOT / "b.ipynb", ENGINE_SAYS),
    Idle(2, 1),
    Idle(2, 1),
    Building(ROOT / "c.ipynb"),
    Outdated(ROOT / "c.ipynb"),
    Trouble(ROOT / "d.ipynb", MetadataError("there is no lock", hint="`nixenv lock NOTEBOOK`")),
    Polling("inotify watch limit reached", 2.0, "sudo sysctl x=1"),
]


def shown(capsys, **options):
    """Standard output and error of the story."""
    options = {"is_json": False, "is_quiet": False, **options}
    with open_screen(ROOT, stop=lambda: None, **options) as screen:
        for event in STORY:
            screen(event)
    return capsys.readouterr()


def test_plain_screen_has_results_on_output_and_the_rest_on_error(capsys):
    out, err = shown(capsys)

    assert out.splitlines() == [
        "watching `/w`: 3 notebooks",
        "`sub/a.ipynb` is ready (3.2 s)",
        "2 environments ready, 1 notebook not",
        "`c.ipynb` has changed: its build is stopped",
    ]
    assert err.splitlines() == [
        "sub/a.ipynb: downloading 12 of 12",
        "sub/a.ipynb: warning: torch: slow",
        "nixenv: cannot resolve `b.ipynb`: no index has a package `nmpy`",
        "  asked by requirement 1",
        "",
        'hint: `nixenv remove "/w/b.ipynb" nmpy`',
        "nixenv: `d.ipynb`: there is no lock",
        "",
        "hint: `nixenv lock /w/d.ipynb`",
        "warning: the system cannot tell about changes: inotify watch limit reached",
        "  so they are looked for every 2 seconds",
        "",
        "hint: `sudo sysctl x=1`",
    ]


def test_plain_screen_does_not_list_a_thousand_that_needed_no_build(capsys):
    with open_screen(ROOT, is_json=False, is_quiet=False, stop=lambda: None) as screen:
        screen(Idle(0, 0))
        for round_ in range(2):
            for number in range(1000):
                screen(Ready(ROOT / f"{number}.ipynb", Path("/e"), "l"))
            screen(Idle(1000, round_))

    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 13
    assert lines[-1] == "1000 environments ready, 1 notebook not"


def test_quiet_screen_shows_only_what_is_wrong(capsys):
    out, err = shown(capsys, is_quiet=True)

    assert out == ""
    assert err.count("nixenv: ") == 2
    assert err.count("warning: ") == 1


def test_json_screen_has_one_object_for_each_event(capsys):
    out, err = shown(capsys, is_json=True)
    lines = [json.loads(line) for line in out.splitlines()]

    assert err == ""
    assert [line["event"] for line in lines] == [
        "watching",
        "ready",
        "building",
        "progress",
        "note",
        "ready",
        "building",
        "trouble",
        "idle",
        "idle",
        "building",
        "outdated",
        "trouble",
        "polling",
    ]
    assert lines[5] == {
        "event": "ready",
        "notebook": "/w/sub/a.ipynb",
        "env": "/e1",
        "lock": "l1",
        "seconds": 3.21,
    }
    error = lines[7]["error"]
    assert (error["type"], error["notebook"]) == ("ResolutionError", "/w/b.ipynb")
    assert lines[3]["notebook"] == "/w/sub/a.ipynb"


def test_name_that_a_terminal_would_obey_is_written_out(capsys):
    with open_screen(ROOT, is_json=False, is_quiet=False, stop=lambda: None) as screen:
        screen(Building(ROOT / "a\x1b[2J\n.ipynb"))
        screen(Ready(ROOT / "a\x1b[2J\n.ipynb", Path("/e"), "l", 1.0))

    assert capsys.readouterr().out == "`a\\x1b[2J\\n.ipynb` is ready (1.0 s)\n"


@pytest.mark.parametrize("is_json", [True, False])
def test_path_that_is_no_text_can_be_shown(is_json, tmp_path):
    path = tmp_path / "shown"
    with (
        path.open("w", encoding="utf-8") as stream,
        redirect_stdout(stream),
        open_screen(ROOT, is_json=is_json, is_quiet=False, stop=lambda: None) as screen,
    ):
        screen(Ready(ROOT / "\udcff.ipynb", Path("/e"), "l", 1.0))

    assert "\\udcff.ipynb" in path.read_text()


@pytest.mark.parametrize("is_json", [True, False])
def test_screen_stops_the_watch_when_nobody_reads(is_json):
    reading, writing = os.pipe()
    os.close(reading)
    stopped = []
    with (
        os.fdopen(writing, "w") as stream,
        redirect_stdout(stream),
        open_screen(
            ROOT, is_json=is_json, is_quiet=False, stop=lambda: stopped.append(1)
        ) as screen,
    ):
        screen(STORY[0])

    assert stopped == [1]
