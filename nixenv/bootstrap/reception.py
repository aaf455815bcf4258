"""What happens to each request that comes before the real kernel: answered, or kept in order (pure).

Requests come in, what is to be sent comes out; sockets, processes and time are somebody else's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from nixenv.bootstrap.answers import EXECUTED, answer
from nixenv.bootstrap.messages import JsonObject, Message
from nixenv.bootstrap.vscode import told_paths

Channel = Literal["shell", "control", "stdin"]


@dataclass(frozen=True, slots=True)
class Reply:
    """To the one who asked, on the channel where it was asked."""

    channel: Channel
    request: Message
    content: JsonObject


@dataclass(frozen=True, slots=True)
class Publish:
    """To everybody, on iopub; `parent` is the header of the request that it is about."""

    kind: str
    content: JsonObject
    parent: JsonObject


@dataclass(frozen=True, slots=True)
class PathTold:
    """A client has said where the notebook is; the candidates, best first."""

    candidates: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CellAsked:
    """A user wants code to run."""

    header: JsonObject


@dataclass(frozen=True, slots=True)
class InterruptAsked:
    """Somebody wants it to stop."""


@dataclass(frozen=True, slots=True)
class ShutdownAsked:
    """Somebody wants the kernel to end."""


Action = Reply | Publish | PathTold | CellAsked | InterruptAsked | ShutdownAsked


@dataclass
class Reception:
    """The requests so far.

    Attributes:
        acknowledges: Code that no user wrote (a client's own, when it starts) is confirmed at once and run
            later. VS Code waits for the end of such code before it says the path or sends a cell.
        python: The environment's version, for `kernel_info_reply`; empty while it is unknown.
        held: What waits for the real kernel, in order, with its channel.
        early: Code that was confirmed, in order.
    """

    acknowledges: bool = False
    python: str = ""
    held: list[tuple[Channel, Message]] = field(default_factory=list)
    early: list[str] = field(default_factory=list)

    @property
    def cell(self) -> JsonObject | None:
        """The header of the first cell of a user that waits; None for none."""
        return next((one.header for _, one in self.held if _is_cell(one)), None)

    def receive(self, channel: Channel, request: Message) -> Iterator[Action]:
        """What `request` makes necessary."""
        if request.kind == "execute_request" and channel == "shell":
            yield from self._receive_code(request)
        elif request.kind in ("interrupt_request", "shutdown_request"):
            yield from self._receive_order(channel, request)
        elif (content := answer(request.kind, request.content, self.python)) is not None:
            yield from self._answered(channel, request, content)
        else:
            self.held.append((channel, request))

    def _receive_code(self, request: Message) -> Iterator[Action]:
        is_cell = _is_cell(request)
        # What comes after a cell stays after it.
        if self.acknowledges and not is_cell and self.cell is None and not _wants_values(request):
            self.early.append(str(request.content.get("code", "")))
            yield from self._answered("shell", request, EXECUTED)
        else:
            if is_cell and self.cell is None:
                yield Publish("status", {"execution_state": "busy"}, request.header)
            self.held.append(("shell", request))
        if paths := told_paths(str(request.content.get("code", ""))):
            yield PathTold(paths)
        if is_cell:
            yield CellAsked(request.header)

    def _receive_order(self, channel: Channel, request: Message) -> Iterator[Action]:
        content: dict[str, Any] = {"status": "ok"}
        if request.kind == "interrupt_request":
            yield from self._answered(channel, request, content)
            yield InterruptAsked()
        else:
            content["restart"] = bool(request.content.get("restart"))
            yield from self._answered(channel, request, content)
            yield Publish("shutdown_reply", content, request.header)
            yield ShutdownAsked()

    def _answered(
        self, channel: Channel, request: Message, content: JsonObject
    ) -> Iterator[Action]:
        yield Publish("status", {"execution_state": "busy"}, request.header)
        yield Reply(channel, request, content)
        yield Publish("status", {"execution_state": "idle"}, request.header)
        if (cell := self.cell) is not None:
            # The last word about a kernel with a waiting cell is that it is busy.
            yield Publish("status", {"execution_state": "busy"}, cell)

    def interrupt(self) -> Iterator[Action]:
        """Give up the code that waits, as an interrupt does in a kernel: one error, the rest aborted."""
        waiting = [one for _, one in self.held if one.kind == "execute_request"]
        self.held = [(where, one) for where, one in self.held if one.kind != "execute_request"]
        yield from fail_code(waiting, "KeyboardInterrupt", "")

    def take_early(self) -> list[str]:
        """The code that was confirmed and has not run yet; from now on it counts as run."""
        codes, self.early = self.early, []
        return codes

    def take(self) -> list[tuple[Channel, Message]]:
        """What waits; from now on nothing does."""
        held, self.held = self.held, []
        return held


def fail_code(waiting: Sequence[Message], name: str, value: str) -> Iterator[Action]:
    """Answers to execute requests that will never run: the first one failed, so the rest is aborted."""
    error = {"ename": name, "evalue": value, "traceback": f"{name}: {value}".splitlines()}
    for number, request in enumerate(waiting):
        if number:
            content: dict[str, Any] = {"status": "aborted", "execution_count": 0}
        else:
            content = {"status": "error", "execution_count": 0, **error}
            yield Publish("error", error, request.header)
        yield Reply("shell", request, content)
        yield Publish("status", {"execution_state": "idle"}, request.header)


def _is_cell(request: Message) -> bool:
    """Whether a user wants to see what this gives: what is silent or unrecorded is a client's own."""
    content = request.content
    return (
        request.kind == "execute_request"
        and not content.get("silent", False)
        and bool(content.get("store_history", True))
    )


def _wants_values(request: Message) -> bool:
    return bool(request.content.get("user_expressions"))
