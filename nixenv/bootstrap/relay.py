"""The real kernel has taken over: bytes pass in C, signals pass once, and its end is ours."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress
from types import FrameType

import zmq

from nixenv.bootstrap.backend import Backend
from nixenv.bootstrap.child import FORWARDED, Child
from nixenv.bootstrap.front import Front

_PARENT_INTERVAL = 1.0
"""Seconds between two looks whether whoever started us is still there, as in ipykernel."""

_LAST_WORDS = 1.0
"""Seconds that the kernel's closed sockets have for being noticed."""

_SETTLE = 0.05
"""Seconds for the last messages to get from one socket to the other, which takes microseconds."""


def relay(front: Front, backend: Backend, child: Child) -> int:
    """Pass everything on until the kernel ends; returns its exit status.

    Called with the forwarded signals blocked, in the main thread; unblocks them when they have handlers.
    """
    for channel, socket in front.sockets.items():
        pair = (socket, backend.sockets[channel])
        threading.Thread(target=_pass, args=pair, daemon=True).start()
    _forward_signals(child)
    status = _wait(child)
    _say_last_words(front, backend)
    return status


def _pass(front: zmq.Socket[bytes], back: zmq.Socket[bytes]) -> None:
    """Move messages both ways, without this interpreter, until the context ends."""
    with suppress(zmq.ContextTerminated):
        zmq.proxy(front, back)
    # What clients have not been sent yet leaves while the context waits for it.
    front.close()
    back.close(linger=0)


def _forward_signals(child: Child) -> None:
    def forward(number: int, frame: FrameType | None) -> None:
        del frame
        child.send(number)

    for number in FORWARDED:
        signal.signal(number, forward)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, FORWARDED)


def _wait(child: Child) -> int:
    """The kernel's exit status; a kernel whose client's process has gone is ended."""
    ended = threading.Event()
    statuses: list[int] = []

    def watch() -> None:
        statuses.append(child.wait())
        ended.set()

    threading.Thread(target=watch, daemon=True).start()
    parent = os.getppid()
    # Only a client that says so goes with its kernels; others leave them on purpose.
    interval = _PARENT_INTERVAL if is_watching_parent() else None
    while not ended.wait(interval):
        if os.getppid() != parent:
            child.stop()
    return statuses[0]


def is_watching_parent() -> bool:
    """Whether the process that started this one wants its kernels to end with it."""
    return os.environ.get("JPY_PARENT_PID", "") not in ("", "0", "1")


def _say_last_words(front: Front, backend: Backend) -> None:
    deadline = time.monotonic() + _LAST_WORDS
    for channel in ("iopub", "control", "shell"):
        backend.has_ended(channel, max(0.0, deadline - time.monotonic()))
    time.sleep(_SETTLE)
    backend.stop_watching()
    front.context.term()
