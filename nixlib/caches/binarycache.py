"""Files of a binary cache, over HTTP or from a directory; what they mean is for the caller.

Every read is bounded in bytes and in time: a cache that we were told of may be down, slow or hostile.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import unquote, urlsplit

from nixlib.errors import NetworkError, SubstituteError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from nixlib.network.httpclient import Response

_PIECE = 256 * 1024
# Bytes a second below which a download is given up, once it has had a while to begin.
_LEAST_SPEED = 16 * 1024
_OK = 200
_MISSING = frozenset({403, 404, 410})  # S3 says 403 of what does not exist


class BinaryCache(Protocol):
    """Where files of one cache come from."""

    url: str

    def stream(self, name: str) -> AbstractContextManager[Iterator[bytes] | None]:
        """The file `name` in chunks, or nothing when the cache has no such file."""

    def close(self) -> None:
        """Let go of connections."""


class DirectoryCache:
    """A cache in a directory, `file://`."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._root = Path(unquote(urlsplit(url).path))

    @contextmanager
    def stream(self, name: str) -> Iterator[Iterator[bytes] | None]:
        """The file in chunks, or nothing."""
        try:
            file = (self._root / name.partition("?")[0]).open("rb")
        except FileNotFoundError:
            yield None
            return
        except OSError as error:
            raise NetworkError(
                f"cannot read the cache `{self.url}`", details=(str(error),), url=self.url
            ) from error
        with file:
            yield iter(lambda: file.read(_PIECE), b"")

    def close(self) -> None:
        """Nothing is held open."""


class HttpCache:
    """A cache on a web server.

    Args:
        url: Its root.
        timeout: Seconds for a connection, and for each further byte.
    """

    def __init__(self, url: str, timeout: float) -> None:
        # Imported where it is used: a cached kernel start must not load it.
        from nixlib.network.httpclient import HttpClient  # noqa: PLC0415

        self.url = url.rstrip("/")
        self._timeout = timeout
        self._client = HttpClient(timeout=timeout)

    @contextmanager
    def stream(self, name: str) -> Iterator[Iterator[bytes] | None]:
        """The file in chunks, or nothing."""
        from http.client import HTTPException  # noqa: PLC0415

        url = f"{self.url}/{name}"
        try:
            with self._client.get(url) as answer:
                if answer.status in _MISSING:
                    yield None
                    return
                yield self._chunks(answer)
        except (OSError, HTTPException) as error:
            raise NetworkError(
                f"the cache `{self.url}` does not answer as it should",
                details=(f"{url}: {str(error) or type(error).__name__}",),
                url=url,
            ) from error

    def _chunks(self, answer: Response) -> Iterator[bytes]:
        if answer.status != _OK:
            raise NetworkError(
                f"the cache `{self.url}` does not answer as it should",
                details=(f"{answer.url}: HTTP status {answer.status}",),
                url=answer.url,
            )
        start, size = time.monotonic(), 0
        for chunk in answer.chunks():
            size += len(chunk)
            spent = time.monotonic() - start - 2 * self._timeout
            if spent > 0 and size < spent * _LEAST_SPEED:
                raise NetworkError(f"the cache `{self.url}` sends too slowly", url=self.url)
            yield chunk

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def open_cache(url: str, timeout: float) -> BinaryCache:
    """The cache at `url`.

    Raises:
        SubstituteError: Neither `http`, `https` nor `file`.
    """
    scheme = urlsplit(url).scheme
    if scheme == "file":
        return DirectoryCache(url)
    if scheme in {"http", "https"}:
        return HttpCache(url, timeout)
    raise SubstituteError(
        f"`{url}` is not a cache that can be read: `http`, `https` or `file`", url=url
    )


def read_small(cache: BinaryCache, name: str, limit: int) -> bytes | None:
    """A whole file of at most `limit` bytes, or nothing when the cache has no such file.

    Raises:
        NetworkError: The cache does not answer.
        SubstituteError: It is longer.
    """
    with cache.stream(name) as chunks:
        if chunks is None:
            return None
        data = bytearray()
        for chunk in chunks:
            data += chunk
            if len(data) > limit:
                raise SubstituteError(f"`{name}` of `{cache.url}` is longer than {limit} bytes")
    return bytes(data)
