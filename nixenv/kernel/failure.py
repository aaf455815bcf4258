"""What went wrong, as a cell's error output: the message that a user can act on, and no traceback."""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Mapping


class KernelSideError(Exception):
    """Something could not be done for the user, for a reason that the message gives.

    `KernelSideError("LockError", …)` makes an exception whose class is called `LockError`: front ends
    show an error's class name, and the engine's classes cannot be imported here.

    Args:
        kind: Name of the error's class in the engine, or one of ours.
        message: First line what and which thing; evidence in indented lines below.
        hint: One command or line that is sure to help; may be empty.
    """

    def __new__(cls, kind: str, message: str, *, hint: str = "") -> KernelSideError:  # noqa: ARG004, PYI034
        """An exception of a class that is named after `kind`."""
        named = (
            type(kind, (KernelSideError,), {"__module__": __name__}) if kind.isidentifier() else cls
        )
        return Exception.__new__(named, kind, message)

    def __init__(self, kind: str, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.hint = hint

    def render(self) -> str:
        """The message with its hint, as the engine's own errors render."""
        return self.message + ("\n\nhint: " + self.hint if self.hint else "")

    def __str__(self) -> str:
        return self.render()

    def _render_traceback_(self) -> list[str]:
        # IPython's hook: the lines that stand where a traceback would.
        return f"{self.kind}: {self.render()}".splitlines()


def engine_failure(error: Mapping[str, Any]) -> KernelSideError:
    """The `error` object of an engine's answer as an exception.

    The requirement at fault, the notebook and the key are evidence of their own where the message does
    not name them.
    """
    message = str(error.get("message") or "the engine failed without saying why")
    hint = _as_magic(str(error.get("hint") or ""))
    notebook, key, requirement = (
        str(error.get(name) or "") for name in ("notebook", "key", "requirement")
    )
    place = [f"requirement `{requirement}`"] if requirement not in message else []
    place += [f"notebook `{notebook}`"] if notebook and _is_news(notebook, message) else []
    place += [f"key `{key}`"] if key and key not in message else []
    if place:
        message += "\n  " + ", ".join(place)
    return KernelSideError(str(error.get("type") or "EngineError"), message, hint=hint)


def _as_magic(hint: str) -> str:
    """A command line's hint as one for a cell, where the notebook need not be named."""
    if "%nixenv" in hint:
        return hint
    verbs = "add|remove|list|tree|status|lock|sync"
    hint = hint.replace("`nixenv init ", "`nixenv add ")  # A cell's notebook is there already.
    return re.sub(rf"`nixenv ({verbs})\b(?: \"[^\"`]*\"| [^ `]*\.ipynb)?", r"`%nixenv \1", hint)


def _is_news(notebook: str, message: str) -> bool:
    return notebook.replace("\\", "/").rsplit("/", 1)[-1] not in message
