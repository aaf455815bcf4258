"""Values as bytes and back: pickle's machinery with a vocabulary of our own, in which no class can be named.

What is plain data travels by value. Of everything else a reference travels. A reader calls nothing but the
makers of `MAKERS`, whatever the bytes say.
"""

from __future__ import annotations

import io
import pickle
import types

from . import arrays, exceptions, frames, memory, namesakes, tables  # noqa: F401 - each brings words
from .vocabulary import MAKERS, REDUCERS, Maker, Unspeakable, reduce_large, reducer
from .wire import close

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .references import References


class Encoder(pickle.Pickler):
    """Writes one value; `references` says how the other side is told of what stays here."""

    def __init__(self, file: io.BytesIO, buffers: list[memoryview], references: References) -> None:
        def is_small(buffer: pickle.PickleBuffer) -> bool:
            raw = buffer.raw()
            if raw.nbytes < memory.SHARED_FROM:
                return True
            buffers.append(raw)
            return False

        super().__init__(file, 5, buffer_callback=is_small)
        self.references = references
        self.files: list[int] = []
        self.exceptions: set[int] = set()

    def reducer_override(self, value: Any) -> Any:
        """What makes `value` on the other side; pickle asks for all but the simplest types."""
        kind = type(value)
        if kind is Maker:
            return value.name
        reduce = reducer(kind)
        if reduce is not None:
            try:
                return reduce(value, self)
            except Unspeakable:
                pass
        return self.references.refer(value, self)


class Reading:
    """What the makers of one value are given.

    Attributes:
        references: Where what a reference means is looked up.
        files: The open files that came with the value.
    """

    __slots__ = ("files", "references")

    def __init__(self, references: References, files: tuple[int, ...]) -> None:
        self.references = references
        self.files = files


class Decoder(pickle.Unpickler):
    """Reads one value."""

    def __init__(self, file: io.BytesIO, buffers: list[memoryview], reading: Reading) -> None:
        super().__init__(file, buffers=buffers)
        # Not this reader itself: its memo would hold it, and everything read, until a garbage collection.
        self._reading = reading

    def find_class(self, module: str, name: str) -> Any:
        """The maker of that name, bound to what it is given first; there is nothing else to find."""
        del module
        maker = MAKERS.get(name)
        if maker is None:
            raise pickle.UnpicklingError(f"`{name}` is not of the vocabulary")
        return types.MethodType(maker, self._reading)


class Large:
    """Bytes that are an argument or a result of their own: they travel as a buffer."""

    __slots__ = ("value",)

    def __init__(self, value: bytes | bytearray) -> None:
        self.value = value


REDUCERS[Large] = reduce_large


def lifted(value: Any) -> Any:
    """`value`, or its wrapper if it is one long text of bytes, which pickle would copy into the message."""
    is_long = type(value) in (bytes, bytearray) and len(value) >= memory.SHARED_FROM
    return Large(value) if is_long else value


def encode(value: Any, references: References) -> tuple[bytes, tuple[int, ...]]:
    """The bytes of `value`, and the files that must travel with them."""
    buffers: list[memoryview] = []
    file = io.BytesIO()
    encoder = Encoder(file, buffers, references)
    try:
        encoder.dump(value)
        body = file.getvalue()
        if not buffers:
            return body + b"\0", tuple(encoder.files)
        shared, layout = memory.share(buffers)
    except BaseException:
        close(tuple(encoder.files))
        raise
    table = b"".join(number.to_bytes(8, "big") for place in layout for number in place)
    return (
        body + table + len(layout).to_bytes(4, "big") + b"\1",
        (*encoder.files, shared),
    )


def decode(payload: bytes | bytearray, files: tuple[int, ...], references: References) -> Any:
    """The value that `encode` wrote; the files are closed.

    Raises:
        pickle.UnpicklingError: It speaks of what is not of the vocabulary.
        ValueError: Its buffers are not what it says.
    """
    try:
        body, buffers = _parts(memoryview(payload), files)
        return Decoder(io.BytesIO(body), buffers, Reading(references, files)).load()
    finally:
        close(files)


def _parts(payload: memoryview, files: tuple[int, ...]) -> tuple[memoryview, list[memoryview]]:
    if not payload or (payload[-1] == 1 and not files):
        raise ValueError("a message without its end")
    if payload[-1] != 1:
        return payload[:-1], []
    end = len(payload) - 5 - 16 * int.from_bytes(payload[-5:-1], "big")
    if end < 0:
        raise ValueError("a message without its buffers")
    table = payload[end:-5]
    numbers = [int.from_bytes(table[at : at + 8], "big") for at in range(0, len(table), 8)]
    return payload[:end], memory.attach(files[-1], list(zip(numbers[::2], numbers[1::2])))
