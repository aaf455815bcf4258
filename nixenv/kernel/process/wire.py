"""Messages on a stream socket between two processes of one machine, with file descriptors beside them."""

from __future__ import annotations

import array
import contextlib
import os
import socket
import struct
from dataclasses import dataclass

HEAD = struct.Struct("!BBqQQ")
MOST_DESCRIPTORS = 64
LONGEST = 1 << 36
ANNOUNCED = 1 << 20

CALL, REPLY, FAILURE, OUTPUT, RELEASE, END, HELLO, CLOSE = range(8)


class WireError(Exception):
    """The other side said what is no message."""


@dataclass
class Message:
    """One message.

    Attributes:
        kind: `CALL`, `REPLY`, …
        conversation: Which thread of which side it is from or for.
        number: The call's, which its reply repeats.
        payload: What `encoding` reads.
        descriptors: Open files that travel with it; sending closes them, receiving opens new ones.
        order: Which one it is of those that were received.
    """

    kind: int
    conversation: int = 0
    number: int = 0
    payload: bytes | bytearray = b""
    descriptors: tuple[int, ...] = ()
    order: int = 0


class Wire:
    """One end of the socket; one thread sends, another receives."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end

    def send(self, message: Message) -> None:
        """Send all of a message, and close its descriptors.

        Raises:
            OSError: The other side is gone.
        """
        count = len(message.descriptors)
        head = HEAD.pack(
            message.kind, count, message.conversation, message.number, len(message.payload)
        )
        beside = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", message.descriptors))]
        try:
            sent = self._end.sendmsg([head, message.payload], beside if count else [])
            if sent < len(head):
                self._end.sendall(head[sent:])
                sent = len(head)
            if sent - len(head) < len(message.payload):
                self._end.sendall(memoryview(message.payload)[sent - len(head) :])
        finally:
            close(message.descriptors)

    def receive(self) -> Message | None:
        """The next message; None when the other side is gone.

        Raises:
            WireError: What came is none.
        """
        descriptors = array.array("i")
        head = b""
        space = socket.CMSG_SPACE(MOST_DESCRIPTORS * descriptors.itemsize)
        while len(head) < HEAD.size:
            try:
                part, beside, _, _ = self._end.recvmsg(HEAD.size - len(head), space)
            except OSError:
                return None
            for level, kind, data in beside:
                if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                    whole = len(data) - len(data) % descriptors.itemsize
                    descriptors.frombytes(data[:whole])
            if not part:
                return None
            head += part
        for descriptor in descriptors:
            os.set_inheritable(descriptor, False)  # noqa: FBT003 - the library's
        kind, count, conversation, number, size = HEAD.unpack(head)
        if count != len(descriptors) or size > LONGEST:
            close(tuple(descriptors))
            raise WireError(f"{len(descriptors)} files instead of {count}, {size} bytes")
        payload = self._exactly(size)
        if payload is None:
            close(tuple(descriptors))
            return None
        return Message(kind, conversation, number, payload, tuple(descriptors))

    def _exactly(self, size: int) -> bytearray | None:
        payload = bytearray()
        while len(payload) < size:
            # As much again as there is: what was announced takes no memory before it comes.
            start = len(payload)
            payload += bytes(min(size - start, max(start, ANNOUNCED)))
            with memoryview(payload) as whole:
                if not self._fill(whole[start:]):
                    return None
        return payload

    def _fill(self, rest: memoryview) -> bool:
        while rest:
            try:
                got = self._end.recv_into(rest)
            except OSError:
                got = 0
            if not got:
                return False
            rest = rest[got:]
        return True

    def drop(self) -> None:
        """Close the file; who else has it keeps the connection."""
        self._end.close()

    def close(self) -> None:
        """End the connection; the other side, and a thread that waits here, notice."""
        with contextlib.suppress(OSError):  # It may be at its end.
            self._end.shutdown(socket.SHUT_RDWR)
        self._end.close()


def close(descriptors: tuple[int, ...]) -> None:
    """Close the files of a message."""
    for descriptor in descriptors:
        os.close(descriptor)
