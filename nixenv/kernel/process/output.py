"""What a worker prints: text of Python's streams, and of whatever writes to the files 1 and 2."""

from __future__ import annotations

import contextlib
import io
import os
import select
import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    Say = Callable[[str, str], None]

LONGEST = 8192


class Stream(io.TextIOBase):
    """`sys.stdout` or `sys.stderr`: whole lines go to the kernel, and the rest when it is flushed.

    Args:
        name: `stdout` or `stderr`.
        file: Number of the file that libraries write to under that name.
        say: Sends text.
    """

    encoding = "utf-8"
    errors = "replace"

    def __init__(self, name: str, file: int, say: Say) -> None:
        self.name = name
        self._file = file
        self._say = say
        self._lock = threading.RLock()
        self._pending: list[str] = []
        self._length = 0

    def write(self, text: str) -> int:
        """Keep it, and send it once a line is whole."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        with self._lock:
            self._pending.append(text)
            self._length += len(text)
            if "\n" in text or "\r" in text or self._length > LONGEST:
                self.flush()
        return len(text)

    def flush(self) -> None:
        """Send what there is."""
        with self._lock:
            pending, self._pending, self._length = self._pending, [], 0
            if pending:
                self._say(self.name, "".join(pending))

    def writable(self) -> bool:
        """It is."""
        return True

    def fileno(self) -> int:
        """The file that a child process writes to."""
        return self._file

    @property
    def buffer(self) -> Any:
        """The same for bytes."""
        return _Bytes(self)


class _Bytes(io.RawIOBase):
    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        whole = bytes(data)
        self._stream.write(whole.decode("utf-8", "replace"))
        return len(whole)

    def flush(self) -> None:
        self._stream.flush()


class Pump:
    """Reads what anything writes to one of the files 1 and 2."""

    def __init__(self, file: int, name: str, say: Say) -> None:
        self._end, write = os.pipe()
        os.dup2(write, file)
        os.close(write)
        self._name = name
        self._say = say
        self._turn = threading.Lock()
        threading.Thread(target=self._run, name=f"nixenv-{name}", daemon=True).start()

    def _run(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                select.select([self._end], [], [])
                if not self.drain():
                    return

    def drain(self) -> bool:
        """Send what has been written so far; False at its end."""
        with self._turn:
            while select.select([self._end], [], [], 0)[0]:
                data = os.read(self._end, 65536)
                if not data:
                    return False
                self._say(self._name, data.decode("utf-8", "replace"))
        return True


class NoInput(io.TextIOBase):
    """`sys.stdin`: nobody is there to be asked."""

    def __init__(self, group: str) -> None:
        self._group = group

    def readable(self) -> bool:
        """It looks like a file that can be read."""
        return True

    def isatty(self) -> bool:
        """It is none."""
        return False

    def read(self, size: int | None = -1) -> str:
        """Refuse."""
        del size
        raise self._refusal()

    def readline(self, size: int | None = -1) -> str:  # type: ignore[override]
        """Refuse."""
        del size
        raise self._refusal()

    def __next__(self) -> str:  # type: ignore[override]
        raise self._refusal()

    def _refusal(self) -> RuntimeError:
        return RuntimeError(
            f"nothing can be read from standard input in the process of group `{self._group}`: ask with `input()` or"
            " `getpass()` in an ordinary cell and pass the answer"
        )
