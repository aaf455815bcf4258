"""Run a program of others for Nix: pass its output on in measure, and let it outlive nobody.

Run by Nix as a builder (Python 3.8 and later, no packages); the arguments are the program and its own.
Nix holds a line in memory until it ends, and keeps every log whole. So lines are cut into pieces, of a
long log only the start and the end are passed on, and what Nix would read as an order of its own
(`@nix …`) is made harmless. When Nix goes away, so does the program.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import subprocess
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

START_BYTES = 40_000_000  # of the log, passed on as it comes
START_LINES = 200_000  # of which each costs everybody on the way more than its bytes do
END_BYTES = 64_000  # of what follows, passed on when the program has ended
LINE_BYTES = 8_000
SIGN_OF_LIFE = 256_000_000  # bytes left out after which that is said, for whoever waits for a line
_DEATH_SIGNAL = 1  # prctl(2), PR_SET_PDEATHSIG
_LOST = 70


class Log:
    """What the program prints, on its way."""

    def __init__(self) -> None:
        self._line = b""
        self._bytes = START_BYTES
        self._lines = START_LINES
        self._end = b""
        self._left_out = 0
        self._said = 0

    def take(self, data: bytes) -> None:
        """Pass on what came, as far as its lines have ended."""
        if self._bytes > 0 and self._lines > 0:
            *lines, self._line = pieces(self._line + data)
            self._bytes -= len(data)
            self._lines -= len(lines)
            write_all(b"".join(lines))
            return
        self._left_out += len(data)
        self._end = (self._end + data)[-END_BYTES:]
        if self._left_out - self._said > SIGN_OF_LIFE:
            self._said = self._left_out
            write_all(b"(%d MB of log left out so far)\n" % (self._left_out // 1_000_000))

    def finish(self) -> None:
        """Pass on the end."""
        hidden = self._left_out - len(self._end)
        if hidden > 0:
            write_all(b"\n(%d bytes of log left out)\n" % hidden)
        write_all(b"".join(pieces(self._line + self._end)))


def pieces(data: bytes) -> list[bytes]:
    """The lines of `data`, none long, none that Nix obeys; the last has no end of line."""
    found = []
    # Nix begins a line anew at a carriage return, too.
    *lines, rest = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    for line in lines:
        found += [piece + b"\n" for piece in cut(line)]
    *long, rest = cut(rest)
    return [*found, *(piece + b"\n" for piece in long), rest]


def cut(line: bytes) -> list[bytes]:
    """One line, in pieces of bearable length."""
    if line.startswith(b"@nix "):
        line = b" " + line
    starts = range(0, len(line), LINE_BYTES) or (0,)
    return [line[start : start + LINE_BYTES] for start in starts]


def write_all(data: bytes) -> None:
    """Write all of it to Nix."""
    while data:
        data = data[os.write(1, data) :]


def die_with_parent() -> None:
    """Ask the kernel to end this process when the one that started it ends."""
    ctypes.CDLL(None).prctl(_DEATH_SIGNAL, ctypes.c_ulong(signal.SIGKILL), 0, 0, 0)


def main() -> NoReturn:
    """Run the program; its exit status is ours."""
    program = subprocess.Popen(
        sys.argv[1:],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        bufsize=0,
        preexec_fn=die_with_parent,  # noqa: PLW1509 - there are no threads here
    )
    assert program.stdout is not None  # noqa: S101
    output = program.stdout.fileno()
    log = Log()
    watch = select.poll()
    watch.register(output, select.POLLIN)
    watch.register(1, 0)  # errors and hang-ups only
    while True:
        if any(descriptor == 1 for descriptor, _ in watch.poll()):
            os._exit(_LOST)
        data = os.read(output, 1 << 16)
        if not data:
            break
        log.take(data)
    log.finish()
    status = program.wait()
    sys.exit(status if status >= 0 else 128 - status)


if __name__ == "__main__":
    main()
