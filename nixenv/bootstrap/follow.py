"""A server that builds for us: JSON lines over the socket that this process inherited from it.

The server says first what it builds (`{"wish": …}`), then its engine's events, at last `{"ready": true}` or
`{"error": {"kind": …, "text": …}}`. We may say `{"cancel": true}`. `nixenv.server.waiting` is the other end.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nixenv.bootstrap.start import Wish
from nixenv.notebook.reading import read_document_async
from nixenv.server.launch import Target
from nixenv.server.reason import Reason
from nixlib.progress import EventSink, from_json

_LINE_LIMIT = 1 << 22


class ServerGoneError(Exception):
    """The server's end was closed before it said how the build ended."""


class Following:
    """One build that a server makes for this kernel."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, descriptor: int) -> Following:
        """Follow over an inherited socket.

        Raises:
            OSError: It is none.
        """
        end = socket.socket(fileno=descriptor)
        end.set_inheritable(False)
        return cls(*await asyncio.open_unix_connection(sock=end, limit=_LINE_LIMIT))

    async def wish(self) -> Wish:
        """What is being built.

        Raises:
            ServerGoneError: The server has gone.
            MetadataError: The document cannot be read.
        """
        return await read_wish((await self._read())["wish"])

    async def outcome(self, on_event: EventSink) -> Reason | None:
        """Wait for the end of the build: None when the environment is there, else why it is not.

        Raises:
            ServerGoneError: The server has gone.
        """
        while True:
            said = await self._read()
            if said.get("ready"):
                return None
            if error := said.get("error"):
                return Reason(str(error["kind"]), str(error["text"]))
            try:
                on_event(from_json(dict(said)))
            except (KeyError, TypeError):
                continue  # of a newer server

    def cancel(self) -> None:
        """Say that nobody waits any more."""
        self._writer.write(b'{"cancel": true}\n')

    def close(self) -> None:
        """Leave."""
        self._writer.close()

    async def _read(self) -> Mapping[str, Any]:
        try:
            line = await self._reader.readline()
            value = json.loads(line)
        except (OSError, ValueError) as error:
            raise ServerGoneError from error
        if not isinstance(value, dict):
            raise ServerGoneError
        return value


def wish_json(document: Path, target: Target, user: Path | None) -> dict[str, Any]:
    """A wish as the server says it."""
    return {
        "document": str(document),
        "target": None if target.document is None else str(target.document),
        "name": target.name,
        "writer": target.writer,
        "mailbox": None if target.mailbox is None else str(target.mailbox),
        "user": None if user is None else str(user),
    }


async def read_wish(value: Mapping[str, Any]) -> Wish:
    """The inverse of `wish_json`, with the document as it is now.

    Raises:
        MetadataError: The document cannot be read.
    """
    target, mailbox, user = (
        Path(value[name]) if value[name] else None for name in ("target", "mailbox", "user")
    )
    return Wish(
        await read_document_async(Path(value["document"])),
        Target(target, name=value["name"], writer=value["writer"], mailbox=mailbox),
        user,
    )
