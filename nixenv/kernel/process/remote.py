"""A group with a process of its own, as the kernel declares it: `nixenv.private.<name>` is stand-ins.

The worker starts at the first use and ends with the kernel. When it dies, what was held of it says so, and the
next use of the group starts another.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import sys
import threading
import weakref
from dataclasses import dataclass
from importlib.machinery import ModuleSpec

from . import cells, guards, references, standin, start, wire
from .link import EndedError, Link
from .vocabulary import TOLD

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ast
    from typing import Any, Mapping, Sequence

ROOT = "nixenv.private."
SECONDS_TO_START = 60.0


class WorkerDiedError(EndedError):
    """The process of a group has ended, and with it what was in it; the next use starts another."""


@dataclass(frozen=True)
class ProcessGroup:
    """A group of packages with an environment and a process of its own.

    Attributes:
        name: As in `nixenv.private.<name>`.
        environment: Its folder, absolute, with `bin/python`.
        distributions: Version of everything in it, by normalised name.

    Raises:
        ValueError: The name is no identifier, or the folder is not absolute.
    """

    name: str
    environment: str
    distributions: Mapping[str, str]

    def __post_init__(self) -> None:
        """Refuse what could not be a module's name or a folder."""
        if not self.name.isidentifier() or self.name.startswith("_"):
            raise ValueError(f"`{self.name}` is no name of a private group")
        if not os.path.isabs(self.environment) or "\0" in self.environment:
            raise ValueError(
                f"`{self.environment}` of private group `{self.name}` is no absolute path"
            )


