"""What this kernel knows about itself: its document, its engine, and whether the environment is ours.

The engine lives in another installation and is only ever started as a process. It is told which
document to work on; the variables that the kernel was started with are its context.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass

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
            mailbox (`.json`) whose content somebody else puts into the notebook.
        engine: The engine's argument vector, to which a verb is appended.
        variables: `NIXENV_*` variables for the engine's process.
        owns_environment: This process runs in an environment that nixenv made, and may be extended.
    """

    document: str
    engine: tuple[str, ...]
    variables: Mapping[str, str]
    owns_environment: bool

    @property
    def notebook_name(self) -> str:
        """The notebook's file name, as messages show it."""
        return os.path.basename(self.variables.get("NIXENV_NOTEBOOK") or self.document)


def current_session(shell: Any) -> Session:
    """The session of this process.

    Raises:
        KernelSideError: No notebook is known, or the engine's variable is not a JSON array.
    """
    launched_with = launched.variables()
    variables = (
        {name: value for name, value in os.environ.items() if name.startswith("NIXENV_")}
        if launched_with is None
        else launched_with
    )
    return Session(
        _document(variables, getattr(shell, "user_ns", {})),
        _engine(variables),
        variables,
        owns_environment=launched_with is not None,
    )


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
