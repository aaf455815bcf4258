"""Our sockets to the real kernel, and how we know that nothing sent to it or by it can be lost.

Order of a hand-over, each step for a way in which messages get lost without it:

1. iopub is subscribed to before anything is asked; a kernel publishes to those who are there already.
2. One `kernel_info_request` on shell, then on control, repeated until the reply *and* its `idle` on iopub
   have come: only that shows that the subscription has arrived over there. Shell first: ipykernel 6 loses
   what comes on control before its main loop runs.
3. stdin has no request to try; its handshake is watched instead. A kernel that asks for input drops the
   question when it does not know whom to send it to.
4. Code that was confirmed early runs, its output dropped. Then all that waits is sent, in order.
5. From then on frames pass unread, starting with those that have come to either side in the meantime.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterable
from contextlib import suppress

import zmq
from zmq.utils.monitor import parse_monitor_message

from nixenv.bootstrap.connection import Connection
from nixenv.bootstrap.front import Frames, Listener
from nixenv.bootstrap.messages import Message, MessageError, Signer, new_header

_PROBE_AGAIN = 0.5
"""Seconds without a whole answer until we ask once more; then twice as long, and so on."""

_LOOK_AGAIN = 0.01

_RECONNECT = 10
"""Milliseconds between two looks whether the kernel listens; ZeroMQ's 100 would be felt at each start."""

_SILENCED = frozenset(
    {"status", "execute_input", "stream", "display_data", "execute_result", "error"}
)
"""What nobody shall see of code that no user wrote; its comms are as good as anybody's."""

_ENDED = zmq.EVENT_DISCONNECTED | zmq.EVENT_MONITOR_STOPPED


class Backend:
    """Sockets to one real kernel.

    Attributes:
        sockets: By channel.
    """

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], connection: Connection) -> None:
        """Connect; nobody need listen yet."""
        self._signer: Signer = connection.signer
        # The kernel asks for input by the name that the code came under, on another socket.
        name = uuid.uuid4().hex.encode()
        self.sockets: dict[str, zmq.Socket[bytes]] = {}
        self._monitors: dict[str, zmq.Socket[bytes]] = {}
        for channel in ("iopub", "shell", "control", "stdin"):
            socket = context.socket(zmq.XSUB if channel == "iopub" else zmq.DEALER)
            socket.linger = 0
            socket.reconnect_ivl = _RECONNECT
            # What waits for the kernel is as much as it is; with a limit it would block, or be lost.
            socket.sndhwm = socket.rcvhwm = 0
            if channel != "iopub":
                socket.identity = name
            events = zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED
            self._monitors[channel] = socket.get_monitor_socket(events)
            socket.connect(connection.endpoint(channel))
            self.sockets[channel] = socket
        # For as long as this socket lives, whatever clients subscribe to and from.
        self.sockets["iopub"].send(b"\x01")

    def has_ended(self, channel: str, seconds: float) -> bool:
        """Whether the kernel has closed its end, waiting so long for it; all it sent is here by then."""
        monitor = self._monitors[channel]
        while monitor.poll(int(seconds * 1000)):
            if parse_monitor_message(monitor.recv_multipart())["event"] & _ENDED:
                return True
        return False

    def has_handshake(self, channel: str) -> bool:
        """Whether the kernel knows this socket by now; to be asked until it says yes."""
        monitor = self._monitors[channel]
        while monitor.poll(0):
            event = parse_monitor_message(monitor.recv_multipart())["event"]
            if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                return True
        return False

    def stop_watching(self) -> None:
        """Let go of what only this thread has; the sockets may be in the hands of others."""
        for monitor in self._monitors.values():
            monitor.close(linger=0)

    def close(self) -> None:
        """Let go of a kernel that has ended."""
        for socket in self.sockets.values():
            socket.disable_monitor()
            socket.close(linger=0)
        self.stop_watching()


class Rehearsal:
    """The talk with a kernel before anybody else talks with it; passes on what is not part of it."""

    def __init__(
        self, backend: Backend, signer: Signer, pass_on: Callable[[str, Frames], None]
    ) -> None:
        """Listen, in the running event loop.

        Args:
            backend: The sockets.
            signer: As the kernel's own.
            pass_on: Gets what the kernel says of itself, with its channel.
        """
        self._backend = backend
        self._signer = signer
        self._pass_on = pass_on
        self._news = asyncio.Event()
        self._own: set[str] = set()
        self._replied: set[str] = set()
        self._idle: set[str] = set()
        self._listeners = {
            channel: Listener(socket, self._receiver(channel))
            for channel, socket in backend.sockets.items()
            if channel != "stdin"
        }

    async def until_live(self) -> None:
        """Return when all four channels work in both directions."""
        for channel in ("shell", "control"):
            await self._probe(channel)
        while not self._backend.has_handshake("stdin"):  # noqa: ASYNC110 - a socket's doing
            await asyncio.sleep(_LOOK_AGAIN)

    async def _probe(self, channel: str) -> None:
        """Ask until an answer comes whole; earlier answers, if they come at all, have come by then."""
        patience = _PROBE_AGAIN
        while True:
            asked = {self._ask(channel, "kernel_info_request", {})}
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._until_ended(asked), patience)
                return
            patience *= 2

    async def run(self, codes: Iterable[str]) -> None:
        """Execute code, silently and without input; returns when all of it has ended."""
        asked = {
            self._ask(
                "shell",
                "execute_request",
                {
                    "code": code,
                    "silent": False,
                    "store_history": False,
                    "user_expressions": {},
                    "allow_stdin": False,
                    "stop_on_error": False,
                },
            )
            for code in codes
        }
        await self._until_ended(asked)

    def send(self, channel: str, frames: Frames) -> None:
        """Send a client's own message."""
        if channel in self._listeners:
            self._listeners[channel].send(frames)
        else:
            self._backend.sockets[channel].send_multipart(frames)

    def close(self) -> None:
        """What comes from now on stays in the sockets."""
        for listener in self._listeners.values():
            listener.close()

    def _ask(self, channel: str, kind: str, content: dict[str, object]) -> str:
        header = new_header(kind)
        number = str(header["msg_id"])
        self._own.add(number)
        self.send(
            channel, self._signer.build(kind, content, header=header, identities=(b"nixenv",))
        )
        return number

    async def _until_ended(self, asked: set[str]) -> None:
        while not asked <= self._replied & self._idle:
            self._news.clear()
            await self._news.wait()

    def _receiver(self, channel: str) -> Callable[[Frames], None]:
        def receive(frames: Frames) -> None:
            try:
                message = self._signer.parse(frames)
            except MessageError:
                self._pass_on(channel, frames)
                return
            self._note(channel, message)
            if not self._is_ours(channel, message):
                self._pass_on(channel, frames)

        return receive

    def _note(self, channel: str, message: Message) -> None:
        if message.parent_id not in self._own:
            return
        if channel != "iopub":
            self._replied.add(message.parent_id)
        elif message.kind == "status" and message.content.get("execution_state") == "idle":
            self._idle.add(message.parent_id)
        self._news.set()

    def _is_ours(self, channel: str, message: Message) -> bool:
        if channel != "iopub":
            return message.parent_id in self._own
        if not message.parent_id:
            # `starting` and the greeting of our own subscription: clients have had theirs from us.
            return message.kind in ("status", "iopub_welcome")
        return message.parent_id in self._own and message.kind in _SILENCED
