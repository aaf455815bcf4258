"""A kernel's variables without those through which another environment could leak in (pure).

A kernel must be in its environment and nowhere else. Imports next to nothing: a kernel that starts in an
environment of before waits for nothing else.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

OVERRIDE = "NIXENV_NOTEBOOK"
DOCUMENT = "NIXENV_DOCUMENT"
ERROR = "NIXENV_ERROR"
"""File with the error that a fallback kernel reports: solver output can be longer than an argv may be."""

_DROPPED_PREFIXES = ("PYTHON", "CONDA_", "_CONDA_", "MAMBA_", "DYLD_")
_DROPPED = frozenset(
    {
        # Other environments, activated around the server.
        "VIRTUAL_ENV",
        "VIRTUAL_ENV_PROMPT",
        "PIXI_PROJECT_ROOT",
        "__PYVENV_LAUNCHER__",
        # Breaks `!git` and the kernel itself: their libraries are found by run-paths.
        "LD_LIBRARY_PATH",
        # Where the *server* finds its extensions and kernels, which the environment cannot import.
        "JUPYTER_PATH",
        "JUPYTER_CONFIG_PATH",
        # Said for this start only: a client that the kernel starts has a notebook of its own.
        OVERRIDE,
        DOCUMENT,
        ERROR,
    }
)


def scrubbed(inherited: Mapping[str, str], environment: str) -> dict[str, str]:
    """`inherited` without what leaks, and `bin` of the environment first on PATH."""
    kept = {name: value for name, value in inherited.items() if not _is_dropped(name)}
    own = os.path.join(environment, "bin")
    kept["PATH"] = os.pathsep.join([own, *_search_path(inherited)])
    return kept


def _is_dropped(name: str) -> bool:
    return name in _DROPPED or name.startswith(_DROPPED_PREFIXES)


def _search_path(inherited: Mapping[str, str]) -> list[str]:
    """PATH without the folders that activating another environment had put there."""
    activated = {
        os.path.join(inherited[name], folder)
        for name in ("VIRTUAL_ENV", "CONDA_PREFIX")
        if inherited.get(name)
        for folder in ("bin", "condabin")
    }
    entries = inherited.get("PATH", os.defpath).split(os.pathsep)
    return [entry for entry in entries if entry and entry.rstrip("/") not in activated]
