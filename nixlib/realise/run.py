"""The steps of a realisation, in their order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from nixlib.cancel import Cancel
from nixlib.composition.compose import InterpreterPackage, compose
from nixlib.errors import InterpreterError, NixError, RealisationCancelledError, StoreError
from nixlib.nixpkgs.supply import Supply, supply
from nixlib.plan import Leaf, Plan
from nixlib.progress import EventSink, Phase, ignore
from nixlib.realise.attributes import Attributes, realise_joining, realise_role
from nixlib.realise.context import Context, Valid
from nixlib.realise.joining import interpreter_package, package_at
from nixlib.realise.leaves import realise_leaves
from nixlib.realise.prefix import Prefix, begin_workshop, conda_packages, realise_prefix
from nixlib.realise.private import check_groups, groups_of, realise_groups
from nixlib.realise.sources import realise_sources
from nixlib.storepath import StorePath
from nixlib.wheels.distinfo import normalised

if TYPE_CHECKING:
    from nixlib.composition.package import Package
    from nixlib.ledger import Ledger
    from nixlib.lock import Artifact
    from nixlib.network.httpclient import Auth
    from nixlib.realise.background import Background
    from nixlib.settings import Settings
    from nixlib.store import Store
    from nixlib.workshop.workshop import Workshop


@dataclass(frozen=True)
class Realised:
    """An environment in the store.

    Attributes:
        path: Its store path; only a temporary root keeps it until the caller adds one for good.
        warnings: What is wrong and did not stop it.
        hints: SRI hash of the tree of each artifact, by sha256: what is true of this lock.
        built: SRI hash of the tree of each wheel that was built, by `name system`.
        processes: The environment of each private group that has a process of its own.
    """

    path: StorePath
    warnings: tuple[str, ...]
    hints: Mapping[str, str]
    built: Mapping[str, str] = field(default_factory=dict)
    processes: Mapping[str, Realised] = field(default_factory=dict)


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
        PrivateGroupError: A group of private dependencies brings what cannot be beside the notebook's.
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
    processes = {
        group.name: _realise_process(replace(run, plan=group.process), valid, group.name)
        for group in plan.groups
        if group.process
    }
    made = _environment(run, valid, workshop, processes)
    # Imports end in any order; what the user reads should not depend on it.
    of_leaves = sorted(warning for found in valid.values() for warning in found.warnings)
    of_processes = [
        f"private group `{name}`: {warning}"
        for name, process in processes.items()
        for warning in process.warnings
    ]
    return replace(
        made,
        warnings=(*of_leaves, *made.warnings, *of_processes),
        hints={leaf.artifact.sha256: found.nar for leaf, found in valid.items() if leaf.artifact},
        processes=processes,
    )


def _realise_process(run: Context, valid: Mapping[Leaf, Valid], name: str) -> Realised:
    """The environment of the process of group `name`, by the way of any other."""
    run = replace(run, plan=replace(run.plan, collisions=_collisions_in(run.plan)))
    try:
        return _environment(run, valid, begin_workshop(run), {})
    except RealisationCancelledError:
        raise
    except NixError as error:
        raise error.within(f"private group `{name}`") from error


def _collisions_in(plan: Plan) -> Mapping[str, str]:
    """What the notebook says of packages that a process has; what it says of others is nothing to warn of."""
    if plan.attributes:  # What nixpkgs brings has no names before it is here.
        return plan.collisions
    names = {leaf.name for leaf in (*plan.leaves, *plan.archives)}
    names |= {package.name for package in plan.sources}
    names |= {package.pypi for package in plan.conda}
    return {path: name for path, name in plan.collisions.items() if normalised(name) in names}


def _environment(
    run: Context,
    valid: Mapping[Leaf, Valid],
    workshop: Background[Workshop] | None,
    processes: Mapping[str, Realised],
) -> Realised:
    """The environment of what is valid now; says nothing of the leaves themselves."""
    plan = run.plan
    prefix = realise_prefix(run, valid, workshop)
    attributes = realise_joining(run)
    sources = realise_sources(run, plan.sources)
    of_groups = {group.name: realise_sources(run, group.sources) for group in plan.groups}
    run.on_event(Phase("compose"))
    wheels = _packages_of(run, plan.leaves, valid)
    own = {
        group.name: [*_packages_of(run, group.leaves, valid), *of_groups[group.name].packages]
        for group in plan.groups
    }
    packages = [*wheels, *sources.packages, *attributes.packages]
    python = _interpreter(run, valid, prefix, attributes)
    named = {**conda_packages(run, valid), **{package.name: package for package in packages}}
    if prefix:
        packages.append(prefix.package)
    groups = groups_of(plan, own, named, {name: made.path for name, made in processes.items()})
    check_groups(groups, packages, python)
    private = realise_groups(run, groups, python)
    everything = [*wheels, *sources.packages, *(p for group in own.values() for p in group)]
    native = _native_libraries(run, everything, attributes, python)
    composition = compose(
        packages,
        python,
        collisions=plan.collisions,
        libraries=native.libraries,
        private=private.folder,
    )
    run.cancel.check()
    info = run.store.add_tree(composition.name, composition.tree, composition.references)
    return Realised(
        path=info.path,
        warnings=(
            *(prefix.warnings if prefix else ()),
            *sources.warnings,
            *(warning for found in of_groups.values() for warning in found.warnings),
            *native.warnings,
            *private.warnings,
            *composition.warnings,
        ),
        hints={},
        built={k: v for found in (*of_groups.values(), sources) for k, v in found.built.items()},
    )


def _packages_of(
    run: Context, leaves: Sequence[Leaf], valid: Mapping[Leaf, Valid]
) -> list[Package]:
    return [package_at(run.store, leaf.name, leaf.version, valid[leaf].path) for leaf in leaves]


def _native_libraries(
    run: Context,
    packages: Sequence[Package],
    attributes: Attributes,
    python: InterpreterPackage,
) -> Supply:
    """What wheels need of a system, of which a pure one needs nothing; it says so in its file's name."""
    leaves = (*run.plan.leaves, *(leaf for group in run.plan.groups for leaf in group.leaves))
    pure = {(p.name, p.version) for p in leaves if p.artifact and _is_pure(p.artifact)}
    return supply(
        [package for package in packages if (package.name, package.version) not in pure],
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
