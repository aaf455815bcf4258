"""Arrow's tables, batches and arrays as words: Arrow's own stream, written straight into shared memory."""

from __future__ import annotations

import importlib
import os
import pickle
import sys

from . import memory
from .vocabulary import maker, public_name
from .wire import MOST_DESCRIPTORS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

# Another one may follow, of the buffers beside them.
MOST_FILES = MOST_DESCRIPTORS - 1


def arrow() -> Any:
    """The pyarrow of this process, loaded if need be."""
    return importlib.import_module("pyarrow")


def reducer_of(kind: type) -> Callable[[Any, Any], Any] | None:
    """How values of one of Arrow's classes are taken apart; None for a class that cannot travel."""
    prefix, _ = public_name(kind)
    library = sys.modules.get(f"{prefix}pyarrow")
    if library is None:
        return None

    def table(value: Any, encoder: Any) -> Any:
        return _make_table, ("table", *_stream(library, value, encoder))

    def batch(value: Any, encoder: Any) -> Any:
        return _make_table, (
            "batch",
            *_stream(library, library.Table.from_batches([value]), encoder),
        )

    def column(value: Any, encoder: Any) -> Any:
        name = "chunks" if isinstance(value, library.ChunkedArray) else "array"
        whole = library.table({"": value})
        return _make_table, (name, *_stream(library, whole, encoder))

    def schema(value: Any, encoder: Any) -> Any:
        return _make_table, ("schema", *_stream(library, value.empty_table(), encoder))

    if kind is library.Table:
        return table
    if kind is library.RecordBatch:
        return batch
    if kind is library.Schema:
        return schema
    return column if issubclass(kind, (library.Array, library.ChunkedArray)) else None


def _stream(library: Any, table: Any, encoder: Any) -> tuple[Any, int]:
    """Which file of the message holds the stream, and its length; the stream itself after many of them."""
    if len(encoder.files) >= MOST_FILES:
        sink = library.BufferOutputStream()
        with library.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        whole = memoryview(sink.getvalue())
        return pickle.PickleBuffer(whole), whole.nbytes
    file = memory.anonymous()
    try:
        with os.fdopen(os.dup(file), "wb", buffering=0) as raw:
            with library.ipc.new_stream(raw, table.schema) as writer:
                writer.write_table(table)
            size = raw.tell()
        memory.seal(file)
    except BaseException:
        os.close(file)
        raise
    encoder.files.append(file)
    return len(encoder.files) - 1, size


@maker
def _make_table(decoder: Any, form: str, place: Any, size: int) -> Any:
    library = arrow()
    buffer = place
    if isinstance(place, int):
        (buffer,) = memory.attach(decoder.files[place], [(0, size)])
    table = library.ipc.open_stream(library.py_buffer(buffer)).read_all()
    if form == "schema":
        return table.schema
    if form == "batch":
        batches = table.to_batches()
        return batches[0] if batches else library.RecordBatch.from_pylist([], schema=table.schema)
    if form in ("chunks", "array"):
        chunks = table.column(0)
        return chunks if form == "chunks" else chunks.combine_chunks()
    return table
