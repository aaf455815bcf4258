"""The primitive values of Nix's worker protocol, to bytes and back.

Nix manual, "Serialisation": every integer is 64 bits little-endian; a string is its length, its bytes
and zeros up to a multiple of eight. Reading asks a `Source` for exactly so many bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from nixlib.errors import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

# Gives exactly so many bytes, or raises.
Source = Callable[[int], bytes]

# No honest answer of a daemon holds more; a stream that lost its place asks for terabytes.
MAX_TEXT = 64 * 1024 * 1024
MAX_ITEMS = 1_000_000
_LIMIT = 1 << 64
_ZEROS = bytes(8)

FRAME_END = bytes(8)


def encode_int(value: int) -> bytes:
    """A non-negative integer below 2**64; booleans are 0 and 1."""
    if not 0 <= value < _LIMIT:
        raise ProtocolError(f"{value} does not fit in 64 bits", operation="encode")
    return value.to_bytes(8, "little")


def encode_bytes(data: bytes) -> bytes:
    """Length, bytes, zeros up to a multiple of eight."""
    return len(data).to_bytes(8, "little") + data + _ZEROS[: -len(data) % 8]


def encode_text(text: str) -> bytes:
    """A string; file names that are not UTF-8 survive."""
    return encode_bytes(text.encode("utf-8", "surrogateescape"))


def encode_texts(texts: Collection[str]) -> bytes:
    """A list or set of strings, in the order given."""
    return encode_int(len(texts)) + b"".join(map(encode_text, texts))


def encode_mapping(mapping: Mapping[str, str]) -> bytes:
    """Pairs of strings, sorted by key as Nix's own maps are."""
    pairs = b"".join(encode_text(key) + encode_text(mapping[key]) for key in sorted(mapping))
    return encode_int(len(mapping)) + pairs


def decode_int(source: Source) -> int:
    """An integer."""
    return int.from_bytes(source(8), "little")


def decode_bool(source: Source) -> bool:
    """A boolean.

    Raises:
        ProtocolError: Neither 0 nor 1.
    """
    value = decode_int(source)
    if value not in {0, 1}:
        raise ProtocolError(f"the Nix daemon sent {value} for a boolean", operation="decode")
    return value == 1


def decode_bytes(source: Source) -> bytes:
    """A string's bytes.

    Raises:
        ProtocolError: Longer than `MAX_TEXT`, or its padding is not zero.
    """
    size = decode_int(source)
    if size > MAX_TEXT:
        raise ProtocolError(
            f"the Nix daemon announced a string of {size} bytes", operation="decode"
        )
    padded = source(size + -size % 8)
    if padded[size:].strip(b"\0"):
        raise ProtocolError("the Nix daemon sent a string with bad padding", operation="decode")
    return padded[:size]


def decode_text(source: Source) -> str:
    """A string."""
    return decode_bytes(source).decode("utf-8", "surrogateescape")


def decode_count(source: Source) -> int:
    """The length of a list that follows.

    Raises:
        ProtocolError: More than `MAX_ITEMS`.
    """
    count = decode_int(source)
    if count > MAX_ITEMS:
        raise ProtocolError(f"the Nix daemon announced a list of {count}", operation="decode")
    return count


def decode_texts(source: Source) -> tuple[str, ...]:
    """A list of strings."""
    return tuple(decode_text(source) for _ in range(decode_count(source)))


def frames(chunks: Iterable[bytes], size: int) -> Iterator[list[bytes]]:
    """Framed data: each item is one frame as buffers to write, its length first; the last ends it.

    Chunks are gathered until a frame has `size` bytes and never copied or cut. Empty ones are left
    out, because an empty frame means the end.
    """
    frame: list[bytes] = [b""]
    held = 0
    for chunk in chunks:
        if not chunk:
            continue
        frame.append(chunk)
        held += len(chunk)
        if held >= size:
            frame[0] = encode_int(held)
            yield frame
            frame, held = [b""], 0
    if held:
        frame[0] = encode_int(held)
        yield frame
    yield [FRAME_END]
