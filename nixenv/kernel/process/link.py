"""Calls in both directions over one socket, from as many threads of each side as there are.

Each thread that calls has a conversation, and a thread of the other side that serves it; what that one calls
back, the first one serves while it waits. So a callback runs in the thread that it belongs to, and threads do
not wait for each other. Nobody but two threads of this module touches the socket: an interrupt of a caller
never leaves half a message.
"""

from __future__ import annotations

import collections
import contextlib
import itertools
import os
import queue
import threading
import weakref

from . import encoding, wire
from .operations import OPERATIONS
from .wire import CALL, CLOSE, END, FAILURE, HELLO, OUTPUT, RELEASE, REPLY, Message

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from .references import References

MAIN = 0
_PAUSE = 0.02
_links: weakref.WeakSet[Link] = weakref.WeakSet()


class EndedError(RuntimeError):
    """The process at the other end is gone."""


class Conversation:
    """One thread's exchange with a thread of the other side."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.inbox: collections.deque[Message] = collections.deque()
        self.waiting = 0
        self._news = threading.Lock()
        self._news.acquire()

    def put(self, message: Message) -> None:
        """Add a message, from the thread that receives."""
        self.inbox.append(message)
        self.wake()

    def wake(self) -> None:
        """Let who waits look again."""
        with contextlib.suppress(RuntimeError):  # It was told before and has not looked yet.
            self._news.release()

    def wait(self) -> None:
        """Until there is something to look at; an interrupt loses nothing."""
        self._news.acquire()


class _Ending:
    """Ends a conversation with the thread whose local data it is."""

    def __init__(self, end: Callable[[], None]) -> None:
        self._end = end

    def __del__(self) -> None:
        self._end()


class Link:
    """One end of the connection.

    Attributes:
        owner: What holds the objects at the other end, as messages call it: "group `legacy`".
        references: What each side holds of the other.
        ended: Why there is no other side any more; None as long as there is one.
    """

    def __init__(
        self,
        connection: wire.Wire,
        references: References,
        owner: str,
        *,
        first: int,
        guard: Any,
        on_output: Callable[[Any], None] | None = None,
        on_end: Callable[[str], BaseException] | None = None,
    ) -> None:
        self.owner = owner
        self.references = references
        references.link = self
        self.ended: BaseException | None = None
        self.greeting: Any = None
        self.operations = dict(OPERATIONS)
        self._wire = connection
        self._guard = guard
        self._on_output = on_output
        self._on_end = on_end
        self._numbers = itertools.count(1)
        self._names = itertools.count(first, 2)
        self._local = threading.local()
        self._conversations: dict[int, Conversation] = {MAIN: Conversation(MAIN)}
        self._main_thread = threading.main_thread()
        self._outgoing: queue.SimpleQueue[Any] = references.released
        self._order = itertools.count(1)
        self._unread: dict[int, None] = {}
        self._dropped: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.greeted = threading.Event()
        _links.add(self)
        work_and_names = (
            (self._send, "send"),
            (self._receive, "receive"),
            (self._drop, "drop"),
        )
        for work, name in work_and_names:
            threading.Thread(target=work, name=f"nixenv-{name}", daemon=True).start()

    # --- calls --------------------------------------------------------------------------------------------

    def call(self, name: str, *arguments: Any) -> Any:
        """Have the other side do something, and wait for what it gives.

        Raises:
            EndedError: The other side is gone, or goes while this waits.
            BaseException: Whatever it raised there.
        """
        __tracebackhide__ = True
        failure = None
        conversation = self._conversation()
        number = next(self._numbers)
        lifted = [encoding.lifted(one) for one in arguments]
        if name == "call" and lifted[1]:
            lifted[1] = tuple(encoding.lifted(one) for one in lifted[1])
        payload, files = encoding.encode((name, lifted), self.references)
        with self._guard.waiting() as waited:
            self._outgoing.put(Message(CALL, conversation.number, number, payload, files))
            answer = self._until(conversation, number)
        value = self._decoded(answer)
        if answer.kind == REPLY:
            if waited.is_interrupted:  # It came when the other side was done.
                raise KeyboardInterrupt
            return value
        failure = value
        if not isinstance(failure, BaseException):
            failure = EndedError("the other side raised what is no exception")
        try:
            raise failure
        finally:
            del failure, value

    def _conversation(self) -> Conversation:
        if threading.current_thread() is self._main_thread:
            return self._conversations[MAIN]
        found: Conversation | None = getattr(self._local, "conversation", None)
        if found is None:
            number = next(self._names)
            found = self._local.conversation = self._conversations[number] = Conversation(number)
            self._local.ending = _Ending(lambda: self._outgoing.put(("end", number)))
        return found

    def _decoded(self, message: Message) -> Any:
        try:
            return encoding.decode(message.payload, message.descriptors, self.references)
        finally:
            self._unread.pop(message.order, None)

    def _discard(self, message: Message) -> None:
        wire.close(message.descriptors)
        self._unread.pop(message.order, None)

    def _until(self, conversation: Conversation, number: int | None) -> Message:
        """Serve what the other side asks in this conversation until the reply to `number` is there.

        Raises:
            EndedError: There is no other side any more.
        """
        __tracebackhide__ = True
        conversation.waiting += 1
        try:
            while True:
                while not conversation.inbox:
                    if self.ended is not None:
                        raise self.ended_again()
                    conversation.wait()
                message = conversation.inbox.popleft()
                if message.kind == CALL:
                    self._serve(conversation, message)
                elif message.kind == OUTPUT:
                    self._show(message)
                elif message.number == number or (message.kind == END and number is None):
                    return message
                else:
                    self._discard(message)  # Nobody waits for it any more.
        finally:
            conversation.waiting -= 1

    def ended_again(self) -> BaseException:
        """Why there is no other side, to be raised once more."""
        ended = self.ended
        return type(ended)(*ended.args) if ended is not None else EndedError("it has ended")

    def serve(self, conversation: Conversation | None = None) -> None:
        """Do what the other side asks on this thread until there is no other side."""
        conversation = conversation or self._conversations[MAIN]
        self._local.conversation = conversation
        try:
            self._until(conversation, None)
        except EndedError:
            return

    def _serve(self, conversation: Conversation, message: Message) -> None:
        kind = REPLY
        result: Any = None
        try:
            with self._guard.working():
                name, arguments = self._decoded(message)
                result = encoding.lifted(self.operations[name](self, *arguments))
        except BaseException as error:  # noqa: BLE001 - the other side raises it
            kind, result = FAILURE, error
        try:
            payload, files = encoding.encode(result, self.references)
        except Exception as error:  # noqa: BLE001 - it has no form; the other side learns why
            kind = FAILURE
            payload, files = encoding.encode(error, self.references)
        self._guard.before_reply()
        # Before `result` goes: what it stands for must not be released ahead of the reply that names it.
        self._outgoing.put(Message(kind, conversation.number, message.number, payload, files))

    # --- the rest -----------------------------------------------------------------------------------------

    def tell(self, kind: int, value: Any, conversation: int | None = None) -> None:
        """Send what needs no answer; of the conversation that this thread has, if any."""
        if conversation is None:
            mine = getattr(self._local, "conversation", None)
            conversation = mine.number if mine is not None else -1
        payload, files = encoding.encode(value, self.references)
        self._outgoing.put(Message(kind, conversation, 0, payload, files))

    def close(self) -> None:
        """Ask the other side to end."""
        self._outgoing.put(Message(CLOSE))

    def disown(self) -> None:
        """In a forked child: this link is the parent's, whose worker must see it end with the parent."""
        self.ended = EndedError(
            f"this is in the process of {self.owner}, which belongs to the process that forked this one"
        )
        self._wire.drop()

    def _send(self) -> None:
        while True:
            item = self._outgoing.get()
            if isinstance(item, Message):
                message = item
            elif item[0] == "release":
                _, key, entry = item
                self.references.forget(key, entry)
                message = Message(RELEASE, key, entry.count)
            elif item[0] == "end":
                self._conversations.pop(item[1], None)
                message = Message(END, item[1])
            else:
                return
            try:
                self._wire.send(message)
            except (OSError, ValueError):
                continue  # The receiving thread notices, too, and says so.

    def _receive(self) -> None:
        reason: BaseException | None = None
        try:
            while True:
                message = self._wire.receive()
                if message is None or message.kind == CLOSE:
                    break
                self._dispatch(message)
        except Exception as error:  # noqa: BLE001 - whatever the other side sends, who waits must be told
            self._wire.close()
            what = f"the process of {self.owner} said what is no message: {error!r}"
            reason = self._on_end(what) if self._on_end is not None else EndedError(what)
        if reason is None:
            reason = self._on_end("") if self._on_end is not None else EndedError("it has ended")
        self.ended = reason
        self.greeted.set()
        self._outgoing.put(("stop",))
        self._dropped.put(None)
        for conversation in list(self._conversations.values()):
            conversation.wake()

    def _drop(self) -> None:
        """Let go of objects; on a thread of its own, for their last words may call the other side.

        Not before everything has been read that came earlier: it may speak of them.
        """
        waiting: collections.deque[Any] = collections.deque()
        while True:
            with contextlib.suppress(queue.Empty):
                item = self._dropped.get(timeout=_PAUSE if waiting else None)
                if item is None:
                    return
                waiting.append(item)
            oldest = min(tuple(self._unread), default=None)
            while waiting and (oldest is None or waiting[0][0] < oldest):
                _, key, count = waiting.popleft()
                self.references.release(key, count)

    def _dispatch(self, message: Message) -> None:
        number = message.conversation
        message.order = next(self._order)
        if message.kind in (CALL, REPLY, FAILURE, OUTPUT):
            self._unread[message.order] = None
        if message.kind == RELEASE:
            self._dropped.put((message.order, number, message.number))
        elif message.kind == HELLO:
            self.greeting = self._decoded(message)
            self.references.other = frozenset(self.greeting["has"])
            self.greeted.set()
        elif message.kind == END:
            ended = self._conversations.pop(number, None)
            if ended is not None:
                ended.put(Message(END))
        elif message.kind == OUTPUT:
            self._take_output(message)
        else:
            conversation = self._conversations.get(number)
            if conversation is None and message.kind == CALL:
                conversation = self._conversations[number] = Conversation(number)
                threading.Thread(
                    target=self.serve, args=(conversation,), name="nixenv-serve", daemon=True
                ).start()
            if conversation is None:
                self._discard(message)
            else:
                conversation.put(message)

    def _take_output(self, message: Message) -> None:
        """Have it shown by the thread whose call it is from, which knows the cell; else by this one."""
        own = self._conversations.get(message.conversation)
        candidates = [own] if own is not None else []
        candidates += [self._conversations[MAIN], *list(self._conversations.values())]
        for conversation in candidates:
            if conversation.waiting:
                conversation.put(message)
                return
        # Nobody waits for it: who shows it must not stop what comes next.
        with contextlib.suppress(OSError, ValueError):
            self._show(message)

    def _show(self, message: Message) -> None:
        value = self._decoded(message)
        if self._on_output is not None:
            self._on_output(value)


def _disown_all() -> None:
    for link in list(_links):
        link.disown()


os.register_at_fork(after_in_child=_disown_all)
