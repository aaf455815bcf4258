"""The kernelspec's command where no provisioner runs, as in VS Code.

A cell through the kernel that stands in, beside the same kernel directly; a start of an environment that is
there, beside the plain kernelspec of a uv venv; the first sign of life in a cell that waits for a build.
"""

from __future__ import annotations

import json
import os
import socket
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import KernelManager

from benchmarks.kernels import kernelspecs
from benchmarks.measure import Row, Side, compare
from benchmarks.workplace import Workplace

CELLS = 200
AT_ONCE = 0.3
"""Seconds: the first sign of life, from the moment when a cell is run."""


def measure(place: Workplace) -> list[Row]:
    """Three rows, from two small environments."""
    notebook = place.notebook("bootstrap.ipynb")
    place.nixenv("build", str(notebook))
    venv = place.venv("venv", place.pins(notebook))
    place.run(str(venv / "bin" / "python"), "-m", "compileall", "-q", str(venv / "lib"))
    kernelspecs(place, venv)
    _write_commands(place)
    os.environ.update(place.env)
    return [_round_trip(place, notebook), _start(place, notebook), _first_byte(place, notebook)]


def _write_commands(place: Workplace) -> None:
    """Two kernelspecs without a provisioner: one is told its notebook, one has to be asked first."""
    command = [sys.executable, "-m", "nixenv.bootstrap", "-f", "{connection_file}"]
    forgetful = ["env", "-u", "JPY_SESSION_NAME", *command]
    for name, argv in {"command": command, "relayed": forgetful}.items():
        folder = place.root / "kernels" / name
        folder.mkdir(parents=True)
        spec = {"argv": argv, "display_name": name, "language": "python"}
        (folder / "kernel.json").write_text(json.dumps(spec))


def _round_trip(place: Workplace, notebook: Path) -> Row:
    with (
        _warm(place, "command", notebook) as direct,
        _warm(place, "relayed", notebook) as behind,
    ):
        return compare(
            "an empty cell, from the request to `idle`",
            Side("through the bootstrap kernel", lambda: _median_cell(behind)),
            Side("the same kernel directly", lambda: _median_cell(direct)),
            target=1.1,
            rounds=15,
            warm_up=2,
        )


def _start(place: Workplace, notebook: Path) -> Row:
    def start(kernelspec: str) -> float:
        with _started(place, kernelspec, notebook) as (_, seconds):
            return seconds

    return compare(
        "kernel start by its command alone, environment already there",
        Side("nixenv", lambda: start("command")),
        Side("the plain kernelspec in a uv venv", lambda: start("plain")),
        target=1.15,
        rounds=15,
        warm_up=2,
    )


def _first_byte(place: Workplace, notebook: Path) -> Row:
    """Each round has a store of its own, so that there is something to build."""
    figures = []
    for number in range(7):
        os.environ["NIX_REMOTE"] = str(place.root / f"empty-{number}")
        os.environ["XDG_STATE_HOME"] = str(place.root / f"state-{number}")
        with _started(place, "command", notebook) as (client, _):
            client.wait_for_ready(timeout=120)
            figures.append(_seconds_until_output(client))
    os.environ.update(place.env)
    print("  first byte: " + " ".join(f"{figure:.3f}" for figure in figures), flush=True)
    return Row(
        "first sign of life in a cell that waits for a build",
        "what still feels immediate",
        statistics.median(figures),
        AT_ONCE,
        target=1.0,
    )


@contextmanager
def _started(
    place: Workplace, kernelspec: str, notebook: Path
) -> Iterator[tuple[BlockingKernelClient, float]]:
    """A kernel's client, and the seconds until it was answered."""
    specs = KernelSpecManager(kernel_dirs=[str(place.root / "kernels")], ensure_native_kernel=False)
    manager = KernelManager(kernel_name=kernelspec, kernel_spec_manager=specs)
    variables = {**os.environ, "JPY_SESSION_NAME": str(notebook)}
    begin = time.perf_counter()
    manager.start_kernel(env=variables, cwd=str(notebook.parent))
    # ZeroMQ looks every 100 ms for a kernel that is not there yet: that would be all that is measured.
    while not _listens(manager.shell_port):
        time.sleep(0.001)
    client: BlockingKernelClient = manager.client()
    client.start_channels()
    try:
        client.kernel_info()
        client.get_shell_msg(timeout=120)
        yield client, time.perf_counter() - begin
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def _listens(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def _warm(place: Workplace, kernelspec: str, notebook: Path) -> Iterator[BlockingKernelClient]:
    """The client of a kernel that has run a cell."""
    with _started(place, kernelspec, notebook) as (client, _):
        client.wait_for_ready(timeout=120)
        client.execute_interactive("", timeout=120, output_hook=lambda _: None)
        yield client


def _median_cell(client: BlockingKernelClient) -> float:
    return statistics.median(_cell(client) for _ in range(CELLS))


def _cell(client: BlockingKernelClient) -> float:
    begin = time.perf_counter()
    asked = client.execute("")
    while client.get_shell_msg(timeout=60)["parent_header"]["msg_id"] != asked:
        pass
    while True:
        message = client.get_iopub_msg(timeout=60)
        is_idle = message["content"].get("execution_state") == "idle"
        if is_idle and message["parent_header"].get("msg_id") == asked:
            return time.perf_counter() - begin


def _seconds_until_output(client: BlockingKernelClient) -> float:
    begin = time.perf_counter()
    asked = client.execute("")
    while True:
        message = client.get_iopub_msg(timeout=60)
        if message["parent_header"].get("msg_id") == asked and message["msg_type"] == "stream":
            return time.perf_counter() - begin
