"""Between the first request and the real kernel: one event loop that joins all the parts.

Everything here happens in one thread, so there is no moment in which a request is neither kept nor sent:
from the last look at a socket to its hand-over, nothing else can run.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from nixenv.bootstrap.backend import Backend, Rehearsal
from nixenv.bootstrap.cellprogress import CellProgress
from nixenv.bootstrap.child import FORWARDED, Child
from nixenv.bootstrap.choosing import Choice, Chooser, forget, python_of
from nixenv.bootstrap.connection import Connection
from nixenv.bootstrap.front import Frames, Front
from nixenv.bootstrap.messages import MessageError
from nixenv.bootstrap.reception import (
    Action,
    CellAsked,
    InterruptAsked,
    PathTold,
    Publish,
    Reception,
    Reply,
    ShutdownAsked,
    fail_code,
)
from nixenv.bootstrap.relay import is_watching_parent
from nixenv.bootstrap.start import Wish
from nixenv.server.reason import Reason
from nixlib.errors import NixError
from nixlib.progress import Event

_LOOK_AT_CHILD = 0.05
_LOOK_AT_PARENT = 1.0
_LAST_REPLIES = 0.05


@dataclass(frozen=True, slots=True)
class Takeover:
    """A real kernel that has got everything, and the sockets to it."""

    choice: Choice
    child: Child
    backend: Backend


class KernelEndedError(Exception):
    """The real kernel has ended before it took over; carries what it left behind."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.text)
        self.reason = reason


