"""`GET /api/status` of a server in which ten environments are being built, beside a server that has nothing to do.

The ten builds download from an index that gives each of them 300 kB a second, so they last, and report, for
as long as is measured; a page is subscribed to both servers' events. What is measured is what building costs
the server's event loop, not what ten engines and a server do to two processors.
"""

from __future__ import annotations

import http.client
import json
import multiprocessing
import re
import secrets
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import websocket

from benchmarks.measure import Row, Side, compare
from benchmarks.workplace import Workplace
from nixlib.testing.index import IndexServer, ServedFile, make_wheel

BUILDS = 10
SIZE = 20_000_000
"""Bytes of each build's one wheel: a minute at its pace."""

PACE, PAUSE = 1 << 16, 0.2
"""Bytes at a time, and the seconds between them: a page is told of each build as often as it may be."""

REQUESTS = 200
"""Requests of which one figure is the mean: a median would hide what blocks the loop now and then."""

TOKEN = "benchmarks"


def measure(place: Workplace) -> list[Row]:
    """The one row."""
    with trickling_index() as url:
        notebooks = [locked(place, number, url) for number in range(BUILDS)]
        place.nixenv("build", str(locked(place, BUILDS, url, [])))
        with served(place, "idle") as idle, served(place, "busy") as busy:
            for notebook in notebooks:
                target = busy.root / notebook.name
                target.write_bytes(notebook.read_bytes())
                busy.ask("POST", "nixenv/api/tasks", {"path": target.name})
            wait_until_all_download(busy)
            row = compare(
                "`GET /api/status` while ten environments are built",
                Side("ten builds", busy.status),
                Side("the same server, idle", idle.status),
                target=1.1,
                rounds=25,
                warm_up=3,
            )
            wait_until_all_download(busy)
            print(f"  {busy.events} events came, {idle.events} from the idle server", flush=True)
    return [row]


def locked(
    place: Workplace, number: int, index: str, requirements: list[str] | None = None
) -> Path:
    """A notebook with a lock, of a wheel of its own unless other requirements are given."""
    spec = {
        "version": 1,
        "python": "{}.{}".format(*sys.version_info[:2]),
        "requirements": [f"trickle{number}"] if requirements is None else requirements,
        "indexes": [index],
    }
    path = place.root / f"{number}.ipynb"
    metadata = {"nixenv": spec}
    notebook = {"cells": [], "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    path.write_text(json.dumps(notebook))
    place.nixenv("lock", str(path))
    return path


@dataclass
class Served:
    """A running Jupyter server, and a page that listens to its events."""

    root: Path
    port: int
    page: websocket.WebSocket
    events: int = 0

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON of an answer."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)) as to:
            return self._ask(to, method, path, body)

    def _ask(self, to: http.client.HTTPConnection, method: str, path: str, body: Any) -> Any:
        data = None if body is None else json.dumps(body)
        to.request(method, f"/{path}", data, {"Authorization": f"token {TOKEN}"})
        answer = to.getresponse()
        text = answer.read()
        if answer.status >= 300:
            sys.exit(f"{method} {path}: {answer.status} {text.decode()}")
        return json.loads(text)

    def status(self) -> float:
        """The mean of some requests, one after the other over one connection."""
        self._drain()
        seconds = []
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)) as to:
            for _ in range(REQUESTS):
                began = time.perf_counter()
                self._ask(to, "GET", "api/status", None)
                seconds.append(time.perf_counter() - began)
        return statistics.fmean(seconds)

    def _drain(self) -> None:
        """Read the events that have come, as a page does."""
        self.page.settimeout(0.01)
        try:
            while self.page.recv():
                self.events += 1
        except websocket.WebSocketTimeoutException:
            return


@contextmanager
def served(place: Workplace, name: str) -> Iterator[Served]:
    """A Jupyter server with the extension, on a folder of its own."""
    root, log = place.root / name, place.root / f"{name}.log"
    root.mkdir()
    argv = [sys.executable, "-m", "jupyter_server", "--no-browser", "--allow-root"]
    argv += [
        "--ServerApp.port=0",
        f"--ServerApp.root_dir={root}",
        f"--IdentityProvider.token={TOKEN}",
    ]
    argv += ["--ServerApp.jpserver_extensions=nixenv=True"]
    with log.open("wb") as output:
        process = subprocess.Popen(argv, env=place.env, stdout=output, stderr=output)
    try:
        port = _port(process, log)
        address = f"ws://127.0.0.1:{port}/api/events/subscribe?token={TOKEN}"
        with closing(websocket.create_connection(address, timeout=60)) as page:
            yield Served(root, port, page)
    finally:
        process.terminate()
        process.wait()


def _port(process: subprocess.Popen[bytes], log: Path) -> int:
    for _ in range(1200):
        if found := re.search(r"http://127\.0\.0\.1:(\d+)/", log.read_text()):
            return int(found[1])
        if process.poll() is not None:
            break
        time.sleep(0.05)
    sys.exit(log.read_text())


def wait_until_all_download(busy: Served) -> None:
    """Until every build is where it stays while we measure; one that has ended ends the benchmark."""
    while True:
        tasks = busy.ask("GET", "nixenv/api/tasks")["tasks"]
        if over := [task for task in tasks if task["state"] != "running"]:
            sys.exit(f"a build is over: {over[0]['message']}")
        if len(tasks) == BUILDS and all(task["bytes"] for task in tasks):
            return
        time.sleep(0.2)


@contextmanager
def trickling_index() -> Iterator[str]:
    """The URL of an index whose files come slowly; a process of its own, as it would be another machine."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(
        target=_serve, args=(theirs,), daemon=True
    )
    process.start()
    try:
        yield str(ours.recv())
    finally:
        process.terminate()
        process.join()


@dataclass
class Trickling(IndexServer):
    """An index whose links lead to a server that is slow on purpose."""

    port: int = 0

    @property
    def host(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self.port}"


def _serve(parent: Connection) -> None:
    files = {file.filename: file for file in map(_wheel, range(BUILDS))}
    index = Trickling(tuple(files.values()))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            name = self.path.rpartition("/")[2]
            if name in files:
                self._send(files[name].data, "application/octet-stream", PACE, PAUSE)
            elif name.removesuffix(".metadata") in files:
                self._send(files[name.removesuffix(".metadata")].metadata, "text/plain")
            elif page := index.page(self.path.split("/")[2], as_json=True):
                self._send(page, "application/vnd.pypi.simple.v1+json")
            else:
                self.send_error(404)

        def _send(self, data: bytes, kind: str, pace: int = 1 << 30, pause: float = 0) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            for start in range(0, len(data), pace):
                self.wfile.write(data[start : start + pace])
                time.sleep(pause)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    class Http(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64

        def handle_error(self, *_: object) -> None:
            """At the end the engines are stopped in the middle of their downloads."""

    http_server = Http(("127.0.0.1", 0), Handler)
    index.port = http_server.server_address[1]
    parent.send(index.url)
    http_server.serve_forever()


def _wheel(number: int) -> ServedFile:
    name = f"trickle{number}"
    return make_wheel(name, "1", files={f"{name}.py": "", f"{name}.txt": secrets.token_hex(SIZE)})
