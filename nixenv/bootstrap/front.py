"""The five sockets that clients connect to, before there is anybody behind them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import cast

import zmq

from nixenv.bootstrap.connection import PORTS, Connection, Port, write_ports
from nixenv.bootstrap.messages import JsonObject
from nixlib.errors import NixError

Frames = list[bytes]

_KINDS = {
    "shell": zmq.ROUTER,
    "control": zmq.ROUTER,
    "stdin": zmq.ROUTER,
    "iopub": zmq.XPUB,
    "hb": zmq.ROUTER,
}

_LINGER = 1000
"""Milliseconds that the last messages have for leaving the process, as in ipykernel."""


class Listener:
    """One socket in an event loop.

    ZeroMQ's descriptor tells that *something* has changed, once; so everything that is there is read
    when it does, and looked for again after every send, which may have swallowed the news.
    """

    def __init__(self, socket: zmq.Socket[bytes], receive: Callable[[Frames], None]) -> None:
        self.socket = socket
        self._receive = receive
        self._loop = asyncio.get_running_loop()
        self._is_open = True
        self._descriptor = cast("int", socket.getsockopt(zmq.FD))
        self._loop.add_reader(self._descriptor, self._drain)
        self._loop.call_soon(self._drain)

    def send(self, frames: Sequence[bytes]) -> None:
        """Send one message; never waits."""
        # Somebody who has gone, or does not read, must not stop the others.
        with suppress(zmq.Again):
            self.socket.send_multipart(frames, zmq.NOBLOCK)
        self._loop.call_soon(self._drain)

    def close(self) -> None:
        """Leave the socket to somebody else, with all that has not been read yet."""
        if self._is_open:
            self._is_open = False
            self._loop.remove_reader(self._descriptor)

    def _drain(self) -> None:
        while self._is_open and cast("int", self.socket.getsockopt(zmq.EVENTS)) & zmq.POLLIN:
            self._receive(self.socket.recv_multipart(zmq.NOBLOCK))


class Front:
    """Bound sockets, and a heart that beats.

    Attributes:
        context: Of every socket of this process.
        sockets: By channel; the heartbeat's is not among them, it has a thread of its own.
        signer: Of everything that is sent here.
    """

    def __init__(self, connection: Connection) -> None:
        """Bind all ports of `connection`.

        Raises:
            NixError: One of them is taken.
        """
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.signer = connection.signer
        bound = {port: self.context.socket(_KINDS[port]) for port in PORTS}
        try:
            for port, socket in bound.items():
                _bind(socket, connection, port)
        except NixError:
            for socket in bound.values():
                socket.close(linger=0)
            self.context.term()
            raise
        write_ports(
            connection, {port: _number(one, connection, port) for port, one in bound.items()}
        )
        heart = bound.pop("hb")
        threading.Thread(target=_beat, args=(heart,), daemon=True).start()
        self.sockets = bound
        self._listeners: dict[str, Listener] = {}

    def listen(self, receive: Callable[[str, Frames], None]) -> None:
        """Call `receive` with channel and frames of all that comes, in the running event loop."""
        for channel, socket in self.sockets.items():
            self._listeners[channel] = Listener(
                socket,
                lambda frames, channel=channel: receive(channel, frames),  # type: ignore[misc]
            )

    def stop_listening(self) -> None:
        """What comes from now on stays in the sockets."""
        for listener in self._listeners.values():
            listener.close()

    def send(self, channel: str, frames: Sequence[bytes]) -> None:
        """Send frames as they are."""
        self._listeners[channel].send(frames)

    def publish(self, kind: str, content: JsonObject, parent: JsonObject | None = None) -> None:
        """Tell everybody, under the topic that ipykernel would use."""
        topic = b"stream.stdout" if kind == "stream" else f"kernel.nixenv.{kind}".encode()
        self.send("iopub", self.signer.build(kind, content, parent=parent, identities=(topic,)))

    def close(self) -> None:
        """Send what is left, then let go of everything."""
        for socket in self.sockets.values():
            socket.close()
        self.context.term()


def _bind(socket: zmq.Socket[bytes], connection: Connection, port: Port) -> None:
    socket.linger = _LINGER
    if port == "iopub":
        # Every subscription is passed on, so that the real kernel greets each client (iopub_welcome).
        socket.setsockopt(zmq.XPUB_VERBOSE, 1)
    else:
        # As ipykernel: a client that lost its connection comes back under its name.
        socket.setsockopt(zmq.ROUTER_HANDOVER, 1)
    if connection.curve is not None:
        socket.curve_publickey, socket.curve_secretkey = connection.curve
        socket.curve_server = True
    try:
        socket.bind(connection.endpoint(port))
    except zmq.ZMQError as error:
        raise NixError(
            f"cannot listen at `{connection.endpoint(port)}`: {(error.strerror or '').lower()}",
            details=(f"`{connection.file}` wants it for `{port}`",),
            hint="restart the kernel",
        ) from error


def _number(socket: zmq.Socket[bytes], connection: Connection, port: Port) -> int:
    """The port that a socket has got."""
    asked = int(connection.values.get(f"{port}_port") or 0)
    if asked:
        return asked
    endpoint = cast("bytes", socket.getsockopt(zmq.LAST_ENDPOINT)).decode().rstrip("\0")
    return int(endpoint.rpartition(":")[2] or 0)


def _beat(heart: zmq.Socket[bytes]) -> None:
    """Echo, in C, until the context ends."""
    with suppress(zmq.ContextTerminated):
        zmq.proxy(heart, heart)
    heart.close()
