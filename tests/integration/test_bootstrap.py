"""The kernelspec's command with real environments: VS Code's launch, cold builds, gateways that give up."""

from __future__ import annotations

import json
import os
import signal
import threading
import uuid
from contextlib import suppress
from pathlib import Path

import pytest
from live_server import cell, live_server
from raw_kernel import PYTHON, children_of, error_of, is_running, raw_kernel, text_of, wait_for

from nixlib.testing.index import IndexServer, make_wheel

pytestmark = [pytest.mark.daemon, pytest.mark.network]

COMMAND = (PYTHON, "-m", "nixenv.bootstrap")
WHERE = "import sys; print(*sys.version_info[:2], sys.prefix)"

PROBE = """
try:
    import ipywidgets as _VSCODE_ipywidgets
    print("e976ee50-99ed-4aba-9b6b-9dcd5634d07d:IPyWidgets:" + _VSCODE_ipywidgets.__version__)
    del _VSCODE_ipywidgets
except:
    pass
"""

STARTUP = """\
import os as _VSCODE_os
__vsc_ipynb_file__ = "{}"
try:
    get_ipython().run_line_magic("config", "Completer.use_jedi = False")
except:
    pass
told = __vsc_ipynb_file__"""


class Gate(list):
    """What an index was asked for; whoever asks while it is closed waits."""

    def __init__(self):
        super().__init__()
        self.is_open = threading.Event()

    def append(self, path):
        super().append(path)
        self.is_open.wait(120)


@pytest.fixture(scope="module")
def gate():
    return Gate()


@pytest.fixture(scope="module")
def slow(engine_home, gate, tmp_path_factory):
    """`slow(path)`: a locked notebook whose wheel is behind the gate; the second of a number is another."""
    names = [f"nixtest-slow-{number}" for number in range(2)]
    folder = tmp_path_factory.mktemp("slow")
    locked: dict[str, str] = {}
    with IndexServer([make_wheel(name, "1") for name in names], asked=gate) as index:

        def notebook(path: Path, number: int = 0) -> Path:
            name = names[number]
            if name not in locked:
                draft = engine_home.notebook(
                    folder / f"{name}.ipynb", requirements=[name], indexes=[index.url]
                )
                gate.is_open.set()
                engine_home.engine("lock", draft)
                locked[name] = draft.read_text()
            gate.is_open.clear()
            gate.clear()
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(locked[name])
            return path

        yield notebook
        gate.is_open.set()


def as_vs_code(folder, env, *, name="kernel-v2-1234abc.json"):
    """As `KernelProcess.launch` starts it: the command, a connection file of its own name, nothing else."""
    variables = {k: v for k, v in env.items() if k not in ("JPY_PARENT_PID", "JPY_SESSION_NAME")}
    return raw_kernel(COMMAND, folder, variables, name=name)


def start_vs_code_session(client, notebook):
    """What `initializeAfterStart` does, each step when the one before has ended."""
    info = client.wait_ready()
    for code in (PROBE, STARTUP.format(str(notebook).replace("\\", "\\\\"))):
        asked = client.execute(code, silent=False, store_history=False, stop_on_error=False)
        assert client.reply(asked, 10)["status"] == "ok"
        client.outputs(asked, 10)
    return info


def test_vs_code_gets_the_notebooks_environment_cold(engine_home, tmp_path):
    """Two notebooks in the folder, nothing in the store; the path is in VS Code's own code."""
    env = {
        **engine_home.process_env,
        "NIX_REMOTE": str(tmp_path / "store"),
        "XDG_STATE_HOME": str(tmp_path / "state"),
    }
    folder = tmp_path / "my notebooks"
    engine_home.notebook(folder / "other.ipynb", requirements=["six"])
    notebook = engine_home.notebook(folder / "it's ü.ipynb")
    with as_vs_code(folder, env) as kernel:
        client = kernel.client
        info = start_vs_code_session(client, notebook)
        asked = client.execute(f"{WHERE}; print(told)")
        outputs = client.outputs(asked)
        progress = text_of(outputs[: [one["msg_type"] for one in outputs].index("clear_output")])

        assert info["language_info"]["name"] == "python"
        assert "adding to the store" in progress or "composing" in progress, progress
        version, rest = text_of(outputs).split("\n", 1)
        assert version.startswith(f"3 11 {tmp_path / 'store'}")
        assert rest == f"{notebook}\n"
        assert client.reply(asked)["execution_count"] == 1
        (child,) = kernel.children()
        assert str(tmp_path / "store") in Path(f"/proc/{child}/cmdline").read_text()


