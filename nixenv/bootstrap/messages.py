"""Jupyter's messages as frames on a wire and as values (pure).

Not `jupyter_client.session`: its imports cost more than everything else before the first answer.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import cached_property
from typing import Any

DELIMITER = b"<IDS|MSG>"
PROTOCOL = "5.3"

_PARTS = 5
"""Signature, header, parent header, metadata, content; buffers may follow."""

JsonObject = Mapping[str, Any]


class MessageError(ValueError):
    """Frames that are no message, or one that nobody with the key has signed."""


@dataclass(frozen=True)
class Message:
    """One message as it came.

    Attributes:
        frames: Everything, so that it can be passed on byte for byte.
        identities: Who asked, for the way back.
        header: The message's own header.
        parent: The header of what it answers; empty for a request.
    """

    frames: Sequence[bytes]
    identities: Sequence[bytes]
    header: JsonObject
    parent: JsonObject

    @property
    def kind(self) -> str:
        """The message's type."""
        return str(self.header.get("msg_type", ""))

    @property
    def parent_id(self) -> str:
        """The id of what it answers; empty for none."""
        return str(self.parent.get("msg_id", ""))

    @cached_property
    def content(self) -> JsonObject:
        """The content; parsed only when asked for, because it may be large. No object counts as empty."""
        try:
            value = json.loads(self.frames[len(self.identities) + _PARTS])
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}


class Signer:
    """Signs and checks with the connection's key; an empty key signs nothing, as Jupyter has it."""

    def __init__(self, key: bytes, scheme: str = "hmac-sha256") -> None:
        self._key = key
        self._digest = getattr(hashlib, scheme.rpartition("-")[2])

    def sign(self, parts: Sequence[bytes]) -> bytes:
        """The signature of a message's four parts."""
        if not self._key:
            return b""
        made = hmac.new(self._key, digestmod=self._digest)
        for part in parts:
            made.update(part)
        return made.hexdigest().encode()

    def parse(self, frames: Sequence[bytes]) -> Message:
        """Frames as a message.

        Raises:
            MessageError: They are none, or the signature is not that of the key.
        """
        try:
            start = list(frames).index(DELIMITER) + 1
        except ValueError:
            raise MessageError("no delimiter") from None
        signature, *parts = frames[start : start + _PARTS]
        if len(parts) != _PARTS - 1:
            raise MessageError(f"{len(parts)} parts")
        if self._key and not hmac.compare_digest(signature, self.sign(parts)):
            raise MessageError("wrong signature")
        header, parent = (_object(part) for part in parts[:2])
        return Message(frames, tuple(frames[: start - 1]), header, parent)

    def build(
        self,
        kind: str,
        content: JsonObject,
        *,
        parent: JsonObject | None = None,
        identities: Sequence[bytes] = (),
        header: JsonObject | None = None,
    ) -> list[bytes]:
        """A new message as frames; `header` is that of `new_header` when the caller must know its id."""
        values: tuple[JsonObject, ...] = (header or new_header(kind), parent or {}, {}, content)
        parts = [json.dumps(value, ensure_ascii=False, default=str).encode() for value in values]
        return [*identities, DELIMITER, self.sign(parts), *parts]


_SESSION = uuid.uuid4().hex


def new_header(kind: str) -> dict[str, Any]:
    """The header of a message of this process."""
    return {
        "msg_id": uuid.uuid4().hex,
        "msg_type": kind,
        "session": _SESSION,
        "username": "nixenv",
        "date": datetime.now(timezone.utc).isoformat(),
        "version": PROTOCOL,
    }


def _object(part: bytes) -> JsonObject:
    try:
        value = json.loads(part)
    except ValueError:
        raise MessageError("not JSON") from None
    if not isinstance(value, dict):
        raise MessageError("not an object")
    return value
