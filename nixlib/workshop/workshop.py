"""The one door to building: a script of ours, its arguments and what it may read, to a derivation.

A build sees a Python, the runtime and its inputs, all store objects, and nothing of this machine. What
runs code of others is `enclosed`: see `nixlib.workshop.enclosure`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from nixlib.cancel import Cancel
from nixlib.daemon.building import LIMIT, SILENCE
from nixlib.derivation import Derivation
from nixlib.errors import BuildError, LockError
from nixlib.filelock import file_lock
from nixlib.interpreters.host_memory import HostMemory
from nixlib.interpreters.interpreter import lock_interpreter, realise_interpreter
from nixlib.lock import LockedInterpreter
from nixlib.lock.interpreter import parse_interpreter
from nixlib.pathinfo import PathInfo
from nixlib.platforms import current_system
from nixlib.settings import Settings
from nixlib.sri import sri, sri_digest
from nixlib.store import Store
from nixlib.storenames import interpreter_store_name
from nixlib.storepath import StorePath, fixed_output_path, sanitise_name
from nixlib.tree import Regular
from nixlib.workshop.buildlog import BuildLog
from nixlib.workshop.enclosure import enclosing, exporting_closure
from nixlib.workshop.runtime import (
    fingerprint,
    loader_name,
    runtime_files,
    runtime_tree,
)

_SCRIPTS: Final = Path(__file__).parent.parent / "builders"
# Nothing of the builder's user, no site, nothing written beside the script.
_PYTHON_FLAGS: Final = ("-I", "-S", "-B")
_RUNTIME: Final = "runtime"


def _nothing(line: str) -> None:
    del line


@dataclass(frozen=True)
class Workshop:
    """What every build of ours needs, valid in a store; see `open_workshop`.

    Attributes:
        store: Where everything is and comes to be; open as long as the workshop is used.
        settings: Where logs go.
        system: Nix's name of this machine.
        python: The Python that runs our scripts.
        python_version: All of its version, `3.11.7`.
        runtime: Loader, glibc and the libraries that `python` expects of the system.
    """

    store: Store
    settings: Settings
    system: str
    python: StorePath
    python_version: str
    runtime: StorePath

    @property
    def physical_dir(self) -> Path:
        """Where store objects lie on this machine's disk: in a chroot store another place."""
        return self.store.physical(self.python).parent

    def add_file(self, name: str, data: bytes) -> StorePath:
        """A content-addressed store object that is one file."""
        return self.store.add_tree(name, Regular.of(data)).path

    def derivation(
        self,
        name: str,
        script: str,
        arguments: Mapping[str, Any],
        inputs: Collection[StorePath],
        *,
        enclosed: bool = False,
        layers: Sequence[StorePath] = (),
    ) -> Derivation:
        """A build of `$out` by `nixlib/builders/SCRIPT.py`, which gets one argument: a JSON file.

        Adds the script and the arguments to the store, which costs a millisecond each. Everything that
        the output depends on is in what is given here, so the same gives the same output path.

        Args:
            name: The output's name in the store; made legal.
            script: Name of the script, without `.py`, or the path of one that lies elsewhere.
            arguments: What it reads from the JSON file; store paths in it as texts.
            inputs: Store objects that it reads.
            enclosed: Run it where nothing of this machine can be seen or reached; its output must be a
                directory, which exists, empty, when it starts.
            layers: For an enclosed one: inputs in the layout of a file system (`bin`, `usr`, `lib` …)
                whose contents are also found at `/`, the first before the next, the runtime last.
        """
        name, store_dir = sanitise_name(name), self.store.store_dir
        runs = self._add_script(script)
        orders = self._add_json(f"{name}-arguments.json", arguments)
        sources = {*inputs, *layers, self.python, self.runtime, runs, orders}
        command = _command(self.python, (runs, orders), store_dir)
        if enclosed:
            fence = self._add_script("enclose")
            within = enclosing(command, (*layers, self.runtime), self._loader, store_dir)
            walls = self._add_json(f"{name}-enclosure.json", within)
            guard = self._add_script("supervise")
            sources |= {guard, fence, walls}
            inner = _command(self.python, (fence, walls), store_dir)
            command = [*_command(self.python, (guard,), store_dir), *self._loader, *inner]
        builder, *flags = self._loader
        return Derivation(
            name=name,
            system=self.system,
            builder=builder,
            args=(*flags, *command),
            # Never on another machine, where nothing was proved; and Nix need not ask who could.
            env={
                "preferLocalBuild": "1",
                **(exporting_closure(sources, store_dir) if enclosed else {}),
            },
            sources=frozenset(sources),
        )

    def build(
        self,
        derivation: Derivation,
        *,
        cancel: Cancel | None = None,
        on_log: Callable[[str], None] = _nothing,
        silence: float = SILENCE,
        limit: float = LIMIT,
    ) -> StorePath:
        """The output of `derivation`, valid and with a temporary root; at once where it is valid.

        Raises:
            BuildError: The builder failed; `log_file` has all that it printed, up to 50 MB.
            SandboxError: It must be enclosed, and cannot be.
            StoreError: Nix cannot build.
            RealisationCancelledError: Somebody stopped it.
        """
        with BuildLog(self.settings.state_dir / "logs", derivation.name) as log:

            def take(line: str) -> None:
                log.add(line)
                on_log(line)

            try:
                return self.store.build(
                    derivation, on_log=take, cancel=cancel, silence=silence, limit=limit
                )
            except BuildError as error:
                raise log.explain(error) from error

    @property
    def _loader(self) -> tuple[str, ...]:
        """What a program is started with where there is no `/lib64`."""
        library = f"{self.runtime.in_dir(self.store.store_dir)}/lib"
        program = f"{library}/{loader_name(self.system)}"
        return (program, "--inhibit-cache", "--library-path", library)

    def _add_script(self, name: str) -> StorePath:
        path = _SCRIPTS / f"{name}.py"
        return self.add_file(path.name, path.read_bytes())

    def _add_json(self, name: str, value: Mapping[str, Any]) -> StorePath:
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return self.add_file(name, text.encode())


