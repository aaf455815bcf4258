from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from nixenv.kernel.engine_client import ask, engine_environment
from nixenv.kernel.failure import KernelSideError
from nixenv.kernel.session import Session

STANDIN = Path(__file__).with_name("engine_standin.py")


@pytest.fixture
def say(tmp_path):
    """Makes a session whose engine says what it is told to."""

    def session(**plan) -> Session:
        (tmp_path / "plan.json").write_text(json.dumps(plan))
        variables = {"STANDIN": str(tmp_path / "plan.json")}
        return Session(
            "/n/a.ipynb", (sys.executable, str(STANDIN)), variables, owns_environment=True
        )

    return session


def heard(tmp_path: Path) -> dict:
    return json.loads((tmp_path / "heard.json").read_text())


def test_answer_and_events_arrive(say, tmp_path):
    events = [
        {"event": "phase", "name": "resolve"},
        {"event": "note", "level": "info", "text": "x"},
    ]
    session = say(events=events, answer={"seconds": 1.5}, noise=["not an event", "{broken"])
    found = []
    assert ask(session, "add", ["x >=1"], found.append) == {"seconds": 1.5}
    assert found == events
    assert heard(tmp_path)["argv"] == ["add", "/n/a.ipynb", "x >=1", "--json", "--events"]


def test_error_of_the_engine_is_raised_as_its_own_class(say):
    error = {
        "type": "ResolutionError",
        "message": "cannot resolve `a.ipynb`: no `x`\n  two\n  lines",
        "hint": "%nixenv remove x",
        "notebook": "/n/a.ipynb",
        "key": "nixenv.requirements[0]",
    }
    with pytest.raises(KernelSideError) as failed:
        ask(say(answer={"error": error}, status=3), "add", ["x"], print)
    assert type(failed.value).__name__ == "ResolutionError"
    assert failed.value.render() == (
        "cannot resolve `a.ipynb`: no `x`\n  two\n  lines\n  key `nixenv.requirements[0]`\n\n"
        "hint: %nixenv remove x"
    )


@pytest.mark.parametrize(
    "plan", [{"status": 1}, {"answer": [1]}, {"answer": {"a": 1}, "status": 1}]
)
def test_engine_without_an_answer_is_a_failure_with_its_last_words(say, plan):
    with pytest.raises(KernelSideError) as failed:
        ask(say(noise=[f"line {n}" for n in range(30)], **plan), "add", ["x"], print)
    lines = failed.value.message.splitlines()
    assert lines[0].startswith("the engine gave no answer to `add`: it ended with exit status")
    assert lines[1:] == [f"  line {n}" for n in range(10, 30)]


def test_missing_engine_is_named():
    session = Session("/n/a.ipynb", ("/nowhere/python",), {}, owns_environment=True)
    with pytest.raises(KernelSideError) as failed:
        ask(session, "status", [], print)
    assert failed.value.message == (
        "the engine cannot be started\n  `/nowhere/python`: No such file or directory"
    )


def interrupt_when(path: Path) -> threading.Thread:
    def interrupt() -> None:
        while not path.exists():
            time.sleep(0.01)
        # As a front end's interrupt arrives when only this process is signalled.
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    return thread


@pytest.fixture
def interruptible():
    """What a shell starts in the background ignores interrupts, and so do its children."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_interrupt_stops_the_engine_and_reaps_it(say, tmp_path):
    session = say(events=[{"event": "phase", "name": "download"}], wait=str(tmp_path / "ready"))
    thread = interrupt_when(tmp_path / "ready")
    with pytest.raises(KernelSideError) as failed:
        ask(session, "add", ["x"], [].append)
    thread.join()
    assert failed.value.kind == "Interrupted"
    assert (tmp_path / "stopped").read_text() == "SIGINT"
    with pytest.raises(ProcessLookupError):
        os.kill(heard(tmp_path)["pid"], 0)


def test_failing_listener_leaves_no_process(say, tmp_path):
    session = say(events=[{"event": "phase", "name": "download"}], wait=str(tmp_path / "ready"))

    def fail(event):
        raise RuntimeError(event)

    with pytest.raises(RuntimeError):
        ask(session, "add", ["x"], fail)
    with pytest.raises(ProcessLookupError):
        os.kill(heard(tmp_path)["pid"], 0)


def test_engine_environment_is_not_the_notebooks():
    environ = {
        "PATH": "/env/bin:/usr/bin",
        "PYTHONPATH": "/mine",
        "HTTPS_PROXY": "http://proxy",
    }
    found = engine_environment({"NIXENV_STATE": "/s"}, environ, "/env")
    assert found == {"PATH": "/usr/bin", "HTTPS_PROXY": "http://proxy", "NIXENV_STATE": "/s"}


def test_mailbox_goes_by_the_notebooks_name_in_errors(say):
    told = {"type": "SpecError", "message": "m\n  in `/n/a.ipynb`", "notebook": "/n/a.ipynb"}
    session = replace(say(answer={"error": told}, status=2), name="report.ipynb")
    with pytest.raises(KernelSideError) as failed:
        ask(session, "lock", [], print)
    assert failed.value.render() == "m\n  in `report.ipynb`"


def test_kernel_that_nixenv_did_not_start_lends_the_engine_all_its_variables(
    say, tmp_path, monkeypatch
):
    monkeypatch.setenv("PYTHONUTF8", "1")
    ask(replace(say(answer={}), owns_environment=False), "status", [], print)
    assert heard(tmp_path)["environ"]["PYTHONUTF8"] == "1"
