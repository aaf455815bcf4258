"""A kernel that is started by its command alone, as VS Code does it, and what a client says to it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from queue import Empty
from typing import Any

import zmq
from jupyter_client import BlockingKernelClient
from jupyter_client.connect import write_connection_file

SECONDS = 90.0


class RawKernel:
    """One kernel's process; `client` is its first client."""

    def __init__(self, process: subprocess.Popen[bytes], file: str) -> None:
        self.process = process
        self.file = file
        self.clients: list[Client] = []
        self.client = self.connect()

    def connect(self) -> Client:
        """One client more."""
        self.clients.append(Client(self.file))
        return self.clients[-1]

    def say(self, line: str) -> None:
        """Tell the stand-in."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n".encode())
        self.process.stdin.flush()

    def children(self) -> list[int]:
        """Process ids of what it has started."""
        return children_of(self.process.pid)


class Client:
    """A client with its own connections, which keeps every message that it gets."""

    def __init__(self, file: str) -> None:
        self.kernel = BlockingKernelClient(connection_file=file)
        self.kernel.load_connection_file()
        self.kernel.session.session = uuid.uuid4().hex
        self.kernel.start_channels()
        channels = (self.kernel.shell_channel, self.kernel.control_channel)
        self._channels = {channel.socket: channel for channel in channels}
        self._poller = zmq.Poller()
        for socket in self._channels:
            self._poller.register(socket, zmq.POLLIN)
        self.iopub: list[dict[str, Any]] = []
        self.replies: list[dict[str, Any]] = []

    def wait_ready(self) -> dict[str, Any]:
        """Its `kernel_info`, when iopub works too."""
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            asked = self.kernel.kernel_info()
            info = self.reply(asked)
            if self._has_iopub(asked, 0.3):
                return info
        raise AssertionError(self.iopub)

    def execute(self, code: str, **more: Any) -> str:
        """Ask for a cell; returns the request's id."""
        return str(self.kernel.execute(code, **more))

    def wait_taken_over(self) -> None:
        """Wait until a real kernel answers: it says which version it is."""
        wait_for(lambda: self.reply(self.kernel.kernel_info())["implementation_version"])

    def run(self, code: str, **more: Any) -> list[dict[str, Any]]:
        """What a cell publishes until it is idle; its reply has come as well."""
        asked = self.execute(code, **more)
        self.reply(asked)
        return self.outputs(asked)

    def reply(self, asked: str, seconds: float = SECONDS) -> dict[str, Any]:
        """The content of the reply to a request, on shell or control."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for message in self.replies:
                if message["parent_header"].get("msg_id") == asked:
                    return message["content"]
            for socket, _ in self._poller.poll(100):
                self.replies.append(self._channels[socket].get_msg(timeout=1))
        raise AssertionError(self.replies)

    def outputs(self, asked: str, seconds: float = SECONDS) -> list[dict[str, Any]]:
        """Everything published for a request, until it is idle."""
        assert self.until(lambda seen: _is_idle(seen, asked), seconds), self.iopub
        return self.of(asked)

    def until(self, is_enough: Callable[[list[dict[str, Any]]], bool], seconds: float = SECONDS):
        """Whether iopub has brought enough, waiting for it."""
        deadline = time.monotonic() + seconds
        while not is_enough(self.iopub):
            if time.monotonic() > deadline:
                return False
            try:
                self.iopub.append(self.kernel.get_iopub_msg(timeout=0.2))
            except Empty:
                continue
        return True

    def of(self, asked: str) -> list[dict[str, Any]]:
        """Everything published for a request so far."""
        return [one for one in self.iopub if one["parent_header"].get("msg_id") == asked]

    def send(
        self,
        kind: str,
        content: Mapping[str, Any],
        channel: str = "shell",
        buffers: Sequence[bytes] = (),
    ) -> str:
        """Send any request; returns its id."""
        message = self.kernel.session.msg(kind, dict(content))
        socket = getattr(self.kernel, f"{channel}_channel").socket
        self.kernel.session.send(socket, message, buffers=list(buffers))
        return str(message["header"]["msg_id"])

    def _has_iopub(self, asked: str, seconds: float) -> bool:
        return self.until(lambda seen: _is_idle(seen, asked), seconds)


def _is_idle(seen: Sequence[Mapping[str, Any]], asked: str) -> bool:
    return any(
        one["parent_header"].get("msg_id") == asked
        and one["content"].get("execution_state") == "idle"
        for one in seen
    )


def text_of(outputs: Sequence[Mapping[str, Any]]) -> str:
    """What a cell has printed, as it is shown: `clear_output` takes away what came before it."""
    shown = ""
    for one in outputs:
        if one["msg_type"] == "clear_output":
            shown = ""
        elif one["msg_type"] == "stream":
            shown += one["content"]["text"]
    return shown


def error_of(outputs: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """A cell's error output."""
    found = [one["content"] for one in outputs if one["msg_type"] == "error"]
    return found[0] if found else None


@contextmanager
def raw_kernel(
    argv: Sequence[object],
    folder: Path,
    process_env: Mapping[str, str],
    *,
    form: str = "-f {}",
    name: str = "kernel-1.json",
    **changes: Any,
):
    """`argv` with the arguments of a client, in a process group of its own, for the length of the block."""
    file, _ = write_connection_file(str(folder / name), **{"key": b"a key", **changes})
    errors = folder / f"{name}.log"
    with errors.open("wb") as log:
        process = subprocess.Popen(
            [*map(str, argv), *(word.format(file) for word in form.split(" "))],
            cwd=folder,
            env=process_env,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    kernel = RawKernel(process, file)
    try:
        yield kernel
    finally:
        left = [process.pid, *kernel.children()]
        for client in kernel.clients:
            client.kernel.stop_channels()
        for pid in left:
            _kill(pid)
        process.wait()
        process.stdin.close()


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def children_of(parent: int) -> list[int]:
    """Process ids of the children of `parent`."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            ancestor = int((place / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if ancestor == parent:
            found.append(int(place.name))
    return found


def is_running(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def wait_for(condition: Callable[[], Any], seconds: float = SECONDS) -> Any:
    """The first true value of `condition`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.02)
    raise AssertionError(condition)


def own_env() -> dict[str, str]:
    """This process's variables, without Jupyter's and ours."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("JPY_", "NIXENV_", "JUPYTER"))}


def read_json(path: Path) -> Any:
    """A JSON file."""
    return json.loads(path.read_text())


PYTHON = sys.executable
