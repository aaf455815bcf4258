"""Which notebook does this kernel belong to?

No client says it in so many words, and each hints in its own way, so the hints are asked in a fixed order
and each is believed only as far as it proves itself: a path must be an existing notebook. When nothing
proves itself the answer is an error that lists what was tried, never "some notebook nearby".
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Literal
from urllib.parse import unquote

from nixenv.errors import MetadataError, NotebookNotFoundError
from nixenv.notebook.mailbox import Mailbox

OVERRIDE = "NIXENV_NOTEBOOK"
SESSION = "JPY_SESSION_NAME"
PROJECT_FILE = "nixenv.toml"

OWN_DRIVE = "RTC:"
"""Prefix that jupyter-collaboration puts before the paths of the server's own files."""

Source = Literal["override", "page", "session", "client", "project"]


def _no_mailbox() -> Mailbox:
    raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Posted:
    """A notebook that a page has open, as the page has told the server.

    Attributes:
        contents: Its path in the server, which the page knows it by.
        path: Its file; None when it is not a notebook on this machine's disk.
        nixenv: The value of `metadata.nixenv` in the page.
        leads: A start goes by the page: it holds what the file does not, or has yet to get a lock, which
            only the page may write while it is open.
        lend: A mailbox with that value.
    """

    contents: str
    path: Path | None = None
    nixenv: Any = None
    leads: bool = False
    lend: Callable[[], Mailbox] = field(default=_no_mailbox, compare=False)


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
        posted: The open notebooks that the kernel could belong to, as their pages have told; more than
            one when they cannot be told apart.
        client: The `NotebookClient` that runs the notebook, when there is one.
    """

    cwd: Path
    said: Mapping[str, str]
    inherited: Mapping[str, str]
    root_dir: Path | None = None
    session: str = ""
    posted: tuple[Posted, ...] = ()
    client: Any = None


@dataclass(frozen=True, slots=True)
class Found:
    """The notebook of a kernel.

    Attributes:
        source: Which hint was believed.
        path: Its file; None for a notebook that is only in a client's or a page's memory.
        posted: What its page says about it, when that was believed.
    """

    source: Source
    path: Path | None
    posted: Posted | None = None


def find_notebook(place: Place) -> Found:
    """The document that decides this kernel's environment.

    Raises:
        NotebookNotFoundError: No hint proved itself, or one fits two notebooks; `tried` has a line for each.
        MetadataError: The override names a file that is not there.
    """
    tried: list[str] = []
    override = place.said.get(OVERRIDE) or place.inherited.get(OVERRIDE)
    if override:
        return Found("override", _overridden(place.cwd, override))
    if place.posted:
        posted = _only(place.posted)
        return Found("page", posted.path, posted)
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


def _only(posted: tuple[Posted, ...]) -> Posted:
    if len(posted) == 1:
        return posted[0]
    tried = tuple(f"`{one.contents}`" for one in posted)
    raise NotebookNotFoundError(
        "cannot tell which of these notebooks this kernel belongs to",
        details=tried,
        hint="restart the kernel: by then the server knows which one it is",
        tried=tried,
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


def local_notebook(root: Path, contents: str) -> Path | None:
    """The file behind a contents path, when it is a notebook on this machine; costs a look at the disk.

    Another drive than the server's own may have another notebook of the same name.
    """
    for path in (contents, contents.removeprefix(OWN_DRIVE)):
        file = root / path.lstrip("/")
        # Not Path.is_file, which raises where a name is too long or a folder is closed to this user.
        if file.suffix == ".ipynb" and os.path.isfile(file):  # noqa: PTH113
            return file
    return None


def contents_path(place: Place, found: Found) -> str:
    """What pages call the notebook: its path in the server; empty when it has none there."""
    if found.posted is not None:
        return found.posted.contents
    if place.session or found.path is None or place.root_dir is None:
        return place.session.strip("/")
    if found.source != "session" or not found.path.is_relative_to(place.root_dir):
        return ""
    return found.path.relative_to(place.root_dir).as_posix()


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
    for frame in _frames():
        if frame.f_code.co_varnames[:1] == ("self",):
            owner = frame.f_locals.get("self")
            if isinstance(owner, module.NotebookClient) and owner.km is manager:
                return owner
    return None


def _frames() -> Iterator[FrameType]:
    """Every frame of every thread, innermost first."""
    for innermost in sys._current_frames().values():  # noqa: SLF001 - the documented way to all stacks
        frame: FrameType | None = innermost
        while frame is not None:
            yield frame
            frame = frame.f_back


def client_name(client: Any) -> str:
    """What the client's notebook is called, a path if that is known; empty when nothing says so."""
    papermill = client.nb.metadata.get("papermill", {})
    if path := papermill.get("input_path"):
        return str(path)
    told = client.resources.get("metadata", {})
    return f"{told['name']}.ipynb" if told.get("name") else _executed(client)


def _executed(client: Any) -> str:
    """The file that `jupyter execute` reads; it tells its client no more than the folder."""
    for frame in _frames():
        if frame.f_code.co_name == "run_notebook" and frame.f_locals.get("client") is client:
            path = frame.f_locals.get("input_path")
            return str(path.absolute()) if isinstance(path, Path) else ""
    return ""
