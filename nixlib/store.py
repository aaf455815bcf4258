"""The store: where trees become store objects, and the one thing the rest of the engine talks to.

`Store` is what a store can do; `DaemonStore` is a real one. `nixlib.testing.MemoryStore` is another,
held to the same contract by `tests/contract/test_store.py`.
"""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from nixlib import gcroots, nar
from nixlib.daemon import building, diagnosis
from nixlib.daemon.channel import connect_socket, start_process
from nixlib.daemon.client import Connection
from nixlib.daemon.firstopening import first_opening
from nixlib.daemon.pool import Pool
from nixlib.errors import DaemonUnavailableError, StoreError
from nixlib.location import Location, locate, own_store
from nixlib.network.outages import Outages, default_outages
from nixlib.pathinfo import PathInfo
from nixlib.storepath import check_name

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from types import TracebackType

    from typing_extensions import Self

    from nixlib.cancel import Cancel
    from nixlib.daemon.channel import Channel
    from nixlib.derivation import Derivation
    from nixlib.storepath import StorePath
    from nixlib.tree import Node

__all__ = ["DaemonStore", "PathInfo", "Store", "open_store"]

# Two was best on two cores: three or four connections fought over the store's database.
CONNECTIONS = 2
# Seconds without a byte. A daemon that waits for another's lock or collects garbage says nothing.
SILENCE = 600.0
_SUBSTITUTE_JOBS = 8
_CONNECT_SECONDS = 5
# Asking for what no substituter has takes milliseconds; longer means that one does not answer.
_SLOW_SECONDS = 3.0
_PROGRAM = "nix-daemon"
_PROFILES = (
    "/nix/var/nix/profiles/default/bin",
    "~/.nix-profile/bin",
    "/run/current-system/sw/bin",
)


def _nothing(line: str) -> None:
    del line


