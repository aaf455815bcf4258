"""One hundred kernels asked for at once, same new environment; beside one."""

from __future__ import annotations

import collections
import functools
import http.server
import json
import shutil
import subprocess
import threading
from pathlib import Path

from benchmarks.measure import Row
from benchmarks.workplace import NIXENV, Workplace
from nixlib.network.httpclient import HttpClient


def measure(place: Workplace) -> list[Row]:
    """The wheels come from a server of our own that counts: one download each is what is wanted."""
    notebook = place.notebook("hundred.ipynb", "pandas")
    wheels = _mirrored(place, notebook)
    served: collections.Counter[str] = collections.Counter()
    server = _serve(wheels, served)
    try:
        _point_to(notebook, f"http://127.0.0.1:{server.server_port}")
        place.empty("store", "state")
        place.nixenv("build", str(place.notebook("python.ipynb")))
        command = [*NIXENV, "build", str(notebook), "--json"]
        crowd = [
            subprocess.Popen(command, env=place.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            for _ in range(100)
        ]
        outcomes = [process.communicate() for process in crowd]
        failed = [
            out + err
            for process, (out, err) in zip(crowd, outcomes, strict=True)
            if process.returncode
        ]
        if failed:
            raise SystemExit(failed[0].decode())
    finally:
        server.shutdown()
    asked = sum(served.values()) / max(len(served), 1)
    return [Row("one hundred kernels at once: downloads of each wheel", "one", asked, 1.0, 1.0, "")]


def _mirrored(place: Workplace, notebook: Path) -> Path:
    place.nixenv("build", str(notebook))
    folder = place.root / "wheels"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    with HttpClient() as client:
        for url in _urls(notebook):
            with client.get(url) as answer:
                (folder / url.rsplit("/", 1)[-1]).write_bytes(b"".join(answer.chunks()))
    return folder


def _urls(notebook: Path) -> list[str]:
    packages = json.loads(notebook.read_text())["metadata"]["nixenv"]["lock"]["packages"]
    return [wheel.split()[2] for package in packages for wheel in package["wheels"]]


def _point_to(notebook: Path, base: str) -> None:
    text = notebook.read_text()
    for url in _urls(notebook):
        text = text.replace(url, f"{base}/{url.rsplit('/', 1)[-1]}")
    notebook.write_text(text)


def _serve(folder: Path, served: collections.Counter[str]) -> http.server.ThreadingHTTPServer:
    class Counting(http.server.SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            served[self.path] += 1
            super().do_GET()

        def log_message(self, *_: object) -> None:
            return

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Counting, directory=str(folder))
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
