"""The line to a daemon: a socket, or the pipes of a `nix-daemon --stdio` of our own.

Nothing here knows the protocol. Both ends may talk at once: while we write, whatever the daemon says
is taken in, so neither side can wait for the other for ever.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_READ_SIZE = 64 * 1024
# POSIX promises 16, Linux and macOS take 1024 buffers in one writev.
_MAX_BUFFERS = 1024
# Fewer switches between us and the daemon: 1 MiB is what Linux lets any user ask for.
_PIPE_SIZE = 1024 * 1024
_F_SETPIPE_SZ = 1031
_EXIT_SECONDS = 5.0
_TICK = 0.1  # seconds between looks at whoever may interrupt a wait


class ChannelClosedError(Exception):
    """The other end is gone."""


class ChannelTimeoutError(Exception):
    """Nothing moved on the line for too long."""


class Channel:
    """Two file descriptors, one to read and one to write, used by one thread at a time.

    Args:
        read_fd: Read end; made non-blocking.
        write_fd: Write end, which may be the same.
        where: What this leads to, for messages.
        timeout: Seconds without any byte moving after which the line counts as dead.
        close: Lets go of the descriptors and whatever is behind them.
        log: What the other end has printed besides, so far.
    """

    def __init__(
        self,
        read_fd: int,
        write_fd: int,
        *,
        where: str,
        timeout: float,
        close: Callable[[], None],
        log: Callable[[], str] = str,
    ) -> None:
        self._read_fd = read_fd
        self._write_fd = write_fd
        self._buffer = bytearray()
        self._close = close
        self.where = where
        self.timeout = timeout
        self.log = log
        self.interrupt: Callable[[], None] | None = None
        """Called while waiting, ten times a second; what it raises ends the wait."""
        os.set_blocking(read_fd, False)
        os.set_blocking(write_fd, False)

    def send(self, buffers: list[bytes]) -> None:
        """Write all of `buffers`, uncopied, in as few system calls as they take.

        Raises:
            ChannelClosedError: The other end no longer reads.
            ChannelTimeoutError: It has not read for too long.
        """
        first, offset = 0, 0
        while first < len(buffers):
            batch: list[bytes | memoryview] = [*buffers[first : first + _MAX_BUFFERS]]
            if offset:
                batch[0] = memoryview(batch[0])[offset:]
            try:
                sent = os.writev(self._write_fd, batch) + offset
            except BlockingIOError:
                self._wait(write=True)
                continue
            except OSError as error:
                raise ChannelClosedError(str(error)) from error
            while first < len(buffers) and sent >= len(buffers[first]):
                sent -= len(buffers[first])
                first += 1
            offset = sent

    def read(self, size: int) -> bytes:
        """Exactly `size` bytes.

        Raises:
            ChannelClosedError: The other end closed the line before it had sent them.
            ChannelTimeoutError: It has not written for too long.
        """
        while len(self._buffer) < size:
            if not self._pull():
                self._wait(write=False)
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    def _pull(self) -> bool:
        try:
            data = os.read(self._read_fd, _READ_SIZE)
        except BlockingIOError:
            return False
        except OSError as error:
            raise ChannelClosedError(str(error)) from error
        if not data:
            raise ChannelClosedError("end of file")
        self._buffer += data
        return True

    def _wait(self, *, write: bool) -> None:
        poll = select.poll()
        poll.register(self._read_fd, select.POLLIN)
        if write:
            # The same descriptor is registered once only: the later mask holds.
            both = select.POLLIN if self._read_fd == self._write_fd else 0
            poll.register(self._write_fd, select.POLLOUT | both)
        ready = self._poll(poll)
        if not ready:
            raise ChannelTimeoutError
        if write and any(fd == self._read_fd and mask & ~select.POLLOUT for fd, mask in ready):
            self._pull()

    def _poll(self, poll: select.poll) -> list[tuple[int, int]]:
        if self.interrupt is None:
            return poll.poll(self.timeout * 1000)
        deadline = time.monotonic() + self.timeout
        while not (ready := poll.poll(_TICK * 1000)) and time.monotonic() < deadline:
            self.interrupt()
        return ready

    def is_quiet(self) -> bool:
        """Whether the line is open and nothing that nobody asked for has come over it."""
        poll = select.poll()
        poll.register(self._read_fd, select.POLLIN)
        return not self._buffer and not poll.poll(0)

    def close(self) -> None:
        """Hang up; a daemon process of our own is waited for. Twice does nothing more."""
        close, self._close = self._close, _nothing
        close()


def _nothing() -> None:
    return


def connect_socket(path: str, timeout: float) -> Channel:
    """A line to the daemon that listens at `path`.

    Raises:
        OSError: Nobody listens there, or this user may not connect.
    """
    line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    line.settimeout(min(timeout, 10.0))
    try:
        _connect(line, path)
    except BaseException:
        line.close()
        raise
    return Channel(
        line.fileno(), line.fileno(), where=f"socket `{path}`", timeout=timeout, close=line.close
    )


def _connect(line: socket.socket, path: str) -> None:
    try:
        line.connect(path)
    except OSError as error:
        # A socket's name holds some 107 bytes; a path relative to a directory handle is always short.
        if "too long" not in str(error) or not sys.platform.startswith("linux"):
            raise
        folder = os.open(os.path.dirname(path), os.O_PATH | os.O_DIRECTORY)  # noqa: PTH120
        try:
            line.connect(f"/proc/self/fd/{folder}/{os.path.basename(path)}")  # noqa: PTH119
        finally:
            os.close(folder)


def start_process(argv: list[str], env: Mapping[str, str], timeout: float) -> Channel:
    """A line to a daemon that we start ourselves and that ends with the line.

    It is in a session of its own: a Ctrl-C on our terminal must reach us, who can say what was
    cancelled, and not kill the store under our hands. When we die, its input ends and it stops.

    Raises:
        FileNotFoundError: The program does not exist.
    """
    log = tempfile.TemporaryFile()  # noqa: SIM115  # closed with the channel
    try:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=dict(env),
            start_new_session=True,
            bufsize=0,
        )
    except BaseException:
        log.close()
        raise
    assert process.stdin is not None  # noqa: S101
    assert process.stdout is not None  # noqa: S101
    _widen(process.stdin.fileno())

    def read_log() -> str:
        # The daemon's last words come after it closed its end of the line.
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(1.0)
        return os.pread(log.fileno(), 64 * 1024, 0).decode("utf-8", "replace")

    def close() -> None:
        _end(process)
        log.close()

    return Channel(
        process.stdout.fileno(),
        process.stdin.fileno(),
        where=f"`{' '.join(argv)}`",
        timeout=timeout,
        close=close,
        log=read_log,
    )


def _widen(fd: int) -> None:
    if sys.platform.startswith("linux"):
        import fcntl  # noqa: PLC0415

        # Refused when a user's pipes hold too much already; the default size works as well, slower.
        with contextlib.suppress(OSError):
            fcntl.fcntl(fd, _F_SETPIPE_SZ, _PIPE_SIZE)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Close both pipes, so that the daemon ends by itself, and reap it; force it when it does not."""
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
    for number in (signal.SIGTERM, signal.SIGKILL):
        # A poll of our own: Popen.wait with a timeout begins at 0.5 ms and doubles up to 50.
        if _exited(process, _EXIT_SECONDS):
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)
    process.wait()


def _exited(process: subprocess.Popen[bytes], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while process.poll() is None:
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.001)
    return True
