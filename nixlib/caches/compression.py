"""Unpacking a stream that nobody vouches for: never more than a piece in memory, never beyond a limit."""

from __future__ import annotations

import bz2
import lzma
import sys
import zlib
from typing import TYPE_CHECKING, Protocol

from nixlib.errors import SubstituteError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_PIECE = 256 * 1024
# What `xz -9` needs to unpack is 65 MiB; more is asked for only to hurt.
_XZ_MEMORY = 512 * 1024 * 1024


class Decompressor(Protocol):
    """The shape of `bz2.BZ2Decompressor`, which the standard library's others have too."""

    @property
    def eof(self) -> bool:
        """Whether the stream has ended."""

    @property
    def unused_data(self) -> bytes:
        """What came after its end."""

    @property
    def needs_input(self) -> bool:
        """Whether it has nothing more to give without further input."""

    def decompress(self, data: bytes, max_length: int = ..., /) -> bytes:
        """The next piece of what is packed, of at most `max_length` bytes."""


class _Gzip:
    """zlib's decompressor in the shape that the other modules gave theirs."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    @property
    def needs_input(self) -> bool:
        return not self._inner.unconsumed_tail

    def decompress(self, data: bytes, max_length: int = -1, /) -> bytes:
        return self._inner.decompress(self._inner.unconsumed_tail + data, max(max_length, 0))


# Damaged data is `OSError` to bz2, and to each of the others an error of its own.
DAMAGED = (OSError, EOFError, ValueError, lzma.LZMAError, zlib.error, zstd.ZstdError)
"""What a decompressor raises for data that is none of its own."""

_DECOMPRESSORS: dict[str, Callable[[], Decompressor]] = {
    "xz": lambda: lzma.LZMADecompressor(memlimit=_XZ_MEMORY),
    "bzip2": bz2.BZ2Decompressor,
    "gzip": _Gzip,
    "zstd": zstd.ZstdDecompressor,
}


def decompressor(compression: str) -> Decompressor:
    """A decompressor of one stream.

    Raises:
        KeyError: The compression is unknown.
    """
    return _DECOMPRESSORS[compression]()


def decompress(chunks: Iterable[bytes], compression: str, limit: int) -> Iterator[bytes]:
    """The unpacked stream in pieces of at most 256 KiB.

    Args:
        chunks: The packed stream.
        compression: `none`, `xz`, `bzip2`, `gzip` or `zstd`.
        limit: Bytes after which the stream counts as an attack.

    Raises:
        SubstituteError: Damaged, truncated, bytes after its end, longer than `limit`, or an
            unknown compression.
    """
    total = 0
    for piece in _pieces(chunks, compression):
        total += len(piece)
        if total > limit:
            raise SubstituteError(f"the archive unpacks to more than the announced {limit} bytes")
        yield piece


def _pieces(chunks: Iterable[bytes], compression: str) -> Iterator[bytes]:
    if compression == "none":
        yield from chunks
        return
    if compression not in _DECOMPRESSORS:
        raise SubstituteError(f"`{compression}` is no compression that can be unpacked")
    stream = decompressor(compression)
    try:
        for chunk in chunks:
            yield from _feed(stream, chunk)
    except DAMAGED as error:
        raise SubstituteError(f"the archive is damaged: {error}") from error
    if not stream.eof:
        raise SubstituteError("the archive is truncated")


def _feed(stream: Decompressor, chunk: bytes) -> Iterator[bytes]:
    data = chunk
    while data or not (stream.eof or stream.needs_input):
        if stream.eof:
            raise SubstituteError("the archive goes on after its end")
        piece = stream.decompress(data, _PIECE)
        data = b""
        if piece:
            yield piece
        elif stream.needs_input:
            break
    if stream.eof and stream.unused_data:
        raise SubstituteError("the archive goes on after its end")
