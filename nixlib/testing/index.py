"""A simple repository (PEP 503, 691, 658) on the loopback interface, for tests of ours and of others.

It is real HTTP with real wheels in it. What real registries do to people can be switched on: no upload
times, no sizes, credentials, secrets in the files' links, slowness, status 500.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import io
import json
import re
import tarfile
import threading
import time
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["IndexServer", "Manners", "ServedFile", "make_sdist", "make_wheel"]


@dataclass(frozen=True)
class ServedFile:
    """One file of a project; `uploaded` is RFC 3339, `metadata` what PEP 658 serves beside it."""

    filename: str
    data: bytes
    uploaded: str = "2020-01-01T00:00:00Z"
    requires_python: str = ""
    metadata: bytes = b""

    @property
    def project(self) -> str:
        """The normalised name of its project."""
        return self.filename.partition("-")[0].replace("_", "-").lower()

    @property
    def sha256(self) -> str:
        """Of its bytes, in hexadecimal."""
        return hashlib.sha256(self.data).hexdigest()


@dataclass(frozen=True)
class Manners:
    """How the server behaves.

    Attributes:
        upload_times: Whether pages say when files were uploaded.
        sizes: Whether JSON pages give sizes.
        json: Whether PEP 691 is spoken at all.
        login: User name and password that every request must bring.
        query: Put behind every file's URL, and demanded again when the file is asked for.
        delay: Seconds before each answer.
        status: The status of every answer.
    """

    upload_times: bool = True
    sizes: bool = True
    json: bool = True
    login: tuple[str, str] | None = None
    query: str = ""
    delay: float = 0.0
    status: int = 200


def make_wheel(
    name: str,
    version: str,
    *,
    requires: Iterable[str] = (),
    tag: str = "py3-none-any",
    uploaded: str = "2020-01-01T00:00:00Z",
    files: Mapping[str, str] | None = None,
    requires_python: str = "",
) -> ServedFile:
    """A wheel that installs one module of its own name, or `files`, and needs `requires`."""
    stem = f"{name.replace('-', '_')}-{version}"
    metadata = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}"]
    lines = tuple(requires)
    metadata += [f"Requires-Dist: {line}" for line in lines]
    extras = dict.fromkeys(re.findall(r"extra == ['\"]([^'\"]+)", "\n".join(lines)))
    metadata += [f"Provides-Extra: {extra}" for extra in extras]
    metadata += [f"Requires-Python: {requires_python}"] if requires_python else []
    tags = "".join(f"Tag: {tag}\n")
    members = dict(files or {f"{name.replace('-', '_')}.py": f"__version__ = {version!r}\n"})
    members[f"{stem}.dist-info/METADATA"] = "\n".join(metadata) + "\n\n"
    members[f"{stem}.dist-info/WHEEL"] = (
        f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\n{tags}\n"
    )
    members[f"{stem}.dist-info/RECORD"] = _record(members, f"{stem}.dist-info/RECORD")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, text in members.items():
            # A fixed date: equal wheels have equal bytes.
            archive.writestr(zipfile.ZipInfo(path, (1980, 1, 1, 0, 0, 0)), text)
    header = members[f"{stem}.dist-info/METADATA"].encode()
    return ServedFile(f"{stem}-{tag}.whl", buffer.getvalue(), uploaded, requires_python, header)


def make_sdist(
    name: str,
    version: str,
    *,
    requires: Iterable[str] = (),
    build: Iterable[str] | None = (),
    uploaded: str = "2020-01-01T00:00:00Z",
    files: Mapping[str, str] | None = None,
    requires_python: str = "",
) -> ServedFile:
    """The source archive of what `make_wheel` makes, with a backend of its own that needs nothing but Python.

    `build` is what its `pyproject.toml` says that it wants to be built with; None leaves that file out.
    """
    stem = f"{name.replace('-', '_')}-{version}"
    wheel = make_wheel(
        name, version, requires=requires, files=files, requires_python=requires_python
    )
    members = {"PKG-INFO": wheel.metadata.decode()}
    with zipfile.ZipFile(io.BytesIO(wheel.data)) as archive:
        members |= {f"built/{path}": archive.read(path).decode() for path in archive.namelist()}
    if build is not None:
        system = f'requires = {json.dumps(list(build))}\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        members |= {"pyproject.toml": f"[build-system]\n{system}", "backend.py": _BACKEND}
    buffer = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as archive,
    ):
        for path, text in sorted(members.items()):
            member = tarfile.TarInfo(f"{stem}/{path}")
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return ServedFile(f"{stem}.tar.gz", buffer.getvalue(), uploaded, requires_python)


_BACKEND = '''"""Zips `built/`, which is the wheel as it will be."""
import os
import zipfile


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    (info,) = [name for name in os.listdir("built") if name.endswith(".dist-info")]
    filename = info[: -len(".dist-info")] + "-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(wheel_directory, filename), "w") as archive:
        for folder, _, files in sorted(os.walk("built")):
            for name in sorted(files):
                path = os.path.join(folder, name)
                with open(path) as file:
                    inside = os.path.relpath(path, "built")
                    archive.writestr(zipfile.ZipInfo(inside, (1980, 1, 1, 0, 0, 0)), file.read())
    return filename
'''


def _record(members: Mapping[str, str], own: str) -> str:
    def line(path: str, text: str) -> str:
        digest = (
            base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        )
        return f"{path},sha256={digest},{len(text.encode())}"

    return "\n".join([*(line(path, text) for path, text in members.items()), f"{own},,"]) + "\n"


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    index: IndexServer

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that give up on a slow answer are what some tests are about."""


