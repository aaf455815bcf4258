"""Files over real HTTP on the loopback interface, with the ways in which downloads go wrong."""

from __future__ import annotations

import threading
import time
import zlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["FileServer", "Trouble"]


@dataclass(frozen=True)
class Trouble:
    """What goes wrong with one answer.

    Attributes:
        status: Answer with this status and no file.
        cut_after: Break the connection after so many bytes.
        altered: Send as many other bytes.
        redirect: Send the client elsewhere.
        silent: Seconds without a byte, before the answer.
    """

    status: int = 200
    cut_after: int | None = None
    altered: bool = False
    redirect: str = ""
    silent: float = 0.0


@dataclass
class FileServer:
    """Serves `files` by path; `troubles` are spent one for each request of a path, in order.

    `asked` counts requests by path, `ranges` has every `Range` that was asked for, `unchanged` counts
    conditional requests by path that were answered with 304. A `login` is asked for of everybody.
    """

    files: Mapping[str, bytes]
    troubles: Mapping[str, Sequence[Trouble]] = field(default_factory=dict)
    ranges: list[str] = field(default_factory=list)
    asked: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    unchanged: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    login: str = ""

    def __enter__(self) -> Self:
        self._http = _Http(("127.0.0.1", 0), _Handler)
        self._http.files = self
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    def url(self, path: str) -> str:
        """Where a file is."""
        return f"http://127.0.0.1:{self._http.server_address[1]}/{path}"

    def next_trouble(self, path: str) -> Trouble:
        """What goes wrong this time."""
        number = self.asked[path]
        self.asked[path] += 1
        script = self.troubles.get(path, ())
        return script[number] if number < len(script) else Trouble()


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    files: FileServer

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that give up are what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version: Literal["HTTP/1.1"] = "HTTP/1.1"
    server: _Http

    def do_GET(self) -> None:
        path, server = self.path.lstrip("/"), self.server.files
        trouble = server.next_trouble(path)
        time.sleep(trouble.silent)
        data = server.files.get(path)
        if server.login and self.headers.get("Authorization") != server.login:
            self._head(401, 0)
        elif trouble.redirect:
            self._head(302, 0, Location=trouble.redirect)
        elif data is None or trouble.status != 200:  # noqa: PLR2004
            self._head(trouble.status if data is not None else 404, 0)
        elif self.headers.get("If-None-Match") == _tag(data):
            server.unchanged[path] += 1
            self._head(304, 0, ETag=_tag(data))
        else:
            self._send(bytes(len(data)) if trouble.altered else data, trouble.cut_after)

    do_HEAD = do_GET  # noqa: N815

    def _send(self, data: bytes, cut_after: int | None) -> None:
        start = 0
        asked = self.headers.get("Range", "")
        if asked.startswith("bytes=") and self.headers.get("If-Range") == _tag(data):
            self.server.files.ranges.append(asked)
            start = int(asked.removeprefix("bytes=").rstrip("-"))
        span = {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"} if start else {}
        self._head(206 if start else 200, len(data) - start, ETag=_tag(data), **span)
        if self.command == "HEAD":
            return
        if cut_after is None:
            self.wfile.write(data[start:])
            return
        self.wfile.write(data[start:cut_after])
        self.close_connection = True

    def _head(self, status: int, size: int, **fields: str) -> None:
        self.send_response(status)
        for name, value in fields.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(size))
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


def _tag(data: bytes) -> str:
    """What changes with the bytes."""
    return f'"{len(data)}-{zlib.crc32(data)}"'
