"""What this kernel knows about itself: its document, its engine, and whether the environment is ours.

The engine lives in another installation and is only ever started as a process. It is told which
document to work on; the variables that the kernel was started with are its context.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, replace

from . import launched
from .failure import KernelSideError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Mapping


@dataclass(frozen=True)
class Session:
    """One kernel's document and engine; a value, made anew for every magic.

    Attributes:
        document: Absolute path that the engine reads and writes: a notebook, a `nixenv.toml`, or a
            mailbox (`.json`) whose content somebody else puts into the notebook. Empty while it is not
            known yet.
        engine: The engine's argument vector, to which a verb is appended.
        variables: `NIXENV_*` variables for the engine's process.
        owns_environment: This process runs in an environment that nixenv made, and may be extended.
        name: The notebook's file name where `document` is not the notebook.
    """

    document: str
    engine: tuple[str, ...]
    variables: Mapping[str, str]
    owns_environment: bool
    name: str = ""

    @property
    def notebook_name(self) -> str:
        """The notebook's file name, as messages show it: on one line, whatever it is."""
        path = self.name or self.variables.get("NIXENV_NOTEBOOK") or self.document
        return "".join(
            character if character.isprintable() else character.encode("unicode_escape").decode()
            for character in os.path.basename(path)
        )

    def on(self, document: str) -> Session:
        """The same session with another document."""
        return replace(self, document=document)


def current_session(shell: Any, page_name: str = "") -> Session:
    """The session of this process.

    Args:
        shell: A shell, for what VS Code and ipykernel put into its namespace.
        page_name: File name of the notebook whose page brings the document; else it must be found.

    Raises:
        KernelSideError: No notebook is known, or the engine's variable is not a JSON array.
    """
    variables = start_variables()
    return Session(
        "" if page_name else _document(variables, getattr(shell, "user_ns", {})),
        _engine(variables),
        variables,
        owns_environment=launched.variables() is not None,
        name=page_name,
    )


def start_variables() -> Mapping[str, str]:
    """The `NIXENV_*` variables that this kernel was started with."""
    found = launched.variables()
    if found is not None:
        return found
    return {name: value for name, value in os.environ.items() if name.startswith("NIXENV_")}


def _engine(variables: Mapping[str, str]) -> tuple[str, ...]:
    text = variables.get("NIXENV_ENGINE")
    if not text:
        return (sys.executable, "-m", "nixenv")
    import json  # noqa: PLC0415 - not needed by kernels that never ask

    try:
        argv = json.loads(text)
    except ValueError:
        argv = None
    if not isinstance(argv, list) or not argv or not all(isinstance(part, str) for part in argv):
        raise KernelSideError(
            "SettingError",
            f"`NIXENV_ENGINE` is not a JSON array of strings\n  `{text}`",
            hint="restart the kernel without setting it",
        )
    return tuple(argv)


def _document(variables: Mapping[str, str], user_ns: Mapping[str, Any]) -> str:
    """The document, from the launcher, else from what Jupyter and VS Code say about the notebook.

    Sources: `__vsc_ipynb_file__` is set by VS Code in the user's namespace; `__session__` by ipykernel
    from the connection file's `jupyter_session`; `JPY_SESSION_NAME` by jupyter_server since 2.0.7. The
    last two may name a folder, a file on another machine or a console: only a notebook that exists counts.
    """
    for name in ("NIXENV_DOCUMENT", "NIXENV_NOTEBOOK"):
        if variables.get(name):
            return os.path.abspath(variables[name])
    said = (
        user_ns.get("__vsc_ipynb_file__"),
        user_ns.get("__session__"),
        os.environ.get("JPY_SESSION_NAME"),
    )
    for path in said:
        if isinstance(path, str) and path.endswith(".ipynb") and os.path.isfile(path):
            return os.path.abspath(path)
    tried = ", ".join(f"`{path}`" for path in said if path)
    raise KernelSideError(
        "NotebookNotFoundError",
        "nothing says which notebook this kernel belongs to"
        + (f"\n  tried {tried}" if tried else ""),
        hint="start Jupyter with `NIXENV_NOTEBOOK=/path/to/analysis.ipynb`",
    )
