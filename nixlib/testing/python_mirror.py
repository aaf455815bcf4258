"""A mirror of python-build-standalone on the loopback, made of a Python of this machine.

The shape is upstream's: `<release>/<file>.tar.gz` with one folder `python/`, and `<release>/SHA256SUMS`.
What is inside is a copy of a host Python, so it starts; it is not upstream's build.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import threading
from base64 import b64encode
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from nixlib.interpreters.standalone import Release
from nixlib.tree import Directory, Regular, Symlink, walk


def release_tarball(tree: Directory) -> bytes:
    """An `install_only` archive of an interpreter's tree, the same bytes each time."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for path, node in walk(tree):
            member = tarfile.TarInfo(f"python/{path}")
            if isinstance(node, Regular):
                member.size, member.mode = node.size, 0o755 if node.executable else 0o644
                archive.addfile(member, io.BytesIO(b"".join(node.read())))
            elif isinstance(node, Symlink):
                member.type, member.linkname = tarfile.SYMTYPE, node.target
                archive.addfile(member)
    return gzip.compress(out.getvalue(), compresslevel=1, mtime=0)


def write_mirror(folder: Path, files: Mapping[Release, bytes]) -> None:
    """Lay `files` out as upstream's releases are, each release with its `SHA256SUMS`."""
    for release, data in files.items():
        place = folder / release.release
        place.mkdir(parents=True, exist_ok=True)
        (place / release.file).write_bytes(data)
        with (place / "SHA256SUMS").open("a", encoding="utf-8") as sums:
            sums.write(f"{hashlib.sha256(data).hexdigest()}  {release.file}\n")


class _Handler(SimpleHTTPRequestHandler):
    """Serves files, and keeps a list of the paths that were asked for."""

    def __init__(
        self, *args: object, asked: list[str], wanted: str, directory: str, **more: object
    ) -> None:
        self._asked = asked
        self._wanted = wanted
        super().__init__(*args, directory=directory, **more)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        self._asked.append(self.path)
        if self._wanted and self.headers.get("Authorization") != self._wanted:
            self.send_error(HTTPStatus.UNAUTHORIZED)
            return
        super().do_GET()

    def copyfile(self, source: Any, outputfile: Any) -> None:
        """Send a file, as far as the client wants it."""
        with suppress(
            BrokenPipeError, ConnectionResetError
        ):  # sizes are asked for by the head alone
            super().copyfile(source, outputfile)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's own name
        """Say nothing."""


@contextmanager
def serve_mirror(
    folder: Path, *, user: tuple[str, str] | None = None
) -> Iterator[tuple[str, Collection[str]]]:
    """Serve `folder` while the block runs: the address, and the paths asked for so far.

    Args:
        folder: What `write_mirror` wrote.
        user: The name and password that are asked for, if any.
    """
    asked: list[str] = []
    wanted = f"Basic {b64encode(':'.join(user).encode()).decode()}" if user else ""
    handler = partial(_Handler, asked=asked, wanted=wanted, directory=str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
    )
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
