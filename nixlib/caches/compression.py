"""Unpacking a stream that nobody vouches for: never more than a piece in memory, never beyond a limit."""

from __future__ import annotations

import bz2
import importlib
import lzma
import zlib
from typing import TYPE_CHECKING, Protocol

from nixlib.errors import SubstituteError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_PIECE = 256 * 1024
# What `xz -9` needs to unpack is 65 MiB; more is asked for only to hurt.
_XZ_MEMORY = 512 * 1024 * 1024


class _Decompressor(Protocol):
    """The shape of `bz2.BZ2Decompressor`, which the standard library's others have too."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int = ..., /) -> bytes: ...

    @property
    def needs_input(self) -> bool: ...


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


def can_decompress(compression: str) -> bool:
    """Whether this Python can; Zstandard came with 3.14."""
    return compression == "none" or _factory(compression) is not None


def decompress(chunks: Iterable[bytes], compression: str, limit: int) -> Iterator[bytes]:
    """The unpacked stream in pieces of at most 256 KiB.

    Args:
        chunks: The packed stream.
        compression: `none`, `xz`, `bzip2`, `gzip` or `zstd`.
        limit: Bytes after which the stream counts as an attack.

    Raises:
        SubstituteError: Damaged, truncated, bytes after its end, longer than `limit`, or a
            compression that `can_decompress` denies.
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
    factory = _factory(compression)
    if factory is None:
        raise SubstituteError(f"this Python cannot unpack `{compression}`")
    stream = factory()
    try:
        for chunk in chunks:
            yield from _feed(stream, chunk)
    except (OSError, lzma.LZMAError, zlib.error, EOFError, ValueError) as error:
        raise SubstituteError(f"the archive is damaged: {error}") from error
    if not stream.eof:
        raise SubstituteError("the archive is truncated")


def _feed(stream: _Decompressor, chunk: bytes) -> Iterator[bytes]:
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


def _factory(compression: str) -> Callable[[], _Decompressor] | None:
    if compression == "xz":
        return lambda: lzma.LZMADecompressor(memlimit=_XZ_MEMORY)
    if compression == "bzip2":
        return bz2.BZ2Decompressor
    if compression == "gzip":
        return _Gzip
    try:
        module = importlib.import_module("compression.zstd")
    except ImportError:
        return None
    factory: Callable[[], _Decompressor] = module.ZstdDecompressor
    return factory
