"""Failures as people and programs see them: a type, one sentence, evidence, a way out, an exit code."""

from __future__ import annotations

import errno
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nixenv import errors as jupyter
from nixenv.notebook.formatting import printable
from nixlib import errors as engine

_EXIT_CODES: tuple[tuple[type[engine.NixError], int], ...] = (
    (engine.RealisationCancelledError, 130),
    (engine.ResolutionError, 3),
    (engine.PrivateGroupError, 3),
    (engine.PlanError, 3),
    (engine.InterpreterError, 3),
    (engine.WheelError, 3),
    (engine.HashMismatchError, 5),
    (engine.NetworkError, 5),
    (engine.SourceBuildError, 3),
    (engine.StoreError, 4),
    (jupyter.EngineError, 4),
)
"""The first class that fits; what is left (spec, lock, metadata, collisions, usage) is the user's to mend."""

_USER_CODE = 2
_DISK_CODE = 4

_DISK_HINTS = {
    errno.ENOSPC: "make room on that disk, for example with `nixenv gc` and `nix-collect-garbage`",
    errno.EDQUOT: "make room in your quota, for example with `nixenv gc`",
    errno.EROFS: "`nixenv doctor` says which folders nixenv writes to",
    errno.EACCES: "`nixenv doctor` says which folders nixenv writes to",
}


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a command could not do what it was asked.

    Attributes:
        type: The name of the error's class.
        message: Its first line.
        details: The evidence.
        hint: The way out.
        notebook: The document that it is about.
        key: The place in it.
        exit_code: Of the command.
        offer: The private group that ends a contradiction: `group`, `mode`, `package` and its `line`.
    """

    type: str
    message: str
    details: tuple[str, ...] = ()
    hint: str = ""
    notebook: str = ""
    key: str = ""
    exit_code: int = 1
    offer: Mapping[str, str] | None = None

    def to_json(self) -> dict[str, Any]:
        """The object under `error` on standard output."""
        return {
            "type": self.type,
            "message": engine.NixError(self.message, details=self.details).render(),
            "hint": self.hint,
            "notebook": self.notebook,
            "key": self.key,
            **({"offer": dict(self.offer)} if self.offer else {}),
        }

    def render(self) -> str:
        """As text for a terminal: the sentence, indented evidence, the way out."""
        hint = _as_command(self.hint, self.notebook)
        return engine.NixError(self.message, details=self.details, hint=hint).render()


def failure_of(error: engine.NixError | OSError) -> Failure:
    """An error that was raised on purpose, or one of the operating system's, as a failure."""
    if isinstance(error, OSError):
        return _disk_failure(error)
    return Failure(
        type=type(error).__name__,
        message=printable(error.summary),
        details=tuple(printable(line) for detail in error.details for line in detail.splitlines()),
        hint=printable(error.hint),
        notebook=str(error.fields.get("notebook") or ""),
        key=str(error.fields.get("key") or ""),
        offer=error.fields.get("offer"),
        exit_code=next((code for kind, code in _EXIT_CODES if isinstance(error, kind)), _USER_CODE),
    )


def _as_command(hint: str, notebook: str) -> str:
    """A hint as it is typed in a terminal; the engine's say what is typed in a cell."""
    document = f'"{notebook}"' if notebook else "NOTEBOOK"
    return re.sub(r"%nixenv ([a-z]+)", lambda verb: f"nixenv {verb[1]} {document}", hint)


def _disk_failure(error: OSError) -> Failure:
    about = f" `{error.filename}`" if error.filename else " a file"
    reason = (error.strerror or str(error)).lower()
    return Failure(
        type=type(error).__name__,
        message=f"cannot use{about}: {reason}",
        hint=_DISK_HINTS.get(error.errno or 0, ""),
        exit_code=_DISK_CODE,
    )


def bug_failure(error: Exception, report: Path | None) -> Failure:
    """Something that nobody foresaw: a bug of ours, said so."""
    kept = (f"details are in `{report}`",) if report else ()
    return Failure(
        type="Bug",
        message=f"this is a bug in nixenv, not a mistake of yours: {type(error).__name__}: {error}",
        details=kept,
        exit_code=1,
    )
