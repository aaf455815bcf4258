"""What a builder printed, on disk: enough to find out why it failed, never enough to fill the disk."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from nixlib.errors import BuildError, StoreError
from nixlib.workshop.enclosure import CANNOT_ENCLOSE, sandbox_error

if TYPE_CHECKING:
    from typing_extensions import Self

MAX_BYTES: Final = 50_000_000
_KEPT: Final = 20  # logs of failed builds


class BuildLog:
    """The log of one build; deleted again unless `explain` was asked for it.

    Not being able to write it is no error.

    Args:
        folder: Where logs are; made when the first line comes.
        name: What is being built.
        limit: Bytes that are kept, from the start.
    """

    def __init__(self, folder: Path, name: str, *, limit: int = MAX_BYTES) -> None:
        self._folder = folder
        self._name = name
        self._file: IO[bytes] | None = None
        self._path: Path | None = None
        self._left = limit
        self._is_kept = False
        self._write: Callable[[str], None] = self._begin

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._finish()
        if self._path is not None and not self._is_kept:
            self._path.unlink(missing_ok=True)

    def add(self, line: str) -> None:
        """Take one line."""
        try:
            self._write(line)
        except OSError:
            self._write = _drop

    def explain(self, error: BuildError) -> StoreError:
        """`error` with the path of the log, which is kept; or that nothing isolates builds here."""
        if error.fields.get("status") == CANNOT_ENCLOSE:
            return sandbox_error(error.fields["log_tail"], self._name)
        self._finish()
        if self._path is None:
            return error
        self._is_kept = True
        self._drop_old()
        where = f"the whole log: `{self._path}`"
        fields = {**error.fields, "log_file": str(self._path)}
        return BuildError(error.summary, details=(*error.details, where), hint=error.hint, **fields)

    def _begin(self, line: str) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        prefix = time.strftime(f"{self._name}-%Y%m%d-%H%M%S-")
        handle, name = tempfile.mkstemp(prefix=prefix, suffix=".log", dir=self._folder)
        self._file, self._path = os.fdopen(handle, "wb"), Path(name)
        self._write = self._append
        self._append(line)

    def _append(self, line: str) -> None:
        data = line.encode("utf-8", "backslashreplace") + b"\n"
        if self._file is None or len(data) > self._left:
            self._write = _drop
            data = b"(the rest was left out: the log is too long)\n"
        self._left -= len(data)
        if self._file is not None:
            self._file.write(data)

    def _finish(self) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):  # a full disk, when what is buffered is written
                self._file.close()
            self._file = None
        self._write = _drop

    def _drop_old(self) -> None:
        with contextlib.suppress(OSError):
            logs = sorted(self._folder.glob("*.log"), key=lambda path: path.stat().st_mtime_ns)
            for path in logs[:-_KEPT]:
                path.unlink(missing_ok=True)


def _drop(line: str) -> None:
    del line
