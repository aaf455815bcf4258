"""Asking a registry over HTTP: many at a time, with the user's credentials, retried, stoppable.

Only small things pass through here: pages, metadata, sizes. Wheels are fetched elsewhere.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException, responses
from typing import TypeVar
from urllib.parse import unquote, urlsplit

from nixlib.cancel import Cancel
from nixlib.errors import NetworkError
from nixlib.network.httpclient import HttpClient, Response
from nixlib.resolvers.indexes import Credentials, Indexes
from nixlib.resolvers.requirements import public_url

__all__ = ["AT_ONCE", "Answer", "Web"]

AT_ONCE = 16  # measured: 41 sizes in 0.28 s; 32 were not faster
_TRIES = 3
_PAUSE = 0.2  # seconds before the second try, doubled for the third

_Item = TypeVar("_Item")
_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said, whole: the body without compression, the URL after redirections."""

    status: int
    headers: Mapping[str, str]
    content: bytes
    url: str


def _whole(response: Response) -> Answer:
    """A response with its body, unpacked."""
    content = b"".join(response.chunks())
    if content and response.headers.get("content-encoding", "").lower() in ("gzip", "x-gzip"):
        content = zlib.decompress(content, wbits=31)  # 31 is gzip (zlib's manual, inflateInit2)
    return Answer(response.status, response.headers, content, response.url)


def _beginning(response: Response) -> Answer:
    """A response with what there is of a body of one byte, and none of a longer one."""
    content = b"".join(response.chunks()) if (response.length or 0) <= 1 else b""
    return Answer(response.status, response.headers, content, response.url)


class Web:
    """One session with all registries of a resolution; `timeout` is seconds without a byte."""

    def __init__(self, indexes: Indexes, *, timeout: float, cancel: Cancel) -> None:
        self._indexes = indexes
        self._cancel = cancel
        self._client = HttpClient(
            timeout=timeout, auth=self._credentials, certificates=indexes.certificates
        )
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="nixenv-web")

    def get(self, url: str, *, accept: str = "*/*") -> Answer | None:
        """The answer to GET, or None when there is no such thing (404, 410).

        Raises:
            NetworkError: No answer, or one that says that something is wrong.
        """
        return self._ask(url, {"Accept": accept, "Accept-Encoding": "gzip"})

    def size(self, url: str) -> int:
        """How many bytes there are at `url`.

        Raises:
            NetworkError: No answer, or it is not there.
        """
        # The first byte, not HEAD: caches on the way have an answer to it (2 ms, where PyPI's took 65).
        # Without `identity`, a server may say how long the file is after compression.
        headers = {"Accept-Encoding": "identity"}
        found = self._ask(url, {**headers, "Range": "bytes=0-0"}, _beginning)
        if found is None:
            raise NetworkError(f"`{public_url(url)}` is not there any more", url=public_url(url))
        if found.status == HTTPStatus.PARTIAL_CONTENT:
            length = found.headers.get("content-range", "").rpartition("/")[2]
        else:  # the server knows no ranges
            length = found.headers.get("content-length", "")
        if length.isdigit():
            return int(length)
        body = self._ask(url, headers)
        return len(body.content) if body is not None else 0

    def part(self, url: str, first: int, last: int) -> bytes | None:
        """Bytes `first` to `last` (not included) of what is at `url`; None when it is not there.

        Raises:
            NetworkError: No answer.
        """
        answer = self._ask(
            url, {"Range": f"bytes={first}-{last - 1}", "Accept-Encoding": "identity"}
        )
        if answer is None:
            return None
        whole = answer.status != HTTPStatus.PARTIAL_CONTENT  # the server knows no ranges
        return answer.content[first:last] if whole else answer.content

    def expect(self, url: str) -> None:
        """Open a connection to the server of `url` while the caller does something else."""
        self._threads.submit(self._connect, url)

    def _connect(self, url: str) -> None:
        # Whoever asks for it later tries again, and can say what is wrong.
        with suppress(OSError, HTTPException, NetworkError):
            self._client.connect(url)

    def each(self, work: Callable[[_Item], _Answer], items: Iterable[_Item]) -> list[_Answer]:
        """`work` on every item, `AT_ONCE` at a time, answers in the items' order.

        Raises:
            RealisationCancelledError: The user stopped it; what had begun is waited for.
        """

        def checked(item: _Item) -> _Answer:
            self._cancel.check()
            return work(item)

        futures = [self._threads.submit(checked, item) for item in items]
        try:
            return [future.result() for future in futures]
        finally:
            for future in futures:
                future.cancel()

    def close(self) -> None:
        """Drop what has not begun, and end what has."""
        self._client.close()
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _ask(
        self,
        url: str,
        headers: dict[str, str],
        read: Callable[[Response], Answer] = _whole,
    ) -> Answer | None:
        trouble = ""
        for attempt in range(_TRIES):
            if attempt:
                self._cancel.wait(_PAUSE * 2 ** (attempt - 1))
            self._cancel.check()
            try:
                with self._client.get(url, headers) as response:
                    answer = read(response)
            except (OSError, HTTPException, NetworkError, zlib.error) as error:
                self._cancel.check()  # a connection that was cut to stop this is no failure
                trouble = f"{type(error).__name__}: {error}".replace(url, public_url(url))
                continue
            if answer.status < HTTPStatus.BAD_REQUEST:
                return answer
            trouble = f"HTTP status {answer.status} {responses.get(answer.status, '')}".rstrip()
            if (
                answer.status < HTTPStatus.INTERNAL_SERVER_ERROR
                and answer.status != HTTPStatus.TOO_MANY_REQUESTS
            ):
                break
        _verdict(url, trouble)
        return None

    def _credentials(self, url: str) -> Credentials | None:
        """Who we are at `url`, which a direct URL may say itself."""
        known = self._indexes.credentials(url)
        parts = urlsplit(url)
        if known is not None or not parts.username:
            return known
        return unquote(parts.username), unquote(parts.password or "")


def _verdict(url: str, trouble: str) -> None:
    """Raise what `trouble` calls for; nothing when the thing is just not there."""
    gone = ("HTTP status 404", "HTTP status 410")
    if trouble.startswith(gone):
        return
    raise NetworkError(
        f"`{public_url(url)}` did not answer as it should",
        details=(trouble,),
        url=public_url(url),
    )
