"""What an interrupt does: in the kernel it goes to the worker, in the worker it stops the code that was called.

Machinery is never interrupted: while a thread waits, or writes a message, SIGINT is only noted or passed on.
"""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Iterator

PATIENCE = 3


class Calm:
    """A wait or a piece of work that has nothing to do with interrupts."""

    is_interrupted = False

    def __enter__(self) -> Calm:  # noqa: PYI034 - Python 3.8 has no `Self`
        return self

    def __exit__(self, *_: object) -> None:
        pass


_CALM = Calm()


class _Forwarding(Calm):
    """While the kernel's main thread waits."""

    def __init__(self, guard: KernelGuard) -> None:
        self._guard = guard
        self._count = 0

    @property
    def is_interrupted(self) -> bool:  # type: ignore[override]
        """Whether there was an interrupt meanwhile."""
        return self._count > 0

    def __enter__(self) -> _Forwarding:  # noqa: PYI034 - Python 3.8 has no `Self`
        self._guard.stack.append(self)
        signal.signal(signal.SIGINT, self.forward)
        return self

    def forward(self, *_: object) -> None:
        self._count += 1
        self._guard.interrupt(self._count)

    def __exit__(self, *_: object) -> None:
        self._guard.stack.pop()
        signal.signal(signal.SIGINT, signal.default_int_handler)


class _Restored(Calm):
    """While the kernel's main thread runs what the worker called."""

    def __init__(self, outer: _Forwarding) -> None:
        self._outer = outer

    def __enter__(self) -> _Restored:  # noqa: PYI034 - Python 3.8 has no `Self`
        signal.signal(signal.SIGINT, signal.default_int_handler)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._outer.forward)


class KernelGuard:
    """The kernel's side.

    Args:
        interrupt: Called with how often the user has interrupted one call: the worker must be told.
    """

    def __init__(self, interrupt: Callable[[int], None]) -> None:
        self.interrupt = interrupt
        self.stack: list[_Forwarding] = []

    def waiting(self) -> Calm:
        """What surrounds a wait. Who has a handler of their own keeps it."""
        is_ours = (
            threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        )
        return _Forwarding(self) if is_ours else _CALM

    def working(self) -> Calm:
        """What surrounds a call that the worker makes."""
        is_ours = self.stack and threading.current_thread() is threading.main_thread()
        return _Restored(self.stack[-1]) if is_ours else _CALM

    def before_reply(self) -> None:
        """Nothing: what is printed here is in the cell."""


class _Code(Calm):
    """Code of the user's, or the wait in the middle of it: `is_code` says which."""

    def __init__(self, guard: WorkerGuard, *, is_code: bool) -> None:
        self._guard = guard
        self._is_code = is_code
        self._outer = False

    def __enter__(self) -> _Code:  # noqa: PYI034 - Python 3.8 has no `Self`
        self._outer = self._guard.is_code
        if self._is_code and not self._outer:
            self._guard.is_pending = False
        self._guard.is_code = self._is_code
        return self

    def __exit__(self, *_: object) -> None:
        self._guard.is_code = self._outer
        if self._outer and self._guard.is_pending:
            self._guard.is_pending = False
            raise KeyboardInterrupt


class WorkerGuard:
    """The worker's side; made in its main thread.

    Args:
        flush: Called before each reply: what was printed must be there first.
    """

    def __init__(self, flush: Callable[[], None]) -> None:
        self.is_code = False
        self.is_pending = False
        self._flush = flush
        self._main = threading.main_thread()
        signal.signal(signal.SIGINT, self._on_interrupt)

    def _on_interrupt(self, *_: Any) -> None:
        if self.is_code:
            raise KeyboardInterrupt
        self.is_pending = True

    def waiting(self) -> Calm:
        """What surrounds a call that the worker makes."""
        return _Code(self, is_code=False) if self._is_main() else _CALM

    def working(self) -> Calm:
        """What surrounds the code that was called."""
        return _Code(self, is_code=True) if self._is_main() else _CALM

    def _is_main(self) -> bool:
        return threading.current_thread() is self._main

    def before_reply(self) -> None:
        """Send what was printed."""
        self._flush()


@contextmanager
def interruptible() -> Iterator[None]:
    """Let an interrupt reach what waits here, also in a cell with `await`: ipykernel would keep it for later."""
    before = signal.getsignal(signal.SIGINT)
    is_kept = str(getattr(before, "__module__", "")).partition(".")[0] == "ipykernel"
    if not is_kept or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
