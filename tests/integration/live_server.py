"""A real Jupyter server as a process, and what a browser does with it: HTTP requests and a websocket."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import websocket  # of websocket-client, which jupyter_server itself depends on

TOKEN = "a-token-of-the-tests"


@dataclass(frozen=True)
class Reply:
    """What executing one cell gave.

    Attributes:
        status: `ok`, `error` or `aborted`.
        text: All that was printed, and the plain text of results and displays.
        error: `{ename, evalue, traceback}` of the cell's error output, or None.
    """

    status: str
    text: str
    error: dict[str, Any] | None = None


@dataclass
class LiveServer:
    """One running `jupyter server`."""

    root: Path
    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def request(self, method: str, path: str, body: Any = None, timeout: float = 120) -> Any:
        """The JSON answer of the server; its status must be a success."""
        request = urllib.request.Request(
            f"{self.url}/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"token {TOKEN}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            message = f"{method} {path}: {error.code} {error.read().decode()}"
            raise AssertionError(message) from error
        return json.loads(text) if text else None

    def start_session(self, path: str, name: str, kind: str = "notebook") -> dict[str, Any]:
        """A new session with a kernel, as a client asks for it."""
        body = {"path": path, "name": name, "type": kind, "kernel": {"name": "nixenv"}}
        return self.request("POST", "api/sessions", body)

    def open_notebook(self, path: str) -> dict[str, Any]:
        """What JupyterLab and Notebook 7 do: a made-up path first, the true one when the kernel is there."""
        folder, _, name = path.rpartition("/")
        session = self.start_session(
            f"{folder}/{uuid.uuid4()}" if folder else str(uuid.uuid4()), name
        )
        return self.request("PATCH", f"api/sessions/{session['id']}", {"path": path, "name": name})

    def restart(self, session: dict[str, Any]) -> None:
        """Restart the session's kernel, and wait until it is there."""
        self.request("POST", f"api/kernels/{session['kernel']['id']}/restart")

    def run(self, session: dict[str, Any], code: str, timeout: float = 60) -> Reply:
        """Execute `code` in the session's kernel, over a websocket."""
        with self.channel(session) as channel:
            return channel.run(code, timeout)

    @contextmanager
    def channel(self, session: dict[str, Any]):
        """A websocket to the session's kernel."""
        kernel = session["kernel"]["id"] if "kernel" in session else session["id"]
        address = self.url.replace("http", "ws", 1) + f"/api/kernels/{kernel}/channels"
        with closing(websocket.create_connection(f"{address}?token={TOKEN}", timeout=60)) as socket:
            yield Channel(socket)


@dataclass
class Channel:
    """The websocket of one kernel."""

    socket: websocket.WebSocket

    def run(self, code: str, timeout: float = 60) -> Reply:
        """Execute a cell and wait for its end."""
        return self.collect(self.send("execute_request", cell(code)), timeout)

    def send(self, kind: str, content: dict[str, Any], channel: str = "shell") -> str:
        """Send a request; returns its id."""
        number = uuid.uuid4().hex
        header = {
            "msg_id": number,
            "msg_type": kind,
            "session": "tests",
            "username": "",
            "version": "5.3",
        }
        message = {"header": header, "parent_header": {}, "metadata": {}, "content": content}
        self.socket.send(json.dumps({**message, "channel": channel, "buffers": []}))
        return number

    def messages(self, number: str, timeout: float = 60):
        """Every message that answers the request."""
        deadline = time.monotonic() + timeout
        while True:
            self.socket.settimeout(max(0.01, deadline - time.monotonic()))
            message = json.loads(self.socket.recv())
            if message["parent_header"].get("msg_id") == number:
                yield message

    def ask(self, kind: str, content: dict[str, Any]) -> dict[str, Any]:
        """The content of the reply to a request."""
        for message in self.messages(self.send(kind, content)):
            if message["channel"] == "shell":
                return message["content"]
        raise AssertionError(kind)

    def collect(self, number: str, timeout: float = 60) -> Reply:
        """What the cell shows, when it is idle again."""
        text, error, reply, is_idle = "", None, None, False
        for message in self.messages(number, timeout):
            content = message["content"]
            if message["msg_type"] == "stream":
                text += content["text"]
            elif message["msg_type"] in ("execute_result", "display_data"):
                text += content["data"]["text/plain"]
            elif message["msg_type"] == "error":
                error = content
            elif message["msg_type"] == "execute_reply":
                reply = content["status"]
            elif message["msg_type"] == "status":
                is_idle = content["execution_state"] == "idle"
            if is_idle and reply:
                return Reply(reply, text, error)
        raise AssertionError(text)


def cell(code: str) -> dict[str, Any]:
    """The content of an `execute_request`."""
    told = {"silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False}
    return {"code": code, **told}


@contextmanager
def live_server(root: Path, process_env: dict[str, str], *options: str):
    """A Jupyter server on `root` for the length of the block."""
    root.mkdir(parents=True, exist_ok=True)
    log = root.parent / f"{root.name}-server.log"
    argv = [
        *(
            sys.executable,
            "-m",
            "jupyter_server",
            "--no-browser",
            "--allow-root",
            "--ServerApp.port=0",
        ),
        *(f"--ServerApp.root_dir={root}", f"--IdentityProvider.token={TOKEN}", *options),
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(
            argv,
            env=process_env,
            cwd=root.parent,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        server = LiveServer(root, _wait_for_url(process, log), process, log)
        yield server
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answers(port: int) -> bool:
    """Whether somebody listens: the server says where it will be before it is there."""
    try:
        socket.create_connection(("127.0.0.1", port), 10).close()
    except OSError:
        return False
    return True


def _wait_for_url(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        found = re.search(r"http://(?:localhost|127\.0\.0\.1):(\d+)/", log.read_text())
        if found and _answers(int(found.group(1))):
            return f"http://127.0.0.1:{found.group(1)}"
        time.sleep(0.05)
    raise AssertionError(log.read_text())
