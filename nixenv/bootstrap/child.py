"""The real kernel's process: it lives as long as this one, and hears every signal once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

from nixenv.bootstrap.start import Launch

FORWARDED = tuple(
    signal.Signals[name]
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2")
)
"""What Jupyter, a terminal or a user may send to a kernel."""

_EVIDENCE_LINES = 20
_CHUNK = 1 << 16
_OWN_ERRORS = 2


class Child:
    """A kernel's process in a session of its own, as Jupyter starts kernels.

    Its own group, because Jupyter signals ours as a whole: whatever comes to us is passed on, once.
    Its standard error passes through us, for the case that it has nothing but last words.
    """

    def __init__(self, launch: Launch) -> None:
        """Start it; from the main thread, whose end is what the system tells the child.

        Raises:
            OSError: The program cannot be run.
        """
        self._process = subprocess.Popen(
            launch.argv,
            # ipykernel ends when its parent does; where the system can tell it, that is faster.
            env={**launch.process_env, "JPY_PARENT_PID": str(os.getpid())},
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=launch.descriptors,
            start_new_session=True,
            preexec_fn=_bound_to(os.getpid()),  # noqa: PLW1509 - one prepared system call, no Python locks
        )
        self._evidence: deque[str] = deque(maxlen=_EVIDENCE_LINES)
        self._pump = threading.Thread(target=self._relay_errors, daemon=True)
        self._pump.start()

    @property
    def status(self) -> int | None:
        """Its exit status as `subprocess` counts; None while it runs."""
        return self._process.poll()

    @property
    def evidence(self) -> tuple[str, ...]:
        """The last lines of its standard error."""
        # After the end of the process everything has been written; a grandchild may keep the pipe open.
        self._pump.join(0.5)
        return tuple(self._evidence)

    def send(self, number: int) -> None:
        """Send a signal to its group, as Jupyter would; nothing happens when it has ended."""
        if self._process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    def wait(self, seconds: float | None = None) -> int:
        """Its exit status, when it has ended.

        Raises:
            subprocess.TimeoutExpired: It has not, after so many seconds.
        """
        return self._process.wait(seconds)

    def stop(self, grace: float = 1.0) -> None:
        """End it: in good order within `grace` seconds, else at once."""
        self.send(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(grace)
            return
        self.send(signal.SIGKILL)
        self._process.wait()

    def _relay_errors(self) -> None:
        assert self._process.stderr is not None  # noqa: S101 - it was asked for
        rest = b""
        with self._process.stderr as pipe:
            while chunk := os.read(pipe.fileno(), _CHUNK):
                # Whoever read our errors may have gone; the kernel's pipe must not fill up for that.
                with suppress(OSError):
                    _write_all(_OWN_ERRORS, chunk)
                *lines, rest = (rest + chunk).split(b"\n")
                self._evidence.extend(line.decode(errors="replace") for line in lines)
                rest = rest[-_CHUNK:]
        if rest:
            self._evidence.append(rest.decode(errors="replace"))


def _write_all(target: int, chunk: bytes) -> None:
    while chunk:
        chunk = chunk[os.write(target, chunk) :]


def _bound_to(parent: int) -> Callable[[], None] | None:
    """What the new process calls before it becomes the kernel: end when `parent` does, however it ends.

    Everything is looked up here, so that between `fork` and `exec` there is only the call itself.
    """
    if sys.platform != "linux":
        return None
    import ctypes  # noqa: PLC0415 - only where there is such a call

    prctl = ctypes.CDLL(None, use_errno=True).prctl
    option, number, getppid, leave = (
        1,
        int(signal.SIGKILL),
        os.getppid,
        os._exit,
    )  # PR_SET_PDEATHSIG

    def bind() -> None:
        prctl(option, number)
        # It may have ended in the meantime, and then nobody would tell.
        if getppid() != parent:
            leave(1)

    return bind


def end_as(status: int) -> NoReturn:
    """End this process as another has ended: with its exit status, or by its signal."""
    if status < 0:
        with suppress(OSError, ValueError):  # SIGKILL needs no handler, and may have none
            signal.signal(-status, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {-status})
        os.kill(os.getpid(), -status)
    # Not `sys.exit`: daemon threads may stand in C code, and there is nothing left to tidy up.
    os._exit(status if status >= 0 else 128 - status)
