"""Why a kernel could not start, on its way from the provisioner to the fallback kernel."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from nixenv.errors import EngineError
from nixenv.kernel.mail import write_letter
from nixlib.errors import NixError


@dataclass(frozen=True, slots=True)
class Reason:
    """The name of an error's class, and its whole message."""

    kind: str
    text: str

    def save(self) -> Path:
        """Write it into a new file that only this user can read.

        It stays while this process lives, if nobody deletes it before.
        """
        return Path(write_letter("reason.json", json.dumps(asdict(self))))


def load_reason(path: Path) -> Reason:
    """The inverse of `save`.

    Raises:
        OSError: The file is gone.
    """
    return Reason(**json.loads(path.read_text(encoding="utf-8")))


def reason_of(error: BaseException) -> Reason:
    """What to tell the user about `error`; one that nobody raised on purpose is a bug, and says so."""
    kind, told = explained(error)
    return Reason(kind, told.render())


def explained(error: BaseException) -> tuple[str, NixError]:
    """The name of what went wrong, and an error that says it to the user."""
    if isinstance(error, EngineError):
        return str(error.fields.get("type") or "EngineError"), error
    if isinstance(error, NixError):
        return type(error).__name__, error
    if isinstance(error, OSError):
        where = f" `{error.filename}`" if error.filename else ""
        summary = f"cannot use{where}: {(error.strerror or str(error)).lower()}"
        return type(error).__name__, NixError(summary, hint="`nixenv doctor`")
    summary = f"this is a bug in nixenv, not a mistake of yours: {type(error).__name__}: {error}"
    return "Bug", NixError(summary, details=("the server's log has its traceback",))