def _command(python: StorePath, files: Sequence[StorePath], store_dir: str) -> list[str]:
    program = f"{python.in_dir(store_dir)}/bin/python3"
    return [program, *_PYTHON_FLAGS, *(path.in_dir(store_dir) for path in files)]


def open_workshop(
    store: Store,
    settings: Settings,
    *,
    system: str | None = None,
    cancel: Cancel | None = None,
) -> Workshop:
    """What every build of ours needs, made valid.

    The Python is the one that the engine would choose for a notebook that asks for none, and it stays
    while it can be had. The first time it is copied or downloaded; later this costs some 30 ms.

    Args:
        store: Where; temporary roots keep everything until it is closed.
        settings: Where things are.
        system: The machine's own; None asks it.
        cancel: Stops it between its steps.

    Raises:
        InterpreterError: No Python can be had, or it lacks libraries.
        NetworkError: It had to be downloaded and could not be.
        StoreError: Nothing can be built on this system, or the store did not do its part.
    """
    system, cancel = system or current_system(), cancel or Cancel()
    memory = HostMemory(settings.state_dir / "workshop.json")
    known = memory.recall(system) or {}
    locked = lock_interpreter(
        None, None, (system,), settings=settings, previous=_previous(known), cancel=cancel
    )
    cancel.check()
    python = _realise(locked, store, settings, system, known, cancel)
    cancel.check()
    now: dict[str, Any] = {"python": locked.to_json(), "nar": sri(python.nar_sha256)}
    files = runtime_files(system, locked.libraries)
    runtime = _add_runtime(store, files, memory)
    if now != known:
        memory.keep({system: now})
    return Workshop(store, settings, system, python.path, locked.version, runtime)


def _previous(known: dict[str, Any]) -> LockedInterpreter | None:
    try:
        return parse_interpreter("python", known.get("python"))
    except LockError:
        return None


def _realise(
    locked: LockedInterpreter,
    store: Store,
    settings: Settings,
    system: str,
    known: dict[str, Any],
    cancel: Cancel,
) -> PathInfo:
    nar = known.get("nar") if known.get("python") == locked.to_json() else None
    # The lock that realising an environment takes for the same work.
    name = interpreter_store_name(locked.version, locked.source)
    with file_lock(settings.state_dir / "locks" / name, cancel):
        return realise_interpreter(locked, store, settings=settings, system=system, nar=nar)


def _add_runtime(store: Store, files: Mapping[str, Path], memory: HostMemory) -> StorePath:
    """The runtime of these files; where they are as they were the last time, one query."""
    key = f"{_RUNTIME} {fingerprint(files)}"
    known = memory.recall(key)
    if known is not None:
        digest = sri_digest(str(known["nar"]))
        path = fixed_output_path(_RUNTIME, digest, (), store.store_dir)
        store.add_temp_root([path])
        if store.query_valid_paths([path]):
            return path
    info = store.add_tree(_RUNTIME, runtime_tree(files))
    memory.keep({key: {"nar": sri(info.nar_sha256)}})
    return info.path
