"""Start a worker, and say why one ended."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import IO

WORKER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "worker.py")
LAST_LINES = 20
SECONDS_TO_END = 3.0
# A kernel's own, which mean something else or nothing in another environment.
_NOT_INHERITED = ("MPLBACKEND", "VIRTUAL_ENV", "CONDA_PREFIX", "JPY_PARENT_PID", "JPY_SESSION_NAME")


def python_of(environment: str) -> str:
    """The environment's Python."""
    return os.path.join(environment, "bin", "python")


def process_env(environment: str) -> dict[str, str]:
    """The worker's variables: the kernel's, without what is about its Python; its own programs first."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("PYTHON") and name not in _NOT_INHERITED
    }
    ours = os.path.join(sys.prefix, "bin")
    path = [part for part in kept.get("PATH", os.defpath).split(os.pathsep) if part != ours]
    kept["PATH"] = os.pathsep.join([os.path.join(environment, "bin"), *path])
    kept["MPLBACKEND"] = "agg"
    return kept


class Process:
    """One worker's process.

    Attributes:
        connection: Our end of the socket; the other is the worker's alone.
        pid: Its process, which leads a group of its own.
    """

    def __init__(self, group: str, environment: str) -> None:
        self.connection, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self._words: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the process
        cache = [f"-Xpycache_prefix={sys.pycache_prefix}"] if sys.pycache_prefix else []
        words = self._words.fileno()
        try:
            self._process = subprocess.Popen(
                [
                    python_of(environment),
                    "-I",
                    *cache,
                    WORKER,
                    str(theirs.fileno()),
                    str(words),
                    group,
                ],
                stdin=subprocess.DEVNULL,
                stdout=words,
                stderr=words,
                pass_fds=(theirs.fileno(), words),
                env=process_env(environment),
                start_new_session=True,
            )
        except OSError:
            self.connection.close()
            self._words.close()
            raise
        finally:
            theirs.close()
        self.pid = self._process.pid

    def signal(self, number: int) -> None:
        """Send a signal to the worker and all that it has started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    def end(self) -> None:
        """Wait until it has ended, which it was asked for; kill it when that takes long."""
        try:
            self._process.wait(SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            pass
        finally:  # Also after an interrupt.
            self.kill()

    def kill(self) -> None:
        """End it, and what it has started, at once."""
        self.signal(signal.SIGKILL)
        self._process.wait()

    def why(self) -> str:
        """How it ended, and what it said last; waits for its end."""
        try:
            code = self._process.wait(SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            self.kill()
            code = self._process.returncode
        self.signal(signal.SIGKILL)  # What it has started does not outlive it.
        self._words.seek(0)
        lines = self._words.read().decode("utf-8", "replace").splitlines()[-LAST_LINES:]
        self._words.close()
        return "\n".join([_ending(code), *(f"  {line}" for line in lines)])


def _ending(code: int) -> str:
    if code >= 0:
        return f"it exited with status {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    memory = ", as the system sends it when memory runs out" if name == "SIGKILL" else ""
    return f"it was ended by {name}{memory}"
