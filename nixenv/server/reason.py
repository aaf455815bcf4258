"""Why a kernel could not start, on its way from the provisioner to the fallback kernel."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from nixenv.errors import EngineError
from nixlib.errors import NixError


@dataclass(frozen=True, slots=True)
class Reason:
    """The name of an error's class, and its whole message."""

    kind: str
    text: str

    def save(self) -> Path:
        """Write it into a new file that only this user can read."""
        descriptor, name = tempfile.mkstemp(prefix="nixenv-", suffix=".error")
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(asdict(self), file)
        return Path(name)


def load_reason(path: Path) -> Reason:
    """The inverse of `save`.

    Raises:
        OSError: The file is gone.
    """
    return Reason(**json.loads(path.read_text(encoding="utf-8")))


def reason_of(error: Exception) -> Reason:
    """What to tell the user about `error`; one that nobody raised on purpose is a bug, and says so."""
    if isinstance(error, EngineError):
        return Reason(str(error.fields.get("type") or "EngineError"), error.render())
    if isinstance(error, NixError):
        return Reason(type(error).__name__, error.render())
    if isinstance(error, OSError):
        where = f" `{error.filename}`" if error.filename else ""
        summary = f"cannot use{where}: {(error.strerror or str(error)).lower()}"
        return Reason(type(error).__name__, NixError(summary, hint="`nixenv doctor`").render())
    summary = f"this is a bug in nixenv, not a mistake of yours: {type(error).__name__}: {error}"
    return Reason(
        "Bug", NixError(summary, details=("the server's log has its traceback",)).render()
    )
