"""A kernel's Python, and the Python of a group with a process of its own: old and new, both ways."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

import pytest

from nixlib.interpreters.host_python import find_hosts

KERNEL_SIDE = Path(__file__).parents[5] / "nixenv" / "kernel"

PREAMBLE = """
import importlib.util, builtins, os, signal, sys, textwrap, threading, time
spec = importlib.util.spec_from_file_location("launcher", {launcher!r})
launcher = importlib.util.module_from_spec(spec)
spec.loader.exec_module(launcher)
sys.meta_path.insert(0, launcher.KernelSideFinder)
from nixenv.groups import registry
from nixenv.process.link import EndedError
from nixenv.process.remote import ProcessGroup, Remote, WorkerDiedError
remote = Remote(ProcessGroup("legacy", {environment!r}, {{}}))
registry.declare(remote)
def cell(source, names=None):
    names = {{}} if names is None else names
    names["_"] = remote.run_cell(textwrap.dedent(source), "<cell>", names)
    return names
def raised(kind, call, *arguments):
    try: call(*arguments)
    except kind as error: return error
    raise AssertionError("nothing was raised")
def until(condition):
    end = time.monotonic() + 20
    while not condition() and time.monotonic() < end: time.sleep(0.01)
    assert condition()
def gone(pid):
    try: os.kill(pid, 0)
    except ProcessLookupError: return True
    with open(f"/proc/{{pid}}/stat") as stat: return ") Z " in stat.read()
"""


@dataclass(frozen=True)
class Two:
    """The two interpreters, and the group's environment."""

    kernel: str
    environment: Path
    folder: Path

    @property
    def preamble(self) -> str:
        launcher = str(KERNEL_SIDE / "launcher.py")
        return PREAMBLE.format(launcher=launcher, environment=str(self.environment))

    def start(self, code: str, **options) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [self.kernel, "-X", "faulthandler", "-c", self.preamble + textwrap.dedent(code)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            cwd=self.folder, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}, **options,
        )  # fmt: skip

    def run(self, code: str) -> str:
        """What the code prints; it must not fail."""
        with self.start(code) as process:
            out, error = process.communicate(timeout=60)
        assert process.returncode == 0, error
        assert "Exception ignored" not in error, error
        return out

    def value(self, code: str) -> object:
        """The JSON value that the code's last line prints."""
        return json.loads(self.run(code).splitlines()[-1])


def make_two(folder: Path, kernel: str, group: str) -> Two:
    environment = folder / "group"
    if not environment.exists():
        subprocess.run([group, "-m", "venv", "--without-pip", environment], check=True)
    return Two(kernel, environment, folder)


def _pairs() -> list[tuple[str, str]]:
    hosts = [str(host.executable) for host in find_hosts()] or [sys.executable]
    return sorted({(hosts[0], hosts[-1]), (hosts[-1], hosts[0])})


@pytest.fixture(scope="session", params=_pairs(), ids=lambda pair: "-".join(map(_minor, pair)))
def two(request: pytest.FixtureRequest, tmp_path_factory) -> Two:
    """A kernel and a group of another Python."""
    return make_two(tmp_path_factory.mktemp("two"), *request.param)


@pytest.fixture(scope="session")
def here(tmp_path_factory) -> Two:
    """A kernel of the Python that runs the tests, which has IPython, and a group of the oldest one."""
    return make_two(tmp_path_factory.mktemp("here"), sys.executable, _pairs()[0][0])


def _minor(python: str) -> str:
    return Path(python).name