class Store(Protocol):
    """What the engine needs of a Nix store. Every method may be called from any thread."""

    @property
    def store_dir(self) -> str:
        """The logical store directory, `/nix/store`, also in a chroot store."""

    def physical(self, path: StorePath) -> Path:
        """Where the files of `path` are on this machine."""

    def query_valid_paths(self, paths: Collection[StorePath]) -> frozenset[StorePath]:
        """Those of `paths` that are valid; one round trip."""

    def query_path_info(self, path: StorePath) -> PathInfo | None:
        """What is known of `path`; nothing when it is not valid."""

    def add_tree(self, name: str, tree: Node, references: Collection[StorePath] = ()) -> PathInfo:
        """Make a tree a content-addressed store object that needs `references`.

        Succeeds for one that is valid already, at the full cost: query first where that matters.

        Raises:
            StoreError: A reference is not valid, the disk is full or read-only, Nix went away.
            NarError: The tree has a name that no store can hold; nothing was added.
        """

    def add_temp_root(self, paths: Collection[StorePath]) -> None:
        """Keep `paths` from the collector until this store is closed, also those not valid yet.

        Ask for the root first and whether the path is valid afterwards.
        """

    def add_root(self, link: Path, path: StorePath) -> Path:
        """Keep `path` from the collector for good, and make `link` lead to it on the disk."""

    def remove_root(self, link: Path) -> None:
        """Undo `add_root`; nothing happens where there is none."""

    def substitute(self, paths: Collection[StorePath]) -> frozenset[StorePath]:
        """Ask the daemon's own substituters for `paths`; those that became valid."""

    def build(
        self,
        derivation: Derivation,
        *,
        on_log: Callable[[str], None] = _nothing,
        cancel: Cancel | None = None,
        silence: float = building.SILENCE,
        limit: float = building.LIMIT,
    ) -> StorePath:
        """The output of `derivation`, valid and with a temporary root; at once where it is valid.

        Args:
            derivation: What to build; its sources must be valid.
            on_log: Called with each line that the builder prints, on this thread.
            cancel: Stops the builder with everything that it started.
            silence: Seconds without a line after which it is killed.
            limit: Seconds after which it is killed in any case.

        Raises:
            BuildError: The builder failed; fields `reason`, `status`, `drv_path`, `log_tail`.
            StoreError: A source is not valid, Nix cannot build.
            RealisationCancelledError: Somebody stopped it.
        """

    def close(self) -> None:
        """Let go of everything, temporary roots too. Twice does nothing more."""

    def __enter__(self) -> Self:
        """The store itself."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""


class DaemonStore:
    """A real store, through its daemon or a `nix-daemon --stdio` of our own.

    Opening it costs nothing: the first call that needs a connection opens one.

    Args:
        location: Which store, and where it lies.
        connect: Opens a line to it; takes the seconds of silence after which it counts as dead, or
            None for the usual ones.
        connections: How many lines at most.
        outages: What is known of substituters that do not answer.
        on_log: Called with each line that Nix wants shown; any thread.
    """

    def __init__(
        self,
        location: Location,
        connect: Callable[[float | None], Channel],
        *,
        connections: int = CONNECTIONS,
        outages: Outages | None = None,
        on_log: Callable[[str], None] | None = None,
    ) -> None:
        self._location = location

        # Not a method: a pool that refers to its store would keep a dropped one alive.
        def connection(timeout: float | None = None) -> Connection:
            with first_opening(location.state_dir):
                return Connection(connect(timeout), location.store_dir, on_log)

        self._open = connection
        self._outages = outages or default_outages(os.environ)
        self._pool = Pool(self._open, connections)

    @property
    def store_dir(self) -> str:
        """The logical store directory."""
        return self._location.store_dir

    def physical(self, path: StorePath) -> Path:
        """Where the files of `path` are on this machine."""
        return self._location.physical_dir / str(path)

    def query_valid_paths(self, paths: Collection[StorePath]) -> frozenset[StorePath]:
        """Those of `paths` that are valid; one round trip."""
        if not paths:
            return frozenset()
        with self._pool.connection() as connection:
            return connection.query_valid_paths(paths)

    def query_path_info(self, path: StorePath) -> PathInfo | None:
        """What is known of `path`; nothing when it is not valid."""
        with self._pool.connection() as connection:
            return connection.query_path_info(path)

    def add_tree(self, name: str, tree: Node, references: Collection[StorePath] = ()) -> PathInfo:
        """Stream the NAR of `tree` into the store."""
        check_name(name)
        with self._pool.connection() as connection:
            return connection.add_to_store(name, references, nar.dump(tree))

    def add_temp_root(self, paths: Collection[StorePath]) -> None:
        """Keep `paths` from the collector until this store is closed."""
        if paths:
            with self._pool.connection() as connection:
                connection.add_temp_roots(paths)

    def add_root(self, link: Path, path: StorePath) -> Path:
        """Keep `path` from the collector, and make `link` lead to it on the disk."""
        return gcroots.add_root(
            link,
            physical=self.physical(path),
            logical=path.in_dir(self.store_dir),
            state_dir=self._location.state_dir,
            user=diagnosis.current_user(),
            register=self._register,
        )

    def _register(self, link: str) -> None:
        with self._pool.connection() as connection:
            connection.add_indirect_root(link)

    def remove_root(self, link: Path) -> None:
        """Undo `add_root`."""
        gcroots.remove_root(link, state_dir=self._location.state_dir, user=diagnosis.current_user())

    def substitute(self, paths: Collection[StorePath]) -> frozenset[StorePath]:
        """Ask the daemon's own substituters; those of `paths` that became valid.

        A cache that holds nothing or breaks is no error. One that does not answer costs seconds, so
        that is remembered for a while.
        """
        missing = frozenset(paths) - self.query_valid_paths(paths)
        key = f"substituters of {self._location.uri} {self._location.socket}"
        if not missing or self._outages.is_down(key):
            return frozenset()
        self.add_temp_root(missing)
        return self.query_valid_paths(self._substitute(missing, key))

    def _substitute(self, missing: frozenset[StorePath], key: str) -> frozenset[StorePath]:
        # A connection of its own, for the options stay with it.
        connection = self._open()
        try:
            overrides = {"connect-timeout": str(_CONNECT_SECONDS)}
            connection.set_options(jobs=_SUBSTITUTE_JOBS, overrides=overrides)
            start = time.monotonic()
            found = connection.query_substitutable(missing) & missing
            if found:
                connection.build_paths(found)
            elif time.monotonic() - start > _SLOW_SECONDS:
                self._outages.note(key)
        except DaemonUnavailableError:
            raise
        except StoreError:
            # Whatever came before the failure is valid and counts; the rest comes from elsewhere.
            return missing
        finally:
            connection.close()
        return found

    def build(
        self,
        derivation: Derivation,
        *,
        on_log: Callable[[str], None] = _nothing,
        cancel: Cancel | None = None,
        silence: float = building.SILENCE,
        limit: float = building.LIMIT,
    ) -> StorePath:
        """Build over a connection of its own, so that closing that one ends the builder."""
        output = derivation.output(self.store_dir)
        self.add_temp_root((output, *derivation.sources))
        if self.query_valid_paths([output]):
            return output
        connection = self._open(building.line_patience(limit))
        try:
            building.build(
                connection,
                derivation,
                self.store_dir,
                on_log=on_log,
                cancel=cancel,
                silence=silence,
                limit=limit,
            )
        finally:
            connection.close()
        return output

    def close(self) -> None:
        """Hang up; daemon processes of our own are waited for."""
        self._pool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def open_store(
    uri: str | None = None,
    *,
    connections: int = CONNECTIONS,
    env: Mapping[str, str] | None = None,
    timeout: float = SILENCE,
    on_log: Callable[[str], None] | None = None,
) -> DaemonStore:
    """The store that `uri` names, as Nix understands store URIs.

    Args:
        uri: `/dir` or `local?root=/dir` (chroot store), `daemon`, `unix:///socket`, `auto`; without
            one `NIX_REMOTE`, and without that the daemon if one listens, else the store of this
            machine if this user may write it, else one in the user's own home.
        connections: Lines to it, at most.
        env: Process environment; PATH finds Nix, and what Nix itself heeds is heeded.
        timeout: Seconds of silence after which a line counts as dead.
        on_log: Called with each line that Nix wants shown.

    Raises:
        StoreError: No such kind of store. Whether Nix is there shows at the first call.
    """
    variables = dict(os.environ if env is None else env)
    location = choose_location(uri, variables)
    return DaemonStore(
        location,
        lambda patience: _connect(location, variables, patience or timeout),
        connections=connections,
        outages=default_outages(variables),
        on_log=on_log,
    )


def choose_location(uri: str | None, env: Mapping[str, str]) -> Location:
    """Where `open_store` would open; touches no more than the daemon's socket's directory entry.

    Raises:
        StoreError: No such kind of store.
    """
    location = locate(uri, env)
    return own_store(env) if location.kind == "auto" and _is_barred(location) else location


def _connect(location: Location, env: Mapping[str, str], timeout: float) -> Channel:
    if location.kind == "process":
        return _start(location, env, timeout)
    try:
        return connect_socket(location.socket, timeout)
    except OSError as error:
        failure = diagnosis.socket_failed(location.socket, error)
        if location.kind == "socket" or not _may_write(location.state_dir):
            raise failure from error
    return _start(location, env, timeout)


def _is_barred(location: Location) -> bool:
    """Whether this machine's store has no daemon and is not for this user to write."""
    try:
        os.stat(location.socket)  # noqa: PTH116  # `exists` calls a closed directory missing
    except FileNotFoundError:
        return not _may_write(location.state_dir)
    except OSError:
        return False
    return False


def _may_write(directory: Path) -> bool:
    # What does not exist yet is made by Nix, if its nearest ancestor allows that.
    existing = next(place for place in (directory, *directory.parents) if place.exists())
    return os.geteuid() == 0 or os.access(existing, os.W_OK)


def _start(location: Location, env: Mapping[str, str], timeout: float) -> Channel:
    program = find_program(env)
    return start_process([program, "--stdio"], {**env, "NIX_REMOTE": location.uri}, timeout)


def find_program(env: Mapping[str, str], name: str = _PROGRAM) -> str:
    """Where one of Nix's programs is.

    Raises:
        DaemonUnavailableError: It is nowhere; field `tried`.
    """
    # A server started from a desktop often lacks what a login shell puts on PATH.
    places = [env.get("PATH", os.defpath), *(os.path.expanduser(place) for place in _PROFILES)]  # noqa: PTH111
    program = shutil.which(name, path=os.pathsep.join(places))
    if program is None:
        raise diagnosis.nix_missing(name, places)
    return program
