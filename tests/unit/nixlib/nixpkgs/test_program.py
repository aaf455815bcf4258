"""A program in the place of Nix's, to see how it is held."""

import os
import threading
import time
from pathlib import Path

import pytest

from nixlib.cancel import Cancel
from nixlib.errors import DaemonUnavailableError, RealisationCancelledError, StoreError
from nixlib.nixpkgs.program import Limits, nix_env, nix_version, run_program
from nixlib.settings import Settings


@pytest.fixture
def settings(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("HOME", str(tmp_path))
    return Settings(tmp_path / "cache", tmp_path / "state", store=str(tmp_path / "store"))


def install(tmp_path: Path, script: str, name: str = "nix-instantiate") -> None:
    (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / name).chmod(0o755)


def run(settings, limits=None, cancel=None, **more):
    return run_program(
        "nix-instantiate",
        ["a b", "$HOME"],
        settings=settings,
        limits=limits,
        cancel=cancel or Cancel(),
        **more,
    )


def test_answer_is_what_it_prints_and_says(settings, tmp_path):
    install(tmp_path, 'cat; printf "%s|" "$@"; echo one >&2; echo two >&2; exit 3')
    lines = []
    answer = run(settings, on_line=lines.append)
    assert (answer.status, answer.output, answer.log) == (3, b"a b|$HOME|", ("one", "two"))
    assert lines == ["one", "two"]


@pytest.mark.parametrize(
    ("script", "limits", "reason"),
    [
        ("sleep 60", Limits(seconds=0.3), "too-long"),
        ("echo a; sleep 60", Limits(silence=0.3), "silent"),
        ("cat /dev/zero", Limits(), "output"),
        ("sleep 60", Limits(memory=1000), "memory"),
    ],
)
def test_program_beyond_its_limits_is_stopped(settings, tmp_path, script, limits, reason):
    install(tmp_path, script)
    with pytest.raises(StoreError) as caught:
        run(settings, limits)
    assert caught.value.reason == reason


def test_gigabytes_of_log_are_not_kept(settings, tmp_path):
    install(tmp_path, "yes | head -c 20000000 >&2")
    assert len(run(settings).log) <= 200


def test_cancel_takes_everything_that_it_started_along(settings, tmp_path):
    install(tmp_path, f"sleep 1000 & echo $! > {tmp_path}/child; wait")
    cancel = Cancel()
    threading.Timer(0.5, cancel.set).start()
    with pytest.raises(RealisationCancelledError):
        run(settings, cancel=cancel)
    child = int((tmp_path / "child").read_text())
    deadline = time.monotonic() + 5
    while Path(f"/proc/{child}").exists() and _state(child) != "Z":
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


def test_missing_nix_is_said(settings, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DaemonUnavailableError):
        run(settings)


def test_version_is_read(settings, tmp_path):
    install(tmp_path, "echo 'nix-instantiate (Nix) 2.26.3'")
    assert nix_version(settings, Cancel()) == (2, 26)


def test_program_uses_the_store_and_nothing_else_of_the_shell(tmp_path):
    settings = Settings(tmp_path, tmp_path, store="/elsewhere")
    env = {"NIX_PATH": "nixpkgs=/x", "HOME": "/h"}
    assert nix_env(settings, env) == {"HOME": "/h", "NIX_REMOTE": "local?root=%2Felsewhere"}
    assert "NIX_REMOTE" not in nix_env(Settings(tmp_path, tmp_path), {**env, "NIX_REMOTE": ""})
    assert os.environ.get("HOME")
