"""One file of a registry, whole and proven, or an error that says what happened.

Its sha256 is computed while it arrives, so a file is trusted the moment its last byte is there. A
connection that breaks is taken up where it broke; whatever else goes wrong is tried again.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import random
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import FileIO
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import IO, Protocol
from urllib.parse import urlsplit
from urllib.request import url2pathname

from nixlib.cancel import Cancel
from nixlib.errors import HashMismatchError, NetworkError
from nixlib.lock import Artifact
from nixlib.network.httpclient import HttpClient, Response
from nixlib.sri import sri

SPOOL_SIZE = 64 << 20
"""Files larger than this lie in an unlinked temporary file instead of memory."""

_ATTEMPTS = 4
_BACKOFF = 0.4  # seconds before the second attempt, doubled each time
_MAX_RETRY_AFTER = 10.0
_CHUNK = 256 << 10
_TRY_AGAIN = frozenset((408, 425, 429, 500, 502, 503, 504))

OnBytes = Callable[[int], None]


class _Interrupted(Exception):  # noqa: N818 - the state of one attempt, never seen outside
    """An attempt failed in a way that another one may mend; `wait` in seconds if the server asked."""

    def __init__(self, why: str, wait: float = 0.0) -> None:
        super().__init__(why)
        self.wait = wait


class _Altered(Exception):  # noqa: N818 - as above
    """What arrived is something else."""


class _Sink(Protocol):
    def write(self, chunk: memoryview) -> object: ...

    def reset(self) -> None: ...

    def content(self) -> bytes | bytearray | mmap: ...


@dataclass
class _Memory:
    data: bytearray = field(default_factory=bytearray)

    def write(self, chunk: memoryview) -> None:
        self.data += chunk

    def reset(self) -> None:
        self.data = bytearray()

    def content(self) -> bytearray:
        return self.data


@dataclass
class _Spool:
    # Unlinked at once: a process that is killed leaves nothing behind.
    file: IO[bytes] = field(default_factory=lambda: tempfile.TemporaryFile(buffering=0))  # noqa: SIM115

    def write(self, chunk: memoryview) -> None:
        while chunk:
            chunk = chunk[self.file.write(chunk) :]

    def reset(self) -> None:
        self.file.seek(0)
        self.file.truncate()

    def content(self) -> mmap:
        with self.file:
            return mmap(self.file.fileno(), 0, access=ACCESS_READ)


@dataclass
class _Transfer:
    """What has arrived of one artifact so far, over all attempts."""

    artifact: Artifact
    on_bytes: OnBytes
    sink: _Sink
    digest: hashlib._Hash = field(default_factory=hashlib.sha256)
    received: int = 0
    validator: str = ""
    was_altered: bool = False

    def restart(self) -> None:
        self.on_bytes(-self.received)
        self.sink.reset()
        self.digest, self.received, self.validator = hashlib.sha256(), 0, ""

    def add(self, chunk: memoryview) -> None:
        self.digest.update(chunk)
        self.sink.write(chunk)
        self.received += len(chunk)
        self.on_bytes(len(chunk))
        if self.received > self.artifact.size:
            # The hash cannot fit any more, so the rest need not be waited for.
            raise _Altered

    def finish(self) -> None:
        if self.received < self.artifact.size:
            raise _Interrupted(f"it ended after {self.received} of {self.artifact.size} bytes")
        if self.digest.hexdigest() != self.artifact.sha256:
            raise _Altered


def _ignore(count: int) -> None:
    del count


def fetch(
    artifact: Artifact,
    client: HttpClient,
    *,
    cancel: Cancel | None = None,
    on_bytes: OnBytes = _ignore,
) -> bytes | bytearray | mmap:
    """The bytes of an artifact, from the web or from a `file://` URL.

    Args:
        artifact: What to get, and the sha256 and size that it must have.
        client: Its connections; closing it ends a transfer at once.
        cancel: Looked at between chunks and while waiting to try again.
        on_bytes: Told how many bytes have arrived more; fewer than none when a transfer starts anew.

    Raises:
        HashMismatchError: What arrived, twice, is something else.
        NetworkError: It did not arrive, after four attempts; field `url`.
        RealisationCancelledError: Somebody stopped it.
    """
    cancel = cancel or Cancel()
    sink: _Sink = _Spool() if artifact.size > SPOOL_SIZE else _Memory()
    transfer = _Transfer(artifact, on_bytes, sink)
    reasons: list[str] = []
    for attempt in range(_ATTEMPTS):
        cancel.check()
        try:
            _attempt(transfer, client, cancel)
            return sink.content()
        except _Altered as error:
            if transfer.was_altered:
                raise _mismatch(transfer) from error
            # Once more, past caches: a proxy on the way may hold a damaged copy.
            transfer.restart()
            transfer.was_altered = True
            reasons.append("it was another file")
        except (_Interrupted, OSError, http.client.HTTPException) as error:
            cancel.check()  # a connection that was cut to stop this is no failure
            reasons.append(_reason(error))
            if attempt + 1 < _ATTEMPTS:
                asked = error.wait if isinstance(error, _Interrupted) else 0.0
                # Jitter, so that 32 transfers that broke together do not come back together.
                cancel.wait(max(asked, _BACKOFF * 2**attempt * random.uniform(0.7, 1.3)))  # noqa: S311
    raise NetworkError(
        f"cannot download `{artifact.filename}`",
        details=(
            f"from {artifact.url}",
            *(f"attempt {number}: {reason}" for number, reason in enumerate(reasons, 1)),
        ),
        hint="run the same again when the server answers: what is in the store already stays there",
        url=artifact.url,
    )


def _mismatch(transfer: _Transfer) -> HashMismatchError:
    artifact = transfer.artifact
    expected = sri(bytes.fromhex(artifact.sha256))
    actual = sri(transfer.digest.digest()) if transfer.received <= artifact.size else ""
    return HashMismatchError(
        f"`{artifact.filename}` is not the file that the lock names",
        details=(
            f"from {artifact.url}",
            f"expected {expected}, {artifact.size} bytes",
            f"found    {actual}, {transfer.received} bytes" if actual else "found    a larger file",
        ),
        hint="`%nixenv lock` makes a lock of what the registry has now",
        url=artifact.url,
        expected=expected,
        actual=actual,
    )


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "the server did not answer in time"
    return str(error) or type(error).__name__


def _attempt(transfer: _Transfer, client: HttpClient, cancel: Cancel) -> None:
    with _source(transfer, client) as readinto:
        buffer = memoryview(bytearray(_CHUNK))
        while count := readinto(buffer):
            cancel.check()
            transfer.add(buffer[:count])
    transfer.finish()


@contextmanager
def _source(transfer: _Transfer, client: HttpClient) -> Iterator[Callable[[memoryview], int]]:
    url = transfer.artifact.url
    if url.startswith("file:"):
        transfer.restart()
        with _open_local(Path(url2pathname(urlsplit(url).path)), url) as file:
            yield file.readinto
        return
    headers = {"Cache-Control": "no-cache"} if transfer.was_altered else {}
    if transfer.received and transfer.validator:
        headers |= {"Range": f"bytes={transfer.received}-", "If-Range": transfer.validator}
    with client.get(url, headers) as response:
        _accept(transfer, response)
        yield response.readinto


def _open_local(path: Path, url: str) -> FileIO:
    # A pipe in its place would keep us waiting for who opens the other end, a device has no end.
    try:
        file = FileIO(path, opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))
        if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            return file
        file.close()
        reason = "it is no file"
    except OSError as error:
        reason = os.strerror(error.errno or 0)
    except ValueError:
        reason = "it is no path"
    raise NetworkError(f"cannot read `{path}`", details=(reason,), url=url)


def _accept(transfer: _Transfer, response: Response) -> None:
    """Take a response up where the transfer stands, or say why it is none."""
    status, headers = response.status, response.headers
    if status == http.client.PARTIAL_CONTENT and transfer.received:
        if headers.get("content-range", "").startswith(f"bytes {transfer.received}-"):
            return
        transfer.restart()
        raise _Interrupted("the server sent another part than it was asked for")
    if status == http.client.REQUESTED_RANGE_NOT_SATISFIABLE and transfer.received:
        transfer.restart()
        raise _Interrupted("the server has less of it than had arrived")
    if status != http.client.OK:
        reason = f"the server answered {status} {http.client.responses.get(status, '')}".rstrip()
        if status not in _TRY_AGAIN:
            raise _refused(transfer.artifact, status, reason)
        wait = headers.get("retry-after", "")
        raise _Interrupted(reason, min(float(wait), _MAX_RETRY_AFTER) if wait.isdigit() else 0.0)
    if transfer.received:
        transfer.restart()
    # A weak validator does not promise equal bytes (RFC 9110, 13.1.5).
    tag = headers.get("etag", "")
    transfer.validator = "" if tag.startswith("W/") else tag or headers.get("last-modified", "")


def _refused(artifact: Artifact, status: int, reason: str) -> NetworkError:
    hints = {
        401: "store the index's credentials where uv or pip finds them, for example in `~/.netrc`",
        403: "store the index's credentials where uv or pip finds them, for example in `~/.netrc`",
        404: "`%nixenv lock` makes a lock of what the registry has now",
        410: "`%nixenv lock` makes a lock of what the registry has now",
    }
    return NetworkError(
        f"cannot download `{artifact.filename}`: {reason}",
        details=(f"from {artifact.url}",),
        hint=hints.get(status, ""),
        url=artifact.url,
        status=status,
    )
