"""Archives of revisions, as `git archive` makes them: the commit that one is of, and all of it.

The first block of such an archive names its commit, so a branch becomes a commit by the first kilobytes
of one answer: no token, no limit of an interface, and any server of plain files will do.
"""

from __future__ import annotations

import http.client
import io
import re
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit
from urllib.request import url2pathname

from nixlib.errors import NetworkError
from nixlib.network.ending import ended_by

if TYPE_CHECKING:
    from nixlib.cancel import Cancel
    from nixlib.network.httpclient import HttpClient

_Result = TypeVar("_Result")

_COMMIT = re.compile(r"[0-9a-f]{40}")
_GZIP = 31  # window bits that make zlib read gzip's header (zlib manual)
_HEAD = 64 << 10  # bytes in which an archive's first block is, compressed
_CHUNK = 256 << 10
_LIMIT = 1 << 30  # bytes of an archive; nixpkgs has some 50 MB
_ATTEMPTS = 3
_PAUSE = 0.4  # seconds before the second attempt, doubled for the third


def find_commit(url: str, client: HttpClient, cancel: Cancel) -> str:
    """The commit that the archive at `url` is of; reads its beginning and hangs up.

    Raises:
        NetworkError: There is no such revision, the server does not answer, or it is no archive.
        RealisationCancelledError: Somebody stopped it.
    """

    def read(pieces: Iterator[bytes]) -> str:
        head = b""
        for piece in pieces:
            head += piece
            if len(head) >= _HEAD:
                break
        return commit_of(head, url)

    return _attempts(read, url, client, cancel)


def fetch_archive(
    url: str, client: HttpClient, cancel: Cancel, *, scratch: Path, on_bytes: Callable[[int], None]
) -> tuple[mmap, str]:
    """All of the archive at `url`, in an unlinked temporary file below `scratch`, and its commit.

    Raises:
        NetworkError: As `find_commit`; or it is larger than any repository of packages.
        RealisationCancelledError: Somebody stopped it.
    """

    def read(pieces: Iterator[bytes]) -> mmap:
        scratch.mkdir(parents=True, exist_ok=True)
        # Unlinked at once: a process that is killed leaves nothing behind.
        with tempfile.TemporaryFile(dir=scratch, prefix="nixenv-revision-") as file:
            size = 0
            for piece in pieces:
                size += len(piece)
                if size > _LIMIT:
                    raise NetworkError(f"`{url}` has more than {_LIMIT} bytes", url=url)
                file.write(piece)
                on_bytes(size)
            file.flush()
            if not size:
                raise http.client.HTTPException("it is empty")
            return mmap(file.fileno(), 0, access=ACCESS_READ)

    data = _attempts(read, url, client, cancel)
    return data, commit_of(data[:_HEAD], url)


def commit_of(head: bytes, url: str) -> str:
    """The commit that an archive which begins with `head` is of.

    Raises:
        NetworkError: It does not say so: it was not made by `git archive`.
    """
    found: str = ""
    with suppress(zlib.error, tarfile.TarError, OSError, ValueError, EOFError):
        unpacked = zlib.decompressobj(_GZIP).decompress(head, _HEAD)
        with tarfile.open(fileobj=io.BytesIO(unpacked), mode="r:") as archive:
            found = archive.pax_headers.get("comment", "")
    if not _COMMIT.fullmatch(found):
        raise NetworkError(
            f"`{url}` is not an archive of a revision",
            details=("an archive that git makes names its commit in its first block",),
            url=url,
        )
    return found


def _attempts(
    read: Callable[[Iterator[bytes]], _Result], url: str, client: HttpClient, cancel: Cancel
) -> _Result:
    reasons: list[str] = []
    for attempt in range(_ATTEMPTS):
        if attempt:
            cancel.wait(_PAUSE * 2 ** (attempt - 1))
        cancel.check()
        try:
            with ended_by(cancel, client), _opened(url, client) as pieces:
                return read(_checked(pieces, cancel))
        except (OSError, http.client.HTTPException) as error:
            cancel.check()  # a connection that was cut to stop this is no failure
            reasons.append(str(error) or type(error).__name__)
    raise NetworkError(
        f"cannot read `{url}`",
        details=tuple(f"attempt {number}: {reason}" for number, reason in enumerate(reasons, 1)),
        url=url,
    )


def _checked(pieces: Iterator[bytes], cancel: Cancel) -> Iterator[bytes]:
    for piece in pieces:
        cancel.check()
        yield piece


@contextmanager
def _opened(url: str, client: HttpClient) -> Iterator[Iterator[bytes]]:
    parts = urlsplit(url)
    if parts.scheme == "file":
        path = Path(url2pathname(parts.path))
        if not path.is_file():
            raise _absent(url)
        with path.open("rb") as file:
            yield iter(lambda: file.read(_CHUNK), b"")
        return
    with client.get(url) as response:
        if response.status in (http.client.NOT_FOUND, http.client.GONE):
            raise _absent(url)
        if response.status != http.client.OK:
            said = http.client.responses.get(response.status, "")
            raise http.client.HTTPException(f"the server answered {response.status} {said}".strip())
        yield response.chunks()


def _absent(url: str) -> NetworkError:
    return NetworkError(
        "there is no such revision",
        details=(f"`{url}` does not exist",),
        hint="a revision is a commit, a branch or a tag of the repository",
        url=url,
        status=int(http.client.NOT_FOUND),
    )