def test_vs_code_gets_an_old_pythons_environment(engine_home, tmp_path, older_python):
    """ipykernel 6 on the other side; input, too."""
    notebook = engine_home.notebook(tmp_path / "a.ipynb", python=older_python)
    with as_vs_code(tmp_path, engine_home.process_env) as kernel:
        client = kernel.client
        start_vs_code_session(client, notebook)
        asked = client.execute(f"{WHERE}; print(input())", allow_stdin=True)
        client.kernel.get_stdin_msg(timeout=60)
        client.kernel.input("read")
        assert text_of(client.outputs(asked)).startswith("3 9 ")
        assert text_of(client.outputs(asked)).endswith("\nread\n")
        client.kernel.shutdown()
        assert kernel.process.wait(20) == 0


def test_notebook_that_is_not_saved_yet_is_said(engine_home, tmp_path):
    engine_home.notebook(tmp_path / "other.ipynb")
    with as_vs_code(tmp_path, engine_home.process_env) as kernel:
        start_vs_code_session(kernel.client, tmp_path / "Untitled-1.ipynb")
        error = error_of(kernel.client.run("print('never')"))
        assert error["ename"] == "NotebookNotFoundError"
        assert "Untitled-1.ipynb" in error["evalue"]
        assert "save the notebook" in error["evalue"]


def test_path_beats_the_project_of_the_folder(engine_home, tmp_path):
    (tmp_path / "nixenv.toml").write_text("not a project")
    notebook = engine_home.notebook(tmp_path / "a.ipynb")
    with as_vs_code(tmp_path, engine_home.process_env) as kernel:
        start_vs_code_session(kernel.client, notebook)
        assert text_of(kernel.client.run(WHERE)).startswith("3 11 ")


def test_client_that_says_nothing_gets_the_only_notebook_and_never_one_of_two(
    engine_home, tmp_path
):
    engine_home.notebook(tmp_path / "a.ipynb")
    with raw_kernel(COMMAND, tmp_path, engine_home.process_env) as kernel:
        kernel.client.wait_ready()
        assert text_of(kernel.client.run(WHERE)).startswith("3 11 ")
    engine_home.notebook(tmp_path / "b.ipynb")
    with raw_kernel(COMMAND, tmp_path, engine_home.process_env) as kernel:
        kernel.client.wait_ready()
        error = error_of(kernel.client.run("print('never')"))
        assert error["ename"] == "NotebookNotFoundError"
        assert all(f"`{name}.ipynb`" in error["evalue"] for name in ("a", "b"))


ENDS = {
    "interrupt": lambda kernel: os.killpg(kernel.process.pid, signal.SIGINT),
    "shutdown": lambda kernel: kernel.client.kernel.shutdown(),
    "SIGTERM": lambda kernel: kernel.process.terminate(),
    "SIGKILL": lambda kernel: os.killpg(kernel.process.pid, signal.SIGKILL),
}


@pytest.mark.parametrize("how", ENDS)
def test_build_that_is_ended_leaves_no_engine(engine_home, tmp_path, slow, gate, how):
    env = {**engine_home.process_env, "NIXENV_NOTEBOOK": str(slow(tmp_path / "a.ipynb"))}
    with raw_kernel(COMMAND, tmp_path, env) as kernel:
        client = kernel.client
        client.wait_ready()
        asked = client.execute("print('never')")
        wait_for(lambda: gate)
        engines = kernel.children()
        ENDS[how](kernel)
        wait_for(lambda: not any(is_running(engine) for engine in engines))
        assert engines
        if how == "interrupt":
            error = error_of(client.outputs(asked))
            assert "stopped on request" in error["evalue"]
            assert "never" not in text_of(client.of(asked))
        else:
            expected = {"shutdown": 0, "SIGTERM": -15, "SIGKILL": -9}[how]
            assert kernel.process.wait(20) == expected


@pytest.fixture
def impatient(engine_home, tmp_path):
    """A server whose kernels are started by a gateway that waits for few seconds."""
    env = {**engine_home.process_env, "KERNEL_LAUNCH_TIMEOUT": "3"}
    with live_server(
        tmp_path / "root", env, "--ServerApp.jpserver_extensions=nixenv=True"
    ) as server:
        yield server


