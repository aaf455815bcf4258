"""The provisioner itself, and what a cache hit costs."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

pytestmark = [pytest.mark.daemon, pytest.mark.network]

START = """
import asyncio, json, os, sys, time
from jupyter_client.manager import AsyncKernelManager
events = []
watched = ("subprocess.Popen", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.system",
           "socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "sqlite3.connect")
def watch(event, arguments):
    if event in watched:
        events.append([event, str(arguments[:2])])
async def main():
    manager = AsyncKernelManager(kernel_name="nixenv")
    manager.kernel_spec
    sys.addaudithook(watch)
    os.access("/the-start-begins", os.F_OK)
    await manager.start_kernel(env={**os.environ, "JPY_SESSION_NAME": sys.argv[1]})
    os.access("/the-start-ends", os.F_OK)
    seen = list(events)
    client = manager.client(); client.start_channels()
    await client.wait_for_ready(timeout=60)
    reply = await client.execute_interactive("import sys", allow_stdin=False)
    client.stop_channels()
    await manager.shutdown_kernel(now=True)
    print(json.dumps([seen, reply["content"]["status"]]))
asyncio.run(main())
"""


def test_cache_hit_starts_the_kernel_and_nothing_else(engine_home, tmp_path):
    notebook = engine_home.notebook(tmp_path / "a.ipynb")
    argv = [sys.executable, "-c", START, str(notebook)]

    run = subprocess.run(
        argv, env=engine_home.process_env, capture_output=True, text=True, check=True, timeout=120
    )

    seen, status = json.loads(run.stdout)
    assert status == "ok"
    assert [event for event, _ in seen] == ["subprocess.Popen"], seen
    assert "/bin/python" in seen[0][1]


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_cache_hit_as_the_kernel_of_the_system_sees_it(engine_home, tmp_path):
    """By strace: between asking and having there is one new program, and no way out of the machine."""
    notebook = engine_home.notebook(tmp_path / "a.ipynb")
    trace = tmp_path / "trace"
    calls = "trace=execve,connect,access,faccessat,faccessat2"
    argv = ["strace", "-f", "-qq", "-e", calls, "-o", trace, sys.executable, "-c", START, notebook]

    subprocess.run(argv, env=engine_home.process_env, capture_output=True, check=True, timeout=200)

    lines = trace.read_text().splitlines()
    begin, end = (
        next(number for number, line in enumerate(lines) if mark in line)
        for mark in ("/the-start-begins", "/the-start-ends")
    )
    window = lines[begin:end]
    programs = [line for line in window if "execve(" in line and line.endswith("= 0")]
    unfinished = [line for line in window if "execve(" in line and "unfinished" in line]
    places = re.findall(r'(?:inet_addr\(|sun_path=)"([^"]+)"', "\n".join(window))
    assert len(programs) + len(unfinished) == 1, window
    assert str(engine_home.folder / "store") in (programs + unfinished)[0]
    assert set(places) <= {"127.0.0.1"}, places


COST = """
import asyncio, json, os, sys, time
from pathlib import Path
from jupyter_client.manager import AsyncKernelManager
from nixenv.server.provisioner import NixProvisioner
async def main():
    manager = AsyncKernelManager(kernel_name="nixenv")
    env = {**os.environ, "JPY_SESSION_NAME": sys.argv[1]}
    provisioner = NixProvisioner(kernel_id="x", kernel_spec=manager.kernel_spec, parent=manager)
    costs = []
    for _ in range(20):
        began = time.perf_counter()
        start = await provisioner._choose({"env": env})
        costs.append(time.perf_counter() - began)
        assert start.opened is not None
        start.release()
    print(json.dumps(sorted(costs)))
asyncio.run(main())
"""


def test_cache_hit_costs_milliseconds(engine_home, tmp_path):
    """10 ms is what a kernel's start may cost more than a plain one's; the fastest run says what it needs."""
    notebook = engine_home.notebook(tmp_path / "a.ipynb")

    run = subprocess.run(
        [sys.executable, "-c", COST, notebook],
        env=engine_home.process_env,
        capture_output=True,
        text=True,
        check=True,
    )

    costs = json.loads(run.stdout)
    assert costs[0] < 0.010, costs
    assert costs[10] < 0.030, costs


def test_console_starts_in_the_environment_of_its_project(engine_home, tmp_path):
    spec = json.loads((engine_home.folder / "3.11.ipynb").read_text())["metadata"]["nixenv"]
    (tmp_path / "nixenv.toml").write_text(
        'version = 1\npython = "3.11"\nrequirements = []\ninterpreter = "host"\n'
    )
    (tmp_path / "nixenv.lock").write_text(json.dumps(spec["lock"]))

    shown = _console(engine_home, tmp_path, "import sys; print('at', sys.prefix)")

    assert f"at {engine_home.folder}/store/nix/store/" in shown


def test_console_without_a_notebook_says_so(engine_home, tmp_path):
    shown = _console(engine_home, tmp_path, "print('never')")

    assert "NotebookNotFoundError" in shown
    assert "NIXENV_NOTEBOOK" in shown


def test_console_with_an_override_starts_in_that_environment(engine_home, tmp_path):
    path = engine_home.notebook(tmp_path / "elsewhere" / "a.ipynb")

    shown = _console(
        engine_home, tmp_path, "import sys; print('at', sys.prefix)", NIXENV_NOTEBOOK=str(path)
    )

    assert f"at {engine_home.folder}/store/nix/store/" in shown


def _console(home, cwd: Path, line: str, **variables: str) -> str:
    """What `jupyter console` shows on a terminal, without colours."""
    terminal, end = pty.openpty()
    argv = [
        sys.executable,
        "-m",
        "jupyter_console",
        "--kernel",
        "nixenv",
        "--ZMQTerminalInteractiveShell.simple_prompt=True",
    ]
    process_env = {**home.process_env, "TERM": "dumb", **variables}
    process = subprocess.Popen(
        argv, stdin=end, stdout=end, stderr=end, cwd=cwd, env=process_env, start_new_session=True
    )
    os.close(end)
    shown = ""
    try:
        shown = _until(terminal, "In [1]:", 90)
        # The prompt comes before the console has subscribed to the kernel's messages, and it waits for
        # ever for what it missed (1 start in 60 here): no human types within a few milliseconds.
        time.sleep(1)
        os.write(terminal, f"{line}\n".encode())
        shown += _until(terminal, "In [2]:", 60)
        os.write(terminal, b"exit\n")
        process.wait(30)
    finally:
        process.kill()
        process.wait()
        os.close(terminal)
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown)


def _until(terminal: int, word: str, seconds: float) -> str:
    shown, deadline = "", time.monotonic() + seconds
    while word not in shown and time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                shown += os.read(terminal, 65536).decode(errors="replace")
            except OSError:
                break
    return shown


def _wait_for_ready(client) -> None:
    """jupyter_client takes one heartbeat that is late, as on a busy machine, for the kernel's end."""
    for _ in range(5):
        with suppress(RuntimeError):
            return client.wait_for_ready(timeout=60)
    pytest.fail("the kernel does not answer")


@pytest.mark.parametrize("form", ["-f {}", "-f{}", "--f={}", "--f {}"])
def test_bootstrap_becomes_the_kernel(engine_home, tmp_path, form):
    """As VS Code starts kernels: the kernelspec's command alone, whatever it makes of `-f`."""
    from jupyter_client import BlockingKernelClient
    from jupyter_client.connect import write_connection_file

    notebook = engine_home.notebook(tmp_path / "a.ipynb")
    (tmp_path / "random.py").write_text("raise SystemExit('shadowed')")
    file, info = write_connection_file(str(tmp_path / "connection.json"))
    process = subprocess.Popen(
        [sys.executable, "-m", "nixenv.bootstrap", *form.format(file).split(" ")],
        cwd=tmp_path,
        env={**engine_home.process_env, "NIXENV_NOTEBOOK": str(notebook)},
    )
    client = BlockingKernelClient(connection_file=file)
    client.load_connection_file()
    client.start_channels()
    try:
        _wait_for_ready(client)
        assert info["transport"] == "tcp"
        command = Path(f"/proc/{process.pid}/cmdline").read_bytes().decode()
        assert str(engine_home.folder / "store") in command
        client.shutdown()
        # libzmq may fail an assertion of its own while ipykernel's threads end ("pfd.revents & POLLIN").
        assert process.wait(20) in (0, -signal.SIGABRT)
    finally:
        client.stop_channels()
        process.kill()
        process.wait()


def test_kernel_holds_its_environment_while_it_runs(engine_home, tmp_path):
    """`nixenv gc` must not take an environment from under a kernel, and may when the kernel is gone."""
    from nixenv.environments import is_running, recorded_uses

    # A state of its own: in that of the other tests, their kernels hold environments too.
    state = tmp_path / "state"
    env = {**engine_home.process_env, "NIXENV_STATE_DIR": str(state)}
    notebook = engine_home.notebook(tmp_path / "a.ipynb")
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDING, notebook],
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout.readline() == b"up\n"
    (root,) = {use.root for use in recorded_uses(state)}
    held = is_running(state, root)
    process.communicate(b"\n", timeout=60)

    assert held
    assert not is_running(state, root)


HOLDING = """
import asyncio, os, sys
from jupyter_client.manager import AsyncKernelManager
async def main():
    manager = AsyncKernelManager(kernel_name="nixenv")
    await manager.start_kernel(env={**os.environ, "JPY_SESSION_NAME": sys.argv[1]})
    print("up", flush=True)
    sys.stdin.readline()
    await manager.shutdown_kernel(now=True)
    await manager.cleanup_resources()
asyncio.run(main())
"""