class Desk:
    """Receives clients until a real kernel does."""

    def __init__(self, front: Front, private: Connection) -> None:
        """To be made in the running event loop.

        Args:
            front: Where clients are.
            private: Where the real kernel will be.
        """
        loop = asyncio.get_running_loop()
        self._front = front
        self._private = private
        self._reception = Reception()
        self.progress = CellProgress(self._write, loop.time, loop.call_later)
        self._subscriptions: list[Frames] = []
        self._chooser: Chooser | None = None
        self._child: Child | None = None
        self._is_starting_up = False
        self._end: asyncio.Future[int] = loop.create_future()

    def note_event(self, event: Event) -> None:
        """A build says something."""
        self.progress(event)

    def note_wish(self, wish: Wish) -> None:
        """The document is known."""
        self._reception.python = python_of(wish)

    async def run(self, chooser: Chooser) -> Takeover | int:
        """Serve until a real kernel has taken over; an exit status when this is the end instead.

        On return the signals that are to be forwarded are blocked, and what comes stays in the sockets.
        """
        self._chooser = chooser
        self._reception.acknowledges = chooser.is_waiting
        self._front.listen(self._receive)
        self._front.publish("status", {"execution_state": "starting"})
        self._catch_signals()
        parent = asyncio.ensure_future(self._watch_parent())
        work = asyncio.ensure_future(self._lead(chooser))
        try:
            either: set[asyncio.Future[Any]] = {work, self._end}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if work.done() and not self._end.done():
                return work.result()
            return await self._leave(work)
        finally:
            parent.cancel()
            self._front.stop_listening()
            self._release_signals()

    async def _leave(self, work: asyncio.Task[Takeover | int]) -> int:
        """Stop whatever is under way."""
        work.cancel()
        with suppress(asyncio.CancelledError):
            made = await work
            if isinstance(made, Takeover):
                made.child.stop()
                made.backend.close()
                forget(made.choice)
        await asyncio.sleep(_LAST_REPLIES)
        return self._end.result()

    async def _lead(self, chooser: Chooser) -> Takeover | int:
        choice = await chooser.choose()
        try:
            return await self._hand_over(choice)
        except KernelEndedError as error:
            if choice.reason is not None:
                return self._give_up(error.reason)
            choice = chooser.fall_back(error.reason)
        try:
            return await self._hand_over(choice)
        except KernelEndedError as error:
            return self._give_up(error.reason)

    async def _hand_over(self, choice: Choice) -> Takeover:
        """Start the kernel, and give it everything when it listens; see `backend` for the order.

        Raises:
            KernelEndedError: It does not run any more.
        """
        self.progress.say("starting the kernel")
        child = _start(choice)
        backend = Backend(self._front.context, self._private)
        rehearsal = Rehearsal(backend, self._front.signer, self._front.send)
        self._child = child
        try:
            await _while_alive(child, rehearsal.until_live())
            self._is_starting_up = True
            while codes := self._reception.take_early():
                await _while_alive(child, rehearsal.run(codes))
        except BaseException:
            rehearsal.close()
            child.stop()
            backend.close()
            forget(choice)
            raise
        finally:
            self._child, self._is_starting_up = None, False
        # No `await` from here on.
        self._clear_cell()
        for frames in self._subscriptions:
            rehearsal.send("iopub", frames)
        for channel, message in self._reception.take():
            rehearsal.send(channel, list(message.frames))
        rehearsal.close()
        self._front.stop_listening()
        return Takeover(choice, child, backend)

    def _give_up(self, reason: Reason) -> int:
        """Not even the fallback kernel runs: say it where somebody waits."""
        waiting = [one for _, one in self._reception.take() if one.kind == "execute_request"]
        self._clear_cell()
        self._act(fail_code(waiting, reason.kind, reason.text))
        return 1

    def _receive(self, channel: str, frames: Frames) -> None:
        if channel == "iopub":
            self._greet(frames)
            return
        try:
            request = self._front.signer.parse(frames)
        except MessageError:
            return  # as every kernel treats what its client did not sign
        self._act(self._reception.receive(channel, request))  # type: ignore[arg-type]

    def _greet(self, frames: Frames) -> None:
        """A client has subscribed to a topic, or from one."""
        self._subscriptions.append(frames)
        if frames[0][:1] == b"\x01":
            topic = frames[0][1:]
            content = {"subscription": topic.decode(errors="replace")}
            names = (topic,) if topic else ()
            welcome = self._front.signer.build("iopub_welcome", content, identities=names)
            self._front.send("iopub", welcome)

    def _act(self, actions: Iterable[Action]) -> None:
        for action in actions:
            if isinstance(action, Reply):
                self._reply(action)
            elif isinstance(action, Publish):
                self._front.publish(action.kind, action.content, action.parent)
            elif isinstance(action, PathTold):
                self._tell(action.candidates)
            elif isinstance(action, CellAsked):
                self._tell(())
                self.progress.open()
            elif isinstance(action, InterruptAsked):
                self._interrupt()
            elif isinstance(action, ShutdownAsked):
                self._finish(0)

    def _reply(self, reply: Reply) -> None:
        request = reply.request
        kind = f"{request.kind.removesuffix('_request')}_reply"
        identities = request.identities
        frames = self._front.signer.build(
            kind, reply.content, parent=request.header, identities=identities
        )
        self._front.send(reply.channel, frames)

    def _tell(self, candidates: tuple[str, ...]) -> None:
        if self._chooser is not None:
            self._chooser.tell(candidates)

    def _interrupt(self) -> None:
        """Stop the build; without one, give up the code that waits and keep the kernel that starts."""
        if self._chooser is not None and self._chooser.stop():
            self.progress.say("stopping the build")
        elif self._child is not None:
            self._clear_cell()
            self._act(self._reception.interrupt())
            if self._is_starting_up:
                self._child.send(signal.SIGINT)

    def _finish(self, status: int) -> None:
        if not self._end.done():
            self._end.set_result(status)

    def _write(self, text: str) -> None:
        if (cell := self._reception.cell) is not None:
            self._front.publish("stream", {"name": "stdout", "text": text}, cell)

    def _clear_cell(self) -> None:
        """Take the progress out of the cell; at once, because a cell without output would keep it."""
        self.progress.close()
        if self.progress.has_written and (cell := self._reception.cell) is not None:
            self._front.publish("clear_output", {"wait": False}, cell)

    def _catch_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in FORWARDED:
            if number == signal.SIGINT:
                loop.add_signal_handler(number, self._interrupt)
            else:
                loop.add_signal_handler(number, self._finish, -int(number))

    def _release_signals(self) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED)
        for number in FORWARDED:
            asyncio.get_running_loop().remove_signal_handler(number)

    async def _watch_parent(self) -> None:
        parent = os.getppid()
        while is_watching_parent():
            await asyncio.sleep(_LOOK_AT_PARENT)
            if os.getppid() != parent:
                self._finish(1)


def _start(choice: Choice) -> Child:
    try:
        return Child(choice.launch)
    except OSError as error:
        summary = f"the kernel cannot be started: {(error.strerror or str(error)).lower()}"
        told = NixError(summary, details=(f"`{choice.launch.argv[0]}`",), hint="`nixenv doctor`")
        raise KernelEndedError(Reason("KernelEndedError", told.render())) from error
    finally:
        # The child has its own share of the hold on the environment.
        for descriptor in choice.launch.descriptors:
            os.close(descriptor)


async def _while_alive(child: Child, awaitable: Awaitable[None]) -> None:
    """Wait for something that a kernel does.

    Raises:
        KernelEndedError: It has ended instead.
    """
    task = asyncio.ensure_future(awaitable)
    try:
        while not task.done():
            await asyncio.wait({task}, timeout=_LOOK_AT_CHILD)
            if not task.done() and (status := child.status) is not None:
                raise KernelEndedError(_post_mortem(child, status))
        task.result()
    finally:
        task.cancel()


def _post_mortem(child: Child, status: int) -> Reason:
    how = f"was killed by signal {-status}" if status < 0 else f"ended with exit status {status}"
    told = NixError(
        f"the kernel {how} before it could run anything",
        details=child.evidence,
        hint="`%nixenv list` shows what is in its environment",
    )
    return Reason("KernelEndedError", told.render())
