"""Reading a document from an event loop, which must not stand still however big the notebook is."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from nixenv.errors import MetadataError
from nixenv.notebook.metadata import Document, Stamp, read_document
from nixlib.errors import NixError

LARGE = 1 << 20
"""Bytes from which a process of its own reads the notebook: a thread would hold the interpreter's lock
for as long as the JSON scanner runs, 10 ms per megabyte and up."""

_PATIENCE = 1.0


async def read_document_async(path: Path, *, patience: float = _PATIENCE) -> Document:
    """`read_document`, without blocking the running event loop for more than a few milliseconds.

    Args:
        path: The document.
        patience: Seconds to wait for somebody who is writing it at this moment.

    Raises:
        MetadataError: As `read_document`.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + patience
    while True:
        try:
            if _size(path) > LARGE:
                return await _read_elsewhere(path)
            return read_document(path, patience=0)
        except MetadataError as error:
            if not error.fields.get("unfinished") or loop.time() >= deadline:
                raise
        await asyncio.sleep(0.05)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0  # read_document says what is wrong


async def _read_elsewhere(path: Path) -> Document:
    from asyncio.subprocess import DEVNULL, PIPE  # noqa: PLC0415 - only big notebooks pay for it

    from nixenv.server.launch import own_command  # noqa: PLC0415

    process = await asyncio.create_subprocess_exec(
        *own_command("from nixenv.notebook.reading import main; main()"),
        str(path),
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=DEVNULL,
    )
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    try:
        answer = json.loads(output)
    except ValueError:
        raise MetadataError(
            f"`{path.name}` cannot be read: it is too big for this machine's memory",
            notebook=str(path),
        ) from None
    if "error" in answer:
        raise MetadataError(**answer["error"], **answer["fields"])
    return Document(path, answer["metadata"], Stamp(**answer["stamp"]), answer["name"])


def _answer(path: Path) -> dict[str, Any]:
    try:
        document = read_document(path, patience=0)
    except NixError as error:
        told = {"summary": error.summary, "details": error.details, "hint": error.hint}
        return {"error": told, "fields": error.fields}
    stamp = {name: getattr(document.stamp, name) for name in Stamp.__slots__}
    return {"metadata": document.metadata, "stamp": stamp, "name": document.name}


def main() -> None:
    """The process that reads for somebody else: a path in, one JSON object out."""
    json.dump(_answer(Path(sys.argv[1])), sys.stdout)