@dataclass
class IndexServer:
    """The server: `with IndexServer([make_wheel("a", "1")]) as index: … index.url`.

    `asked` has the path of every request so far, with its query.
    """

    files: Iterable[ServedFile]
    manners: Manners = field(default_factory=Manners)
    asked: list[str] = field(default_factory=list)

    def __enter__(self) -> Self:
        self.files = tuple(self.files)
        self._http = _Http(("127.0.0.1", 0), _Handler)
        self._http.index = self
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    @property
    def host(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self._http.server_address[1]}"

    @property
    def url(self) -> str:
        """The index's URL, without credentials."""
        return f"http://{self.host}/simple"

    def file_url(self, filename: str) -> str:
        """Where a file is, without query or fragment."""
        return f"http://{self.host}/files/{filename}"

    def page(self, project: str, *, as_json: bool) -> bytes | None:
        """The page of a project, or None when there is no such project."""
        found = [file for file in self.files if file.project == project]
        if not found:
            return None
        return self._json(project, found) if as_json else self._html(found)

    def _json(self, project: str, files: list[ServedFile]) -> bytes:
        items: list[dict[str, Any]] = []
        for file in files:
            item = {
                "filename": file.filename,
                "url": self._link(file),
                "hashes": {"sha256": file.sha256},
                "core-metadata": bool(file.metadata),
            }
            item |= {"requires-python": file.requires_python} if file.requires_python else {}
            item |= {"upload-time": file.uploaded} if self.manners.upload_times else {}
            item |= {"size": len(file.data)} if self.manners.sizes else {}
            items.append(item)
        page = {"meta": {"api-version": "1.1"}, "name": project, "versions": [], "files": items}
        return json.dumps(page).encode()

    def _html(self, files: list[ServedFile]) -> bytes:
        lines = []
        for file in files:
            extra = (
                f' data-requires-python="{html.escape(file.requires_python)}"'
                if file.requires_python
                else ""
            )
            extra += f' data-upload-time="{file.uploaded}"' if self.manners.upload_times else ""
            extra += ' data-core-metadata="true"' if file.metadata else ""
            link = f"{self._link(file)}#sha256={file.sha256}"
            lines.append(f'<a href="{html.escape(link)}"{extra}>{file.filename}</a><br/>')
        return ("<!DOCTYPE html><html><body>\n" + "\n".join(lines) + "\n</body></html>\n").encode()

    def _link(self, file: ServedFile) -> str:
        return self.file_url(file.filename) + (
            f"?{self.manners.query}" if self.manners.query else ""
        )


class _Handler(BaseHTTPRequestHandler):
    """Answers for the index that its server belongs to."""

    protocol_version = "HTTP/1.1"
    server: _Http

    def do_GET(self) -> None:
        """Answer as the manners say."""
        index, manners = self.server.index, self.server.index.manners
        index.asked.append(self.path)
        time.sleep(manners.delay)
        if manners.status != HTTPStatus.OK:
            self._answer(manners.status, b"trouble", "text/plain")
        elif manners.login and not self._known(manners.login):
            self._answer(HTTPStatus.UNAUTHORIZED, b"who are you", "text/plain")
        else:
            parts = urlsplit(self.path)
            self._answer(*self._content(index, parts.path, parts.query))

    do_HEAD = do_GET  # noqa: N815

    def _known(self, login: tuple[str, str]) -> bool:
        wanted = base64.b64encode(":".join(login).encode()).decode()
        return self.headers.get("Authorization", "") == f"Basic {wanted}"

    def _content(self, index: IndexServer, path: str, query: str) -> tuple[int, bytes, str]:
        if path.startswith("/simple/"):
            as_json = index.manners.json and "v1+json" in self.headers.get("Accept", "")
            kind = "application/vnd.pypi.simple.v1+json" if as_json else "text/html"
            body = index.page(path.split("/")[2], as_json=as_json)
        else:
            kind, refused = "application/octet-stream", index.manners.query not in ("", query)
            body = None if refused else _contents(index, path.removeprefix("/files/"))
        return (HTTPStatus.NOT_FOUND, b"", kind) if body is None else (HTTPStatus.OK, body, kind)

    def _answer(self, status: int, body: bytes, kind: str) -> None:
        first, last = self._range(len(body)) if status == HTTPStatus.OK else (0, len(body))
        partial = (first, last) != (0, len(body))
        self.send_response(HTTPStatus.PARTIAL_CONTENT if partial else status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(last - first))
        self.send_header("Accept-Ranges", "bytes")
        if partial:
            self.send_header("Content-Range", f"bytes {first}-{last - 1}/{len(body)}")
        if status == HTTPStatus.UNAUTHORIZED:
            self.send_header("WWW-Authenticate", 'Basic realm="index"')
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body[first:last])

    def _range(self, size: int) -> tuple[int, int]:
        unit, _, span = self.headers.get("Range", "").partition("=")
        first, _, last = span.partition("-")
        if unit != "bytes" or not (first or last):
            return 0, size
        if not first:
            return max(0, size - int(last)), size
        return int(first), min(size, int(last) + 1) if last else size

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing: `asked` is the log."""


def _contents(server: IndexServer, name: str) -> bytes | None:
    for file in server.files:
        if file.filename == name:
            return file.data
        if f"{file.filename}.metadata" == name and file.metadata:
            return file.metadata
    return None
