"""The steps of a realisation, in their order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from nixlib.cancel import Cancel
from nixlib.composition.compose import InterpreterPackage, compose
from nixlib.errors import InterpreterError, StoreError
from nixlib.nixpkgs.supply import Supply, supply
from nixlib.plan import Leaf, Plan
from nixlib.progress import EventSink, Phase, ignore
from nixlib.realise.attributes import Attributes, realise_joining, realise_role
from nixlib.realise.context import Context, Valid
from nixlib.realise.joining import interpreter_package, package_at
from nixlib.realise.leaves import realise_leaves
from nixlib.realise.prefix import Prefix, begin_workshop, realise_prefix
from nixlib.realise.sources import Sources, realise_sources
from nixlib.storepath import StorePath

if TYPE_CHECKING:
    from nixlib.composition.package import Package
    from nixlib.ledger import Ledger
    from nixlib.lock import Artifact
    from nixlib.network.httpclient import Auth
    from nixlib.settings import Settings
    from nixlib.store import Store


@dataclass(frozen=True)
class Realised:
    """An environment in the store.

    Attributes:
        path: Its store path; only a temporary root keeps it until the caller adds one for good.
        warnings: What is wrong and did not stop it.
        hints: SRI hash of the tree of each artifact, by sha256: what is true of this lock.
        built: SRI hash of the tree of each wheel that was built, by `name system`.
    """

    path: StorePath
    warnings: tuple[str, ...]
    hints: Mapping[str, str]
    built: Mapping[str, str] = field(default_factory=dict)


def realise(
    plan: Plan,
    store: Store,
    *,
    ledger: Ledger,
    settings: Settings,
    on_event: EventSink = ignore,
    cancel: Cancel | None = None,
    auth: Auth | None = None,
    folder: Path | None = None,
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
        folder: The notebook's, at which relative channels and projects begin; None for the working one.

    Raises:
        NetworkError: An artifact could not be had.
        HashMismatchError: It is another file, or a hint of the lock is false.
        WheelError: A wheel cannot be installed.
        CondaArchiveError: An archive of conda cannot be installed.
        InterpreterError: This machine cannot have the lock's Python, or lacks a library of it.
        CollisionError: Two packages bring the same path with different bytes.
        NativeLibraryError: A library of nixpkgs needs a newer C library than the interpreter has.
        BuildError: A conda prefix, or a wheel of a source, could not be built.
        SandboxError: A source must be built, and nothing isolates builds here.
        EvaluationError: The lock has other store paths than nixpkgs.
        StoreError: The store did not do its part.
        RealisationCancelledError: Somebody stopped it.
    """
    if plan.store_dir != store.store_dir:
        raise StoreError(f"a plan for `{plan.store_dir}` cannot be realised in `{store.store_dir}`")
    cancel, folder = cancel or Cancel(), folder or Path.cwd()
    run = Context(plan, store, ledger, settings, on_event, cancel, auth, folder)
    workshop = begin_workshop(run)
    valid = realise_leaves(run)
    prefix = realise_prefix(run, valid, workshop)
    attributes = realise_joining(run)
    sources = realise_sources(run)
    return _compose(run, valid, prefix, attributes, sources)


def _compose(
    run: Context,
    valid: Mapping[Leaf, Valid],
    prefix: Prefix | None,
    attributes: Attributes,
    sources: Sources,
) -> Realised:
    """The environment of what is valid now."""
    run.on_event(Phase("compose"))
    wheels = [
        package_at(run.store, leaf.name, leaf.version, valid[leaf].path) for leaf in run.plan.leaves
    ]
    packages = [*wheels, *sources.packages, *attributes.packages]
    if prefix:
        packages.append(prefix.package)
    python = _interpreter(run, valid, prefix, attributes)
    native = _native_libraries(run, wheels, sources, attributes, python)
    composition = compose(
        packages, python, collisions=run.plan.collisions, libraries=native.libraries
    )
    run.cancel.check()
    info = run.store.add_tree(composition.name, composition.tree, composition.references)
    # Imports end in any order; what the user reads should not depend on it.
    of_leaves = sorted(warning for found in valid.values() for warning in found.warnings)
    of_prefix = prefix.warnings if prefix else ()
    return Realised(
        path=info.path,
        warnings=(
            *of_leaves,
            *of_prefix,
            *sources.warnings,
            *native.warnings,
            *composition.warnings,
        ),
        hints={leaf.artifact.sha256: found.nar for leaf, found in valid.items() if leaf.artifact},
        built=sources.built,
    )


def _native_libraries(
    run: Context,
    wheels: Sequence[Package],
    sources: Sources,
    attributes: Attributes,
    python: InterpreterPackage,
) -> Supply:
    """What wheels need of a system, of which a pure one needs nothing; it says so in its file's name."""
    pure = {leaf.name for leaf in run.plan.leaves if leaf.artifact and _is_pure(leaf.artifact)}
    return supply(
        [*(wheel for wheel in wheels if wheel.name not in pure), *sources.packages],
        python,
        attributes.realised,
        store=run.store,
        cache=run.settings.cache_dir,
        on_demand=lambda: realise_role(run, "library"),
    )


def _is_pure(artifact: Artifact) -> bool:
    return artifact.filename.endswith("-none-any.whl")


def _interpreter(
    run: Context, valid: Mapping[Leaf, Valid], prefix: Prefix | None, attributes: Attributes
) -> InterpreterPackage:
    leaf = run.plan.interpreter
    if leaf is not None:
        return interpreter_package(run.store, valid[leaf], run.plan.python.libraries)
    source = run.plan.python.source
    found = attributes.interpreter if source == "nixpkgs" else prefix and prefix.interpreter
    if found:
        return found
    raise InterpreterError(
        f"nothing brings the Python {run.plan.python.version} that the lock takes from `{source}`",
        hint="`%nixenv lock`",
        wanted=run.plan.python.version,
        found=(),
    )