class Remote:
    """Holds a group in another process.

    Attributes:
        group: What it is.
    """

    def __init__(self, group: ProcessGroup) -> None:
        self.group = group
        self.references: references.References | None = None
        self._lock = threading.RLock()
        self._link: Link | None = None
        self._process: start.Process | None = None
        self._owner = 0
        self._cells = cells.Cells(self)
        self._folder = ""
        self._told: frozenset[str] = frozenset()
        self.is_watched = False
        self.is_used = False

    @property
    def name(self) -> str:
        """The group's name."""
        return self.group.name

    @property
    def is_running(self) -> bool:
        """Whether there is a process now."""
        return self._link is not None and self._link.ended is None and self._owner == os.getpid()

    @property
    def pid(self) -> int | None:
        """The worker's process; None while there is none."""
        return self._process.pid if self._process is not None and self.is_running else None

    # --- as a holder --------------------------------------------------------------------------------------

    def admit(self) -> None:
        """Check that a worker can be started; none is.

        Raises:
            RefusedError: Its environment is not there.
        """
        python = start.python_of(self.group.environment)
        if os.access(python, os.X_OK):
            return
        from ..groups.refusal import RefusedError  # noqa: PLC0415 - a neighbour, only if it is needed

        raise RefusedError(
            self.name,
            (f"there is no Python at `{python}`",),
            "`%nixenv sync`, and restart the kernel",
        )

    def find_spec(self, rest: str, path: Sequence[str] | None = None) -> ModuleSpec | None:
        """The spec of the group's package (`rest` is empty), or of a module in it, a stand-in."""
        del path
        full = f"{ROOT}{self.name}"
        if not rest:
            return ModuleSpec(full, _Package(), is_package=True)  # type: ignore[arg-type]
        if not self.link().call("module_find", rest):
            if "." in rest:
                return None
            raise ModuleNotFoundError(
                f"private group `{self.name}` has no module `{rest}`\n\n"
                f"hint: `%nixenv add --private {self.name} {rest}`",
                name=rest,
            )
        file = self.link().call("module_import", rest)
        spec = ModuleSpec(
            f"{full}.{rest}",
            _Loader(self, rest),  # type: ignore[arg-type]
            origin=file,
            is_package=True,  # `os` is none, and `import os.path` means something.
        )
        spec.has_location = isinstance(file, str)
        return spec

    def rewritten(self, cell: ast.Module, source: str) -> ast.Module:
        """What runs in the place of a cell of this group: the whole cell in the worker.

        Raises:
            UsageError: It has magics whose code would run in the notebook's process.
        """
        return self._cells.rewritten(cell, source)

    def describes_same(self, other: object) -> bool:
        """Whether declaring `other` would change nothing."""
        return isinstance(other, Remote) and (
            (other.name, os.path.realpath(other.group.environment))
            == (self.name, os.path.realpath(self.group.environment))
        )

    def leave(self) -> None:
        """End the worker; a later use would start another."""
        with self._lock:
            link, process, self._link, self._process = self._link, self._process, None, None
            if process is None or self._owner != os.getpid():
                return
            if link is not None and link.ended is None:
                link.close()
            process.end()

    def run_cell(self, source: str, filename: str, namespace: dict[str, Any]) -> Any:
        """Run a cell's text in the worker, and bind in `namespace` what it binds; its last value."""
        __tracebackhide__ = True
        return self._cells.run(source, filename, namespace)

    def show_figures(self) -> None:
        """Show the figures that calls have left open in the worker."""
        link = self._link
        if link is not None and self.is_running and self.is_used:
            self.is_used = False
            with contextlib.suppress(EndedError):  # Whoever uses the group next is told.
                link.call("figures")

    # --- the worker ---------------------------------------------------------------------------------------

    def link(self) -> Link:
        """The connection to the worker, which is started if there is none.

        Raises:
            WorkerDiedError: It does not start.
        """
        link = self._link
        if link is None or link.ended is not None or self._owner != os.getpid():
            with self._lock:
                link = self._link
                if link is None or link.ended is not None or self._owner != os.getpid():
                    link = self._started()
        self._tell_news(link)
        self.is_used = True
        return link

    def _started(self) -> Link:
        self.admit()
        process = start.Process(self.name, self.group.environment)
        try:
            return self._linked(process)
        except BaseException:
            # Also of an interrupt: nobody would know of this process.
            process.kill()
            raise

    def _linked(self, process: start.Process) -> Link:
        table = references.References(
            f"{ROOT}{self.name}.",
            f"define it in a `%%private {self.name}` cell",
            self.module_named,
        )

        def interrupt(times: int) -> None:
            process.signal(signal.SIGKILL if times >= guards.PATIENCE else signal.SIGINT)

        link = Link(
            wire.Wire(process.connection),
            table,
            f"group `{self.name}`",
            first=2,
            guard=guards.KernelGuard(interrupt),
            on_output=cells.show,
            on_end=lambda what: self._died(process, what),
        )
        link.operations["variable"] = self._cells.variable
        if not link.greeted.wait(SECONDS_TO_START) or link.ended is not None:
            if link.ended is None:
                process.kill()
                link.greeted.wait(SECONDS_TO_START)
            raise WorkerDiedError(
                f"the process of group `{self.name}` did not start: {process_end(link)}"
            )
        if not self._owner:
            atexit.register(_leave, weakref.ref(self))
        self.references, self._process, self._owner, self._link = table, process, os.getpid(), link
        self._folder = os.getcwd()
        self._cells.started()
        self._told = frozenset()
        _watch_cells(self)
        return link

    def _died(self, process: start.Process, what: str) -> BaseException:
        if what:
            process.kill()
        why = what or process.why()
        process.connection.close()
        return WorkerDiedError(
            f"the process of group `{self.name}` has ended, and with it what was in it: {why}\n"
            "  the next use of the group starts a new one"
        )

    def _tell_news(self, link: Link) -> None:
        """Tell the worker what has changed here since: libraries, and the folder."""
        has = frozenset(name for name in TOLD if name in sys.modules)
        if not has <= self._told or not self._told:
            from importlib.util import find_spec  # noqa: PLC0415

            self._told = has | frozenset(name for name in TOLD if find_spec(name) is not None)
            link.tell(wire.HELLO, {"has": sorted(self._told) or [""]})
            self._told |= {""}
        try:
            folder = os.getcwd()
        except OSError:
            return  # It was deleted under us.
        if folder != self._folder:
            self._folder = folder
            link.call("folder", folder)

    def module_named(self, name: str) -> Any:
        """What stands here for the worker's module of that name: the one that `import` gives, if it did."""
        full = f"{ROOT}{self.name}.{name}"
        found = sys.modules.get(full)
        if found is None:
            found = sys.modules[full] = standin.RemoteModule(full, self, name)
        return found


def process_end(link: Link) -> str:
    """Why a process ended, from what its link was told."""
    said = str(link.ended) if link.ended is not None else "it said nothing"
    return said.partition(": ")[2] or said


def _leave(one: weakref.ref[Remote]) -> None:
    remote = one()
    if remote is not None:
        remote.leave()


def _watch_cells(remote: Remote) -> None:
    """Show the worker's figures at the end of each cell that has used it."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is None:
        return
    mine = weakref.ref(remote)

    def after(*_: Any) -> None:
        one = mine()
        if one is not None:
            one.show_figures()

    if not remote.is_watched:
        remote.is_watched = True
        shell.events.register("post_execute", after)


class _Package:
    """Loads `nixenv.private.<group>`, which has nothing of its own."""

    def create_module(self, spec: ModuleSpec) -> None:
        """Python's ordinary module."""

    def exec_module(self, module: Any) -> None:
        """Nothing is in it but what is imported from it."""


class _Loader:
    """Makes the stand-in of a module that the worker has imported."""

    def __init__(self, remote: Remote, name: str) -> None:
        self._remote = remote
        self._name = name

    def create_module(self, spec: ModuleSpec) -> Any:
        """The stand-in: one for each name, for good."""
        del spec
        return self._remote.module_named(self._name)

    def exec_module(self, module: Any) -> None:
        """It has run where it is."""