def open_behind_a_gateway(server, name):
    """A session as a client asks for it, over something that gives up after five seconds."""
    body = {
        "path": str(uuid.uuid4()),
        "name": name,
        "type": "notebook",
        "kernel": {"name": "nixenv"},
    }
    session = server.request("POST", "api/sessions", body, timeout=5)
    change = {"path": name, "name": name}
    return server.request("PATCH", f"api/sessions/{session['id']}", change, timeout=5)


def until_shown(channel, number, word):
    """The texts of a cell's output, up to the first with `word` in it."""
    texts = []
    for message in channel.messages(number):
        if message["msg_type"] == "stream":
            texts.append(message["content"]["text"])
            if word in texts[-1]:
                return texts
    raise AssertionError(texts)


def test_gateway_that_gives_up_gets_its_kernel(impatient, slow, gate):
    """The build goes on in the server; the cell waits for it, and a crash comes back in the same place."""
    slow(impatient.root / "a.ipynb", 1)
    session = open_behind_a_gateway(impatient, "a.ipynb")
    with impatient.channel(session) as channel:
        number = channel.send("execute_request", cell("import nixtest_slow_1; " + WHERE))
        until_shown(channel, number, "nixenv: ")
        (task,) = impatient.request("GET", "nixenv/api/tasks")["tasks"]
        assert (task["path"], task["state"]) == ("a.ipynb", "running")
        assert task["kernel_id"] == session["kernel"]["id"]
        engines = [pid for pid in children_of(impatient.process.pid) if "cli" in _command(pid)]
        assert len(engines) == 1
        gate.is_open.set()
        shown = channel.collect(number)
        (task,) = impatient.request("GET", "nixenv/api/tasks")["tasks"]
        assert task["state"] == "done"
        assert "3 11 " in shown.text
        before = channel.run(WHERE).text
        # Not asked for by anybody: the same environment again, now that it is there without a detour.
        slow(impatient.root / "a.ipynb", 0)
        channel.send("execute_request", cell("import os; os.kill(os.getpid(), 9)"))
        assert _when_back(impatient, session) == before
    (kernel,) = children_of(impatient.process.pid)
    assert "nixenv/kernel/launcher.py" in _command(kernel)


def test_cancelled_task_gives_a_kernel_that_says_so(impatient, slow, gate):
    slow(impatient.root / "a.ipynb")
    session = open_behind_a_gateway(impatient, "a.ipynb")
    with impatient.channel(session) as channel:
        number = channel.send("execute_request", cell("print('never')"))
        (task,) = impatient.request("GET", "nixenv/api/tasks")["tasks"]
        impatient.request("DELETE", f"nixenv/api/tasks/{task['id']}")
        reply = channel.collect(number)
    assert reply.error["ename"] == "RealisationCancelledError"
    assert "stopped on request" in reply.error["evalue"]
    # And nothing is left of another one that ends with its kernel.
    session = open_behind_a_gateway(impatient, "a.ipynb")
    wait_for(lambda: gate)
    impatient.request("DELETE", f"api/sessions/{session['id']}")
    wait_for(lambda: not any("nixenv.cli" in _command(pid) for pid in _all(impatient)))


def _all(server):
    return children_of(server.process.pid)


def _command(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode().replace("\0", " ")
    except OSError:
        return ""


def _when_back(server, session):
    def ask():
        with suppress(Exception):
            return server.run(session, WHERE, timeout=10).text

    return wait_for(ask)


def test_start_at_once_is_the_kernel_itself(engine_home, tmp_path):
    """What is known and there needs no stand-in: one process, no second hop; the second start less still."""
    notebook = engine_home.notebook(tmp_path / "a.ipynb")
    os.utime(notebook, (1_700_000_000, 1_700_000_000))
    cache = tmp_path / "cache"
    env = {
        **engine_home.process_env,
        "JPY_SESSION_NAME": str(notebook),
        "XDG_CACHE_HOME": str(cache),
        "NIXENV_CACHE_DIR": str(Path(engine_home.process_env["XDG_CACHE_HOME"], "nixenv")),
    }
    places = []
    for name in ("kernel-1.json", "kernel-2.json"):
        with raw_kernel(COMMAND, tmp_path, env, name=name) as kernel:
            kernel.client.wait_ready()
            assert "nixenv/kernel/launcher.py" in _command(kernel.process.pid)
            assert json.loads(Path(kernel.file).read_text())["transport"] == "tcp"
            places.append(
                text_of(kernel.client.run(f"{WHERE}; import os; print(*sorted(os.environ))"))
            )
        assert len(list((cache / "nixenv" / "starts").iterdir())) == 1
    assert places[0] == places[1]
