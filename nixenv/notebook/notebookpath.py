"""Which notebook does this kernel belong to?

No client says it in so many words, and each hints in its own way, so the hints are asked in a fixed order
and each is believed only as far as it proves itself: a path must be an existing notebook. When nothing
proves itself the answer is an error that lists what was tried, never "some notebook nearby".
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Literal
from urllib.parse import unquote

from nixenv.errors import MetadataError, NotebookNotFoundError

OVERRIDE = "NIXENV_NOTEBOOK"
SESSION = "JPY_SESSION_NAME"
PROJECT_FILE = "nixenv.toml"

Source = Literal["override", "session", "client", "project"]


@dataclass(frozen=True, slots=True)
class Place:
    """What a provisioner knows about the start of one kernel.

    Attributes:
        cwd: Where the kernel will run; absolute.
        said: Variables that the client gave for this very start; empty when it gave none.
        inherited: Variables of this process.
        root_dir: What the server's relative paths are relative to; None outside a server.
        session: The path in the server's session of this kernel, relative to `root_dir`; empty on a
            first start, where the server does not know it yet.
        client: The `NotebookClient` that runs the notebook, when there is one.
    """

    cwd: Path
    said: Mapping[str, str]
    inherited: Mapping[str, str]
    root_dir: Path | None = None
    session: str = ""
    client: Any = None


@dataclass(frozen=True, slots=True)
class Found:
    """The notebook of a kernel.

    Attributes:
        source: Which hint was believed.
        path: Its file; None for a notebook that is only in a client's memory.
    """

    source: Source
    path: Path | None


def find_notebook(place: Place) -> Found:
    """The document that decides this kernel's environment.

    Raises:
        NotebookNotFoundError: No hint proved itself; `tried` has a line for each.
        MetadataError: The override names a file that is not there.
    """
    tried: list[str] = []
    override = place.said.get(OVERRIDE) or place.inherited.get(OVERRIDE)
    if override:
        return Found("override", _overridden(place.cwd, override))
    for candidate in _session_candidates(place, tried):
        if candidate.suffix == ".ipynb" and candidate.is_file():
            return Found("session", candidate)
        tried.append(_why_not(candidate))
    if place.client is not None:
        return Found("client", None)
    if project := find_project(place.cwd):
        return Found("project", project)
    tried.append(f"no `{PROJECT_FILE}` in `{place.cwd}` or above it")
    raise NotebookNotFoundError(
        "cannot tell which notebook this kernel belongs to",
        details=tuple(tried),
        hint=_way_out(place),
        tried=tuple(tried),
    )


def _way_out(place: Place) -> str:
    if place.root_dir is not None:
        return "save the notebook, then restart the kernel: by then the server knows its name"
    return f'`{OVERRIDE}="/path/to/notebook.ipynb"` in the environment of the command that starts the kernel'


def _overridden(cwd: Path, override: str) -> Path:
    path = cwd / Path(override).expanduser()
    if not path.is_file():
        raise MetadataError(
            f"there is no `{path}`, which `{OVERRIDE}` names",
            hint=f"`unset {OVERRIDE}`",
            notebook=str(path),
            key=OVERRIDE,
        )
    return path


def _session_candidates(place: Place, tried: list[str]) -> list[Path]:
    """Where the client says that the notebook is, best word first."""
    candidates: list[Path] = []
    if place.session and place.root_dir is not None:
        # A drive prefix (`RTC:sub/a.ipynb`, jupyter-collaboration) is no part of the file's path.
        plain = place.session.rpartition(":")[2]
        candidates += [
            place.root_dir / place.session.lstrip("/"),
            place.root_dir / plain.lstrip("/"),
        ]
    session = place.said.get(SESSION, "")
    if not session:
        tried.append(f"`{SESSION}` is not set")
    elif place.root_dir is None and session == place.inherited.get(SESSION):
        # A client that runs inside a kernel hands on the outer notebook's name with its own variables.
        tried.append(f"`{SESSION}` is that of an outer kernel")
    else:
        candidates.append((place.root_dir or place.cwd) / session)
    if place.said.get("SERVER_SOFTWARE", "").startswith("voila/"):
        # voila speaks as CGI scripts do: the last part of the URL's path is the notebook in cwd.
        candidates.append(place.cwd / unquote(place.said.get("SCRIPT_NAME", "")).rpartition("/")[2])
    return list(dict.fromkeys(candidates))


def _why_not(candidate: Path) -> str:
    if candidate.is_dir():
        return f"`{candidate}` is a folder"
    if not candidate.exists():
        return f"`{candidate}` does not exist on this machine"
    return f"`{candidate}` is not a notebook"


def find_project(folder: Path) -> Path | None:
    """The nearest `nixenv.toml` in `folder` or above it."""
    for parent in (folder, *folder.parents):
        if (parent / PROJECT_FILE).is_file():
            return parent / PROJECT_FILE
    return None


def find_client(manager: Any) -> Any:
    """The `nbclient.NotebookClient` that is starting the kernel of `manager`, or None.

    nbclient, nbconvert and papermill tell a kernel manager nothing about the notebook, but while the
    kernel starts one of the client's own methods waits for it, in this thread or (with a synchronous
    manager) in another, so it stands on a stack: microseconds, where asking the garbage collector who
    refers to the manager took 47 ms. This ends when nbclient passes the path.
    The kernels of a server have a manager above theirs and are never looked for.
    """
    module = sys.modules.get("nbclient.client")
    if module is None or getattr(manager, "parent", None) is not None:
        return None
    for innermost in sys._current_frames().values():  # noqa: SLF001 - the documented way to all stacks
        frame: FrameType | None = innermost
        while frame is not None:
            if frame.f_code.co_varnames[:1] == ("self",):
                owner = frame.f_locals.get("self")
                if isinstance(owner, module.NotebookClient) and owner.km is manager:
                    return owner
            frame = frame.f_back
    return None


def client_name(client: Any) -> str:
    """What the client's notebook is called, for messages; empty when nothing says so."""
    papermill = client.nb.metadata.get("papermill", {})
    if path := papermill.get("input_path"):
        return str(path)
    told = client.resources.get("metadata", {})
    return f"{told['name']}.ipynb" if told.get("name") else ""
