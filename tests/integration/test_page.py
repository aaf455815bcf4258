"""An open page as the writer of its notebook: real kernels, and a client that does what the page does."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
import time
import uuid
from pathlib import Path

import pytest
from jupyter_client.blocking import BlockingKernelClient
from jupyter_client.jsonutil import json_default
from live_kernel import (
    Cell,
    close_event_loop,  # noqa: F401
    kernel_for,
    locked,  # noqa: F401
    minors,
    running_kernel,
)

from nixenv.environments import recorded_uses
from nixenv.kernel.mail import mail_folder
from nixenv.server.launch import Target, fallback_argv, fallback_process_env
from nixenv.server.reason import Reason

pytestmark = [pytest.mark.daemon, pytest.mark.network, pytest.mark.slow]

PATH = "sub/analysis.ipynb"
PATIENCE = 120


class Tab:
    """A page of JupyterLab: one client session, one document, one comm.

    Args:
        kernel: What it is connected to.
        value: The document's `nixenv`.
        path: The document.
    """

    def __init__(self, kernel, value, path=PATH) -> None:
        # Not the manager's `client()`: all of those are one session.
        self.client = BlockingKernelClient(connection_file=kernel.manager.connection_file)
        self.client.load_connection_file()
        # As a browser writes JSON: also what is no character has a way through.
        self.client.session.pack = lambda value: json.dumps(value, default=json_default).encode()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=PATIENCE)
        self.value = value
        self.comm = uuid.uuid4().hex
        data = {"version": 1, "path": path, "nixenv": value}
        self.opening = self.send(
            "comm_open", {"comm_id": self.comm, "target_name": "nixenv", "data": data}
        )

    def send(self, kind, content) -> str:
        message = self.client.session.msg(kind, content)
        self.client.shell_channel.send(message)
        return message["header"]["msg_id"]

    def tell(self, data) -> None:
        self.send("comm_msg", {"comm_id": self.comm, "data": data})

    def run(self, code: str) -> Cell:
        """A cell; comm messages of other tabs are in `comms` too."""
        cell = Cell()
        self.client.execute_interactive(code, output_hook=cell.take, timeout=PATIENCE)
        return cell

    def change(self, cell: Cell):
        """The one change that a cell sent to this tab."""
        assert not cell.error, cell.error
        (found,) = cell.comms
        assert found["comm"] == self.comm
        return found

    def answer(self, change) -> str:
        """What the page does with a change."""
        fits = self.value in (change["base"], change["nixenv"])
        if fits:
            self.value = change["nixenv"]
            self.tell({"nixenv": self.value})
        self.tell({"applied" if fits else "refused": change["serial"]})
        return "applied" if fits else "refused"

    def answers(self, number: str) -> list:
        """What the kernel says to a message, until it is idle again."""
        deadline, found = time.monotonic() + PATIENCE, []
        while time.monotonic() < deadline:
            message = self.client.get_iopub_msg(timeout=PATIENCE)
            if message["parent_header"].get("msg_id") != number:
                continue
            if message["content"].get("execution_state") == "idle":
                return found
            found.append(message)
        raise AssertionError(found)

    def sent_at_opening(self) -> list:
        """The changes that the kernel sent when this tab opened."""
        said = [one for one in self.answers(self.opening) if one["msg_type"] == "comm_msg"]
        return [{"comm": one["content"]["comm_id"], **one["content"]["data"]} for one in said]

    def close(self) -> None:
        self.client.stop_channels()


@pytest.fixture
def home(engine_home, tmp_path):
    """The engine's home with a mail folder that is only this test's."""
    env = {**engine_home.process_env, "NIXENV_CACHE_DIR": str(tmp_path / "cache")}
    return type(engine_home)(engine_home.folder, env)


@pytest.fixture
def notebook(locked, tmp_path) -> Path:  # noqa: F811
    path = tmp_path / "analysis.ipynb"
    path.write_bytes(locked.read_bytes())
    return path


@pytest.fixture
def kernel(notebook, home):
    before = notebook.read_bytes(), notebook.stat().st_mtime_ns
    with kernel_for(notebook, home) as running:
        yield running
    # In not one of these tests the kernel or its engine writes the file.
    assert (notebook.read_bytes(), notebook.stat().st_mtime_ns) == before


@pytest.fixture
def tabs(kernel):
    opened = []

    def open_tab(value, path=PATH, of=kernel) -> Tab:
        opened.append(Tab(of, value, path))
        return opened[-1]

    yield open_tab
    for tab in opened:
        tab.close()


# What does not depend on the Python.
once = pytest.mark.parametrize("locked", minors()[:1], indirect=True)


def spec_of(notebook: Path):
    return json.loads(notebook.read_text())["metadata"]["nixenv"]


def letters(home) -> list[str]:
    folder = Path(mail_folder(home.process_env))
    return [one.name for one in folder.iterdir()] if folder.is_dir() else []


def test_page_gets_what_its_cell_changes(tabs, notebook, home):
    tab = tabs(spec_of(notebook))
    bystander = tabs(spec_of(notebook))

    first = tab.run("%nixenv add toolz")
    second = tab.run("%nixenv add colorama")  # sent before the page could answer the first
    assert tab.answer(tab.change(first)) == tab.answer(tab.change(second)) == "applied"

    assert tab.value["requirements"] == ["six", "toolz", "colorama"]
    assert {one["name"] for one in tab.value["lock"]["packages"]} >= {"six", "toolz", "colorama"}
    assert tab.run("import toolz, colorama").error == {}
    for cell in (first, second):
        assert cell.displays[-1].splitlines()[-2:] == [
            "ready: no restart is needed",
            "changed `analysis.ipynb` in this page: save the notebook to keep it",
        ]
        assert "<table>" in cell.pages[-1]
    # A page that shows the same document takes what this one makes of it; another client has the file.
    assert bystander.run("%nixenv sync").comms == []
    assert tabs(tab.value).sent_at_opening() == []
    assert letters(home) == []
    # The collector knows whose the new environments are, before the file does.
    state = Path(home.process_env["XDG_STATE_HOME"]) / "nixenv"
    assert len({use.root for use in recorded_uses(state) if use.notebook == notebook}) > 2


def test_change_without_an_answer_goes_to_the_page_that_opens_next(tabs, notebook):
    change = (lost := tabs(spec_of(notebook))).change(lost.run("%nixenv add toolz"))

    assert tabs(spec_of(notebook), "other.ipynb").sent_at_opening() == []
    reloaded = tabs(spec_of(notebook))
    (again,) = reloaded.sent_at_opening()

    assert {**again, "comm": lost.comm} == change
    assert reloaded.answer(again) == "applied"
    assert "toolz" in reloaded.run("%nixenv list").displays[-1]
    assert tabs(spec_of(notebook)).sent_at_opening() == []


def test_what_is_not_saved_counts(tabs, notebook):
    """Also a spec that has no lock: the lock goes to the page."""
    spec = {key: value for key, value in spec_of(notebook).items() if key != "lock"}
    tab = tabs(spec_of(notebook))
    tab.value = {**spec, "requirements": ["six", "toolz"]}
    tab.tell({"nixenv": tab.value})

    assert "no lock" in tab.run("%nixenv status").displays[-1]
    synced = tab.run("%nixenv sync")
    assert tab.answer(tab.change(synced)) == "applied"
    assert tab.run("import toolz").error == {}
    assert tab.run("%nixenv tree --why toolz").displays[-1].startswith("toolz ")
    assert tab.run("%nixenv sync").comms == []
    # Somebody edits it while the engine works: the page decides, and the kernel says so the next time.
    late = tab.change(tab.run("%nixenv remove toolz"))
    tab.value = {**tab.value, "requirements": ["six", "toolz", "colorama"]}
    tab.tell({"nixenv": tab.value})
    assert tab.answer(late) == "refused"
    assert "stale lock" in tab.run("%nixenv status").displays[-1]


@once
def test_nothing_changes_when_the_engine_fails_or_is_stopped_or_all_is_killed(
    tabs, kernel, notebook, home
):
    tab = tabs(spec_of(notebook))
    failed = tab.run('%nixenv add six "no-such-package-4711>2"')
    assert failed.error["ename"] == "ResolutionError"
    assert "requirement 2 `no-such-package-4711>2`" in failed.error["traceback"][0]
    assert not any("Traceback" in line for line in failed.error["traceback"])

    def interrupt():
        while not letters(home):
            time.sleep(0.01)
        os.killpg(kernel.manager.provisioner.pid, signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    stopped = tab.run("%nixenv add scipy")
    thread.join()
    assert stopped.error["ename"] in ("Interrupted", "KeyboardInterrupt")
    assert failed.comms == stopped.comms == []
    assert letters(home) == []
    assert tab.run("%nixenv list").error == {}

    # Killed, it cannot tidy up; the collector does.
    tab.send("execute_request", {"code": "%nixenv add scipy", "silent": False})
    while not letters(home):
        time.sleep(0.01)
    os.kill(kernel.manager.provisioner.pid, signal.SIGKILL)
    kernel.manager.provisioner.process.wait(PATIENCE)
    assert letters(home)
    # A state of its own: the environments of the other tests are not this collector's business.
    env = {**home.process_env, "XDG_STATE_HOME": str(notebook.parent / "state")}
    own = type(home)(home.folder, env)
    assert json.loads(own.engine("gc", "--dry-run", "--json").stdout)["letters"] == 1
    assert letters(home)
    assert "1 file of processes that are gone" in own.engine("gc").stdout
    assert letters(home) == []


HOSTILE = {
    "a list": [1],
    "a text": "x" * 10_000_000,
    "a number": 4,
    "requirements": {"version": 1, "requirements": {"a": "b"}},
    "a newer version": {"version": 99},
    "a lock": {"version": 1, "requirements": [], "lock": [[[]]]},
    "half a letter": {"version": 1, "requirements": ["\ud800"]},
    "control": {"version": 1, "requirements": ["\x1b[31m`<script>\n"]},
}


@once
def test_whatever_a_page_says_is_one_sentence(tabs, notebook):
    tab = tabs(spec_of(notebook))
    for data in (None, [], 3, {"applied": []}, {"refused": {}}, {"nixenv": {}, "applied": "x"}):
        tab.tell(data)
    for name, value in HOSTILE.items():
        tab.tell({"nixenv": value})
        error = tab.run("%nixenv add toolz").error
        assert error, name
        assert error["ename"] not in ("Bug", "EngineError"), (name, error)
        assert len(error["evalue"]) < 2000, name
        assert "`analysis.ipynb`" in error["evalue"], (name, error["evalue"])
        assert "mailbox" not in error["evalue"], (name, error["evalue"])
    tab.tell({"nixenv": spec_of(notebook)})
    assert tab.run("%nixenv list").error == {}


def test_page_of_the_fallback_kernel(engine_home, home, tmp_path, monkeypatch):
    """Which knows no notebook but that of the page."""
    monkeypatch.setenv("NIXENV_CACHE_DIR", home.process_env["NIXENV_CACHE_DIR"])
    reason = Reason("NotebookNotFoundError", "nothing says which notebook this is").save()
    env = fallback_process_env(home.process_env, reason, Target(None))
    with running_kernel(fallback_argv("{connection_file}"), env, tmp_path) as kernel:
        shutil.rmtree(reason.parent)
        tab = Tab(kernel, None)
        widget = {"comm_id": "w", "target_name": "jupyter.widget", "data": {}}
        refused = [one["msg_type"] for one in tab.answers(tab.send("comm_open", widget))]
        assert refused == ["status", "comm_close"]
        assert tab.run("import six").error["ename"] == "NotebookNotFoundError"
        assert kernel.run("%nixenv list").error["ename"] == "NotebookNotFoundError"
        change = tab.change(cell := tab.run("%nixenv add six"))
        assert change["base"] is None
        assert change["nixenv"]["requirements"] == ["six"]
        assert "resolving" in cell.displays[0]
        assert cell.displays[-1].splitlines()[-2:] == [
            "restart the kernel to start in this environment",
            "changed `analysis.ipynb` in this page: save the notebook to keep it",
        ]
        assert "<table>" in cell.pages[-1]
        assert tab.answer(change) == "applied"
        assert "six" in tab.run("%nixenv list").displays[-1]
        lost = tab.change(tab.run("%nixenv remove six"))
        reloaded = Tab(kernel, tab.value)
        (again,) = reloaded.sent_at_opening()
        assert (again["serial"], again["nixenv"]) == (lost["serial"], lost["nixenv"])
        assert reloaded.answer(again) == "applied"
        error = reloaded.run("%nixenv remove six").error
        assert (error["ename"], error["evalue"].splitlines()[0]) == (
            "RequirementError",
            "`analysis.ipynb`: `six` is not among the requirements",
        )
        for one in (tab, reloaded):
            one.close()
    assert letters(home) == []


def test_page_part_that_the_server_lacks_is_named(engine_home, tmp_path):
    """The widgets' own part is beside every server, because nixenv brings it."""
    notebook = engine_home.notebook(tmp_path / "widgets.ipynb")
    added = json.loads(engine_home.engine("add", notebook, "anywidget", "--json").stdout)
    assert "jupyterlab-widgets" in [package["name"] for package in added["added"]]
    (part,) = added["frontend"]["parts"]
    assert part["extension"] == part["package"] == "anywidget"
    command = added["frontend"]["command"]
    assert command.endswith(f"install anywidget=={part['version']}")
    assert f"`{command}`, then reload the page" in engine_home.engine("sync", notebook).stdout
    again = json.loads(engine_home.engine("add", notebook, "six", "--json").stdout)
    assert again["frontend"] is None
