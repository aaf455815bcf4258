"""`nixenv watch` as a process, with the real engine and the real store."""

import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest

PATIENCE = 120  # seconds; a build takes one, a busy machine many


class Watcher:
    """A running `nixenv watch --json`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.seen: list[dict] = []
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self._lines.put(line)

    def until(self, event: str, **fields: object) -> dict:
        """The next event of this kind with these fields."""
        while True:
            told = json.loads(self._lines.get(timeout=PATIENCE))
            self.seen.append(told)
            if told["event"] == event and fields.items() <= told.items():
                return told

    def stop(self, number: int) -> int:
        """Send a signal; returns the exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


@contextmanager
def watching(home, folder: Path, *options: str, **variables: str):
    # A state of its own, in which nothing is built yet, on the store that has everything.
    env = {**home.process_env, "NIXENV_STATE_DIR": str(folder.parent / "state"), **variables}
    argv = [sys.executable, "-m", "nixenv", "watch", folder, "--json", *options]
    with subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Watcher(process)
        finally:
            process.kill()


@pytest.fixture
def work(tmp_path):
    folder = tmp_path / "a folder"
    folder.mkdir()
    return folder


def test_watch_builds_what_is_there_and_what_is_saved_until_it_is_stopped(engine_home, work):
    first = engine_home.notebook(work / "first.ipynb")
    before = first.read_bytes()
    with watching(engine_home, work) as watcher:
        built = watcher.until("ready", notebook=str(first))
        watcher.until("idle", ready=1, troubled=0)
        again = engine_home.notebook(work / "sub" / "again.ipynb")
        same = watcher.until("ready", notebook=str(again))
        code = watcher.stop(signal.SIGTERM)
        watcher.until("stopped")

    assert code == 130
    assert Path(built["env"], "bin", "python").exists()
    assert built["seconds"] > 0
    assert (same["env"], same["seconds"]) == (built["env"], None)
    assert first.read_bytes() == before
    assert {event["event"] for event in watcher.seen} >= {"watching", "building", "phase"}


def test_watch_locks_what_has_no_lock_only_where_that_is_asked_for(engine_home, work):
    path = engine_home.notebook(work / "a.ipynb")
    notebook = json.loads(path.read_text())
    del notebook["metadata"]["nixenv"]["lock"]
    path.write_text(json.dumps(notebook))
    before = path.read_bytes()
    with watching(engine_home, work) as watcher:
        told = watcher.until("trouble", notebook=str(path))
        watcher.until("idle", ready=0, troubled=1)
    assert told["error"]["key"] == "nixenv.lock"
    assert path.read_bytes() == before

    with watching(engine_home, work, "--lock") as watcher:
        watcher.until("ready", notebook=str(path))
        watcher.until("idle", ready=1, troubled=0)
    assert "lock" in json.loads(path.read_text())["metadata"]["nixenv"]


def test_interrupt_stops_the_engine_too(engine_home, work):
    path = engine_home.notebook(work / "a.ipynb")
    notebook = json.loads(path.read_text())
    del notebook["metadata"]["nixenv"]["lock"]
    path.write_text(json.dumps(notebook))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        index = f"http://127.0.0.1:{silent.getsockname()[1]}/simple"
        with watching(
            engine_home,
            work,
            "--lock",
            UV_DEFAULT_INDEX=index,
            NIXENV_CACHE_DIR=str(work.parent / "cache"),
        ) as watcher:
            watcher.until("phase", name="resolve")
            engines = children(watcher.process.pid)
            code = watcher.stop(signal.SIGINT)

    assert code == 130
    assert engines
    assert [pid for pid in engines if Path(f"/proc/{pid}").exists()] == []
    assert "lock" not in json.loads(path.read_text())["metadata"]["nixenv"]


def children(pid: int) -> list[int]:
    """Processes that were started by `pid`."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


def test_folder_that_cannot_be_watched_is_an_error(engine_home, work):
    path = engine_home.notebook(work / "a.ipynb")
    for folder, why in ((work / "nowhere", "does not exist"), (path, "is not a folder")):
        run = engine_home.engine("watch", folder, check=False)
        assert run.returncode == 2
        assert why in run.stderr
        assert "Traceback" not in run.stderr
        assert run.stdout == ""


def test_watch_ends_quietly_when_nobody_reads(engine_home, work):
    engine_home.notebook(work / "a.ipynb")
    reading, writing = os.pipe()
    os.close(reading)
    argv = [sys.executable, "-m", "nixenv", "watch", work, "--json"]
    with os.fdopen(writing, "w") as stdout:
        run = subprocess.run(
            argv,
            env=engine_home.process_env,
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    assert (run.returncode, run.stderr) == (130, "")
