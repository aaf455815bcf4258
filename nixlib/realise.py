"""Plan and store to environment: known paths asked for, the rest made, all of it composed.

Each store object appears whole or not at all, so a process that is killed leaves nothing half-made and
the next one goes on where it stopped. Where everything is in the store, nothing here touches a network,
a lock or a thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

from nixlib.binaries.libraries import missing_libraries
from nixlib.cancel import Cancel
from nixlib.composition.compose import InterpreterPackage, compose
from nixlib.composition.package import FACTS_NAME, Package, StoreListing, parse_facts
from nixlib.errors import InterpreterError, StoreError
from nixlib.plan import Leaf, Plan
from nixlib.progress import EventSink, Phase, ignore
from nixlib.storepath import StorePath

if TYPE_CHECKING:
    from nixlib.ledger import Ledger
    from nixlib.lock import Artifact
    from nixlib.network.httpclient import Auth, HttpClient
    from nixlib.settings import Settings
    from nixlib.store import Store

_Result = TypeVar("_Result")

_TICK = 0.1  # seconds between looks at the cancel


@dataclass(frozen=True)
class Realised:
    """An environment in the store.

    Attributes:
        path: Its store path; only a temporary root keeps it until the caller adds one for good.
        warnings: What is wrong and did not stop it.
        hints: SRI hash of the tree of each artifact, by sha256: what is true of this lock.
    """

    path: StorePath
    warnings: tuple[str, ...]
    hints: Mapping[str, str]


def realise(
    plan: Plan,
    store: Store,
    *,
    ledger: Ledger,
    settings: Settings,
    on_event: EventSink = ignore,
    cancel: Cancel | None = None,
    auth: Auth | None = None,
) -> Realised:
    """Make the environment of `plan` valid in `store`.

    Idempotent. With everything in the store it costs one query, one look into each package and the
    import of a tree of links. What was finished before a failure stays valid and is found again.

    Args:
        plan: What to realise; its `store_dir` must be the store's.
        store: Where; temporary roots keep everything until it is closed.
        ledger: Told what is made here out of what.
        settings: How many at a time, how much memory, which caches.
        on_event: Called on this thread.
        cancel: Stops it, within moments.
        auth: Credentials of downloads; None reads the user's own settings, once something is missing.

    Raises:
        NetworkError: An artifact could not be had.
        HashMismatchError: It is another file, or a hint of the lock is false.
        WheelError: It cannot be installed.
        InterpreterError: This machine cannot have the lock's Python, or lacks a library of it.
        CollisionError: Two packages bring the same path with different bytes.
        StoreError: The store did not do its part.
        RealisationCancelledError: Somebody stopped it.
    """
    if plan.store_dir != store.store_dir:
        raise StoreError(f"a plan for `{plan.store_dir}` cannot be realised in `{store.store_dir}`")
    run = _Run(plan, store, ledger, settings, on_event, cancel or Cancel(), auth)
    valid = run.find_known()
    missing = [leaf for leaf in run.leaves if leaf not in valid]
    made = run.make(missing) if missing else []
    valid |= {found.leaf: found for found in made}
    return run.compose(valid)


@dataclass(frozen=True)
class _Valid:
    """A leaf that is valid: its store path, the SRI hash of its tree, what is wrong with it."""

    leaf: Leaf
    path: StorePath
    nar: str
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Run:
    """What every step of one realisation needs."""

    plan: Plan
    store: Store
    ledger: Ledger
    settings: Settings
    on_event: EventSink
    cancel: Cancel
    auth: Auth | None

    @property
    def leaves(self) -> Sequence[Leaf]:
        return (self.plan.interpreter, *self.plan.leaves)

    def find_known(self) -> dict[Leaf, _Valid]:
        """The leaves whose paths are known and valid: in the store, its substituters, our caches."""
        known = {leaf.path: leaf for leaf in self.leaves if leaf.path is not None}
        self.store.add_temp_root(known)
        valid = self.store.query_valid_paths(known)
        # A host Python is copied here if it can be, and looked for elsewhere only if not.
        missing = {path for path, leaf in known.items() if leaf.kind != "host"} - valid
        if missing:
            self.on_event(Phase("substitute"))
            valid |= self.store.substitute(missing)
            valid |= self._find_in_caches({path: known[path].nar or "" for path in missing - valid})
            self.cancel.check()
        return {
            leaf: _Valid(leaf, path, leaf.nar or "")
            for path, leaf in known.items()
            if path in valid
        }

    def _find_in_caches(self, wanted: Mapping[StorePath, str]) -> frozenset[StorePath]:
        if not wanted or not self.settings.caches:
            return frozenset()
        from nixlib.caches.substituter import fetch_from_caches  # noqa: PLC0415 - seldom needed

        self.cancel.check()
        return fetch_from_caches(
            self.store, wanted, self.settings.caches, self.cancel, self.on_event
        )

    def make(self, missing: Collection[Leaf]) -> list[_Valid]:
        """Download and import what is missing, the interpreter beside the wheels."""
        # Not at the top: an environment out of what the store has must not load a network library.
        from nixlib.network.httpclient import HttpClient  # noqa: PLC0415
        from nixlib.resolvers.indexes import credentials_source  # noqa: PLC0415
        from nixlib.wheels.importer import Importer  # noqa: PLC0415

        wheels = [leaf for leaf in missing if leaf.kind == "wheel"]
        made: list[_Valid] = []
        with HttpClient(
            timeout=self.settings.timeout, auth=self.auth or credentials_source()
        ) as client:
            python = None
            if self.plan.interpreter in missing:
                python = _Background(lambda: self._make_interpreter(client), self.cancel)
            if wheels:
                importer = Importer(
                    self.store,
                    self.ledger,
                    self.settings,
                    client,
                    find_again=self._find_again,
                    strict=self.plan.strict,
                )
                made += [
                    _Valid(found.leaf, found.path, found.nar, found.warnings)
                    for found in importer.run(wheels, self.cancel, self.on_event)
                ]
            if python:
                made.append(python.result())
        return made

    def _find_again(self, leaf: Leaf, artifact: Artifact) -> str:
        from nixlib.resolvers.pypi import find_again  # noqa: PLC0415 - seldom needed

        asked = (leaf.index,) if leaf.index else ()
        return find_again(
            leaf.name, artifact.url, settings=self.settings, asked=asked, cancel=self.cancel
        )

    def _make_interpreter(self, client: HttpClient) -> _Valid:
        from nixlib.filelock import file_lock  # noqa: PLC0415
        from nixlib.interpreters.interpreter import realise_interpreter  # noqa: PLC0415
        from nixlib.ledger import STANDALONE_RECIPE  # noqa: PLC0415
        from nixlib.network.fetch import fetch, sri  # noqa: PLC0415

        leaf = self.plan.interpreter
        # A copy of a big tree, and seconds of compiling: once for all processes of this user.
        with file_lock(self.settings.state_dir / "locks" / leaf.store_name, self.cancel):
            info = realise_interpreter(
                self.plan.python,
                self.store,
                settings=self.settings,
                system=self.plan.system,
                nar=leaf.nar,
                download=lambda artifact: memoryview(fetch(artifact, client, cancel=self.cancel)),
            )
        nar = sri(info.nar_sha256)
        leaf.check_hint(nar)
        if leaf.artifact:
            self.ledger.put(leaf.artifact.sha256, STANDALONE_RECIPE, nar)
        return _Valid(leaf, info.path, nar)

    def compose(self, valid: Mapping[Leaf, _Valid]) -> Realised:
        """The environment of what is valid now."""
        self.on_event(Phase("compose"))
        composition = compose(
            [self._package(valid[leaf]) for leaf in self.plan.leaves],
            self._interpreter(valid[self.plan.interpreter]),
            collisions=self.plan.collisions,
        )
        self.cancel.check()
        info = self.store.add_tree(composition.name, composition.tree, composition.references)
        # Imports end in any order; what the user reads should not depend on it.
        of_wheels = sorted(warning for found in valid.values() for warning in found.warnings)
        return Realised(
            path=info.path,
            warnings=(*of_wheels, *composition.warnings),
            hints={
                leaf.artifact.sha256: found.nar for leaf, found in valid.items() if leaf.artifact
            },
        )

    def _package(self, found: _Valid) -> Package:
        leaf = found.leaf
        listing = StoreListing(self.store.physical(found.path))
        try:
            facts = parse_facts(listing.read(FACTS_NAME))
        except OSError as error:
            raise _not_a_package(
                found, f"it has no readable `{FACTS_NAME}`: {error.strerror}"
            ) from error
        if facts.name != leaf.name:
            # A hint that its user trusts may still pair this wheel with another one's tree.
            raise _not_a_package(found, f"it is a package `{facts.name}`")
        return Package(leaf.name, leaf.version, found.path, listing, facts)

    def _interpreter(self, found: _Valid) -> InterpreterPackage:
        missing = missing_libraries(self.plan.python.libraries)
        if missing:
            raise InterpreterError(
                f"Python {found.leaf.version} needs libraries that this machine does not have",
                details=tuple(f"`{name}` is missing" for name in missing),
                wanted=missing,
                found=(),
            )
        listing = StoreListing(self.store.physical(found.path))
        return InterpreterPackage(found.leaf.version, found.path, listing)


def _not_a_package(found: _Valid, why: str) -> StoreError:
    return StoreError(
        f"the store object of `{found.leaf.name}` {found.leaf.version} is not that package",
        details=(f"`{found.path}`: {why}",),
        package=found.leaf.name,
    )


@dataclass
class _Background(Generic[_Result]):
    """Work on another thread, which nobody waits for once it is not wanted any more.

    When it fails, everything else that `cancel` can stop is in vain and stops with its error: nobody
    downloads a hundred wheels for a Python that cannot be had.
    """

    work: Callable[[], _Result]
    cancel: Cancel
    _outcome: list[_Result] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._guarded, daemon=True)
        self._thread.start()

    def _guarded(self) -> None:
        try:
            self._outcome.append(self.work())
        except BaseException as error:  # noqa: BLE001 - `check` raises it where somebody waits
            self.cancel.set(error)

    def result(self) -> _Result:
        """What came out, when it is there; its error, if that is what came out."""
        while self._thread.is_alive():
            self._thread.join(_TICK)
            self.cancel.check()
        self.cancel.check()
        return self._outcome[0]
