"""Real kernels of environments that the engine made, and a page that has one open."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import KernelManager
from jupyter_core.utils import ensure_event_loop

from nixenv.server.launch import Target, kernel_argv, kernel_process_env
from nixlib.interpreters.host_python import find_hosts


@dataclass
class Cell:
    """What one cell gave.

    Attributes:
        stream: Everything printed.
        displays: Text of what was displayed, updates included, in order.
        pages: The same as HTML; empty text for what has none.
        kinds: MIME types of each.
        error: `ename`, `evalue`, `traceback` of the error output; empty without one.
        comms: Data of comm messages that came while it ran.
    """

    stream: str = ""
    displays: list[str] = field(default_factory=list)
    pages: list[str] = field(default_factory=list)
    kinds: list[set[str]] = field(default_factory=list)
    error: dict[str, Any] = field(default_factory=dict)
    comms: list[dict[str, Any]] = field(default_factory=list)

    def take(self, message: dict[str, Any]) -> None:
        content = message["content"]
        if message["msg_type"] == "stream":
            self.stream += content["text"]
        elif message["msg_type"] in ("display_data", "update_display_data"):
            self.displays.append(content["data"]["text/plain"])
            self.pages.append(content["data"].get("text/html", ""))
            self.kinds.append(set(content["data"]))
        elif message["msg_type"] == "error":
            self.error.update(content)
        elif message["msg_type"] == "comm_msg":
            self.comms.append({"comm": content["comm_id"], **content["data"]})


@dataclass
class Kernel:
    manager: KernelManager
    client: Any

    def run(self, code: str) -> Cell:
        cell = Cell()
        self.client.execute_interactive(code, output_hook=cell.take, timeout=240)
        return cell

    def value(self, code: str) -> object:
        """The value of an expression that JSON can hold."""
        cell = self.run(f"import json; print(json.dumps({code}))")
        assert not cell.error, cell.error
        return json.loads(cell.stream)


def minors() -> list[str]:
    """The oldest and the newest Python of this machine that a notebook may ask for."""
    hosts = [".".join(host.version.split(".")[:2]) for host in find_hosts()]
    return sorted({hosts[-1], hosts[0]}, key=lambda minor: int(minor.split(".")[1]))


def locked_notebook(engine_home, python: str) -> Path:
    """A notebook that asks for `six`, locked for one Python; the same for every module and worker."""
    path = engine_home.folder / f"six-{python}.ipynb"
    if not path.exists():
        draft = path.with_name(f"{os.getpid()}-{path.name}")
        draft.write_text(
            json.dumps({"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
        )
        engine_home.engine("init", draft, "six", "--python", python, "--interpreter", "host")
        draft.replace(path)
    return path


@pytest.fixture(scope="module", autouse=True)
def close_event_loop():
    """jupyter_client's blocking calls leave their event loop open for the next one."""
    yield
    ensure_event_loop().close()


@pytest.fixture(scope="module", params=minors())
def locked(request, engine_home):
    """A notebook that is locked and built on one Python."""
    return locked_notebook(engine_home, request.param)


@contextmanager
def kernel_for(notebook: Path, engine_home):
    """A kernel in the environment of `notebook`."""
    built = json.loads(engine_home.engine("sync", notebook, "--json").stdout)
    pycache = Path(built["pycache_prefix"]) if built["pycache_prefix"] else None
    argv = kernel_argv(Path(built["env"]), "{connection_file}", pycache=pycache)
    env = kernel_process_env(engine_home.process_env, Path(built["env"]), Target(notebook))
    with running_kernel(argv, env, notebook.parent) as kernel:
        yield kernel


@contextmanager
def running_kernel(argv: list[str], env: dict[str, str], folder: Path):
    manager = KernelManager()
    manager._kernel_spec = KernelSpec(argv=argv, language="python", display_name="nixenv")
    manager.start_kernel(env=env, cwd=str(folder))
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)
        yield Kernel(manager, client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
