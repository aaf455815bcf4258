from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nixenv.kernel import mail
from nixenv.kernel.mail import mail_folder, remove_letter, sweep, write_letter

WRITER = (
    "from nixenv.kernel.mail import write_letter; import sys\n"
    "print(write_letter('box.json', '{}'), flush=True); sys.stdin.read()"
)


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("NIXENV_CACHE_DIR", str(tmp_path))
    return tmp_path / "mail"


@pytest.mark.parametrize(
    ("environ", "place"),
    [
        ({"HOME": "/h"}, "/h/.cache/nixenv/mail"),
        ({"HOME": "/h", "XDG_CACHE_HOME": "/c"}, "/c/nixenv/mail"),
        ({"HOME": "/h", "XDG_CACHE_HOME": "c"}, "/h/.cache/nixenv/mail"),
        ({"HOME": "/h", "XDG_CACHE_HOME": "/c", "NIXENV_CACHE_DIR": "/n"}, "/n/mail"),
    ],
)
def test_letters_lie_in_the_cache(environ, place):
    assert mail_folder(environ) == place


def test_letter_is_for_its_user_and_gone_when_removed(folder):
    path = Path(write_letter("box.json", "ä"))
    assert path.read_text(encoding="utf-8") == "ä"
    assert path.name == "box.json"
    assert path.stat().st_mode & 0o077 == path.parent.stat().st_mode & 0o077 == 0
    assert sweep(str(folder)) == 0
    remove_letter(str(path))
    remove_letter(str(path))
    assert list(folder.iterdir()) == []
    assert mail._held == {}


def test_what_others_deleted_is_tidied_with_the_next_letter(folder):
    Path(write_letter("box.json", "")).unlink()
    path = write_letter("box.json", "")
    assert len(list(folder.iterdir())) == 1
    remove_letter(path)


def test_letters_of_killed_processes_are_swept_and_no_others(folder):
    argv = [sys.executable, "-c", WRITER]
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        path = Path(process.stdout.readline().strip())
        assert sweep(str(folder)) == 0
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    mine = write_letter("box.json", "")
    assert path.exists()
    assert sweep(str(folder), is_dry=True) == 1
    assert path.exists()
    assert sweep(str(folder)) == 1
    assert [str(one) for one in folder.iterdir()] == [str(Path(mine).parent)]
    remove_letter(mine)


def test_half_made_letter_is_swept(folder):
    (folder / "nixenv-x").mkdir(parents=True)
    (folder / "stray").touch()
    assert sweep(str(folder)) == 1
    assert [one.name for one in folder.iterdir()] == ["stray"]
    assert sweep(str(folder / "absent")) == 0


def test_home_that_cannot_be_written_is_no_obstacle(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("NIXENV_CACHE_DIR", str(tmp_path / "file"))
    path = write_letter("box.json", "x")
    assert Path(path).read_text() == "x"
    remove_letter(path)
    assert not Path(path).parent.exists()
