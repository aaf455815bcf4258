"""The way through the house: spec → lock → plan → environment, each step called once, in that order."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from nixlib.cancel import Cancel
from nixlib.environment import Environment, environment_key, environment_link, find_environment
from nixlib.lock import Lock, check_fresh
from nixlib.platforms import current_system, host_glibc
from nixlib.progress import EventSink, Phase, ignore
from nixlib.settings import Settings
from nixlib.spec import Spec

if TYPE_CHECKING:
    from nixlib.realise import Realised

KERNEL = ("ipykernel",)

Upgrade = frozenset[str] | Literal["all"]


@dataclass(frozen=True)
class Built:
    """What a build gives: the environment, and the lock with what is now known of its store objects."""

    environment: Environment
    lock: Lock


def lock_spec(  # noqa: PLR0913 - one for each thing that a verb of the command line says
    spec: Spec,
    previous: Lock | None,
    *,
    settings: Settings,
    notebook: str = "",
    folder: Path | None = None,
    upgrade: Upgrade = frozenset(),
    as_of: str | None = None,
    substitutions: Mapping[str, str | None] | None = None,
    on_event: EventSink = ignore,
    cancel: Cancel | None = None,
) -> Lock:
    """Resolve a spec.

    Args:
        spec: What is asked for.
        previous: The lock so far; its versions are kept wherever they still fit.
        settings: Where things are.
        notebook: Its name, for messages.
        folder: The notebook's, which relative channels and projects begin at; None for the working one.
        upgrade: Normalised names that may move, or `all`.
        as_of: A date that takes the place of the spec's `exclude-newer` for this once.
        substitutions: Variants in the place of the spec's, for a machine that cannot have those, which
            the lock records; None keeps those of the previous lock while this machine is the same.
        on_event: Told what happens.
        cancel: Stops it.

    Raises:
        RequirementError: A line cannot be read.
        ResolutionError: Nothing fits.
        InterpreterError: The Python that is asked for cannot be had.
        EvaluationError: An attribute of nixpkgs is none.
        SourceBuildError: A package has no wheel, and its source cannot be built.
        NetworkError: A registry did not answer.
        RealisationCancelledError: Somebody stopped it.
    """
    from nixlib.locking import Asked, make_lock, standing  # noqa: PLC0415 - a cache hit must not load it

    on_event(Phase("resolve"))
    return make_lock(
        Asked(
            spec=spec,
            previous=previous,
            settings=settings,
            notebook=notebook,
            folder=folder or Path.cwd(),
            upgrade=upgrade,
            as_of=as_of,
            on_event=on_event,
            cancel=cancel or Cancel(),
            meanwhile=_load_builder,
            substitutions=standing(previous) if substitutions is None else substitutions,
        )
    )


def build(
    spec: Spec,
    lock: Lock,
    *,
    settings: Settings,
    notebook: str = "",
    on_event: EventSink = ignore,
    cancel: Cancel | None = None,
) -> Built:
    """Make the environment of `lock` valid and rooted; at once when it is there already.

    Raises:
        LockStaleError: The lock answers another spec.
        PlanError: The lock has nothing for this machine.
        StoreError: The store did not do its part.
        NetworkError: A file could not be had.
        HashMismatchError: A file is not the one that the lock names.
        CollisionError: Two packages bring the same path.
        RealisationCancelledError: Somebody stopped it.
    """
    check_fresh(lock, spec, notebook=notebook)
    found = find_environment(lock, settings)
    if found:
        on_event(Phase("ready"))
        return Built(found, lock)
    from nixlib.filelock import file_lock  # noqa: PLC0415 - a cache hit must not load it

    cancel = cancel or Cancel()
    # A hundred kernels asked for at once are one build and ninety-nine looks at what came of it.
    with file_lock(settings.state_dir / "locks" / environment_key(lock, settings), cancel):
        found = find_environment(lock, settings)
        if found:
            on_event(Phase("ready"))
            return Built(found, lock)
        return _realise(spec, lock, settings, notebook, on_event, cancel)


def _realise(
    spec: Spec, lock: Lock, settings: Settings, notebook: str, on_event: EventSink, cancel: Cancel
) -> Built:
    from nixlib.ledger import Ledger  # noqa: PLC0415 - a cache hit must not load it
    from nixlib.plan import plan  # noqa: PLC0415
    from nixlib.realise import realise  # noqa: PLC0415
    from nixlib.store import open_store  # noqa: PLC0415

    on_event(Phase("plan"))
    with ExitStack() as stack:
        ledger = stack.enter_context(Ledger(settings.state_dir / "ledger.sqlite"))
        store = stack.enter_context(open_store(settings.store, connections=settings.connections))
        # A hint says nothing about RECORD, so under `strict` only our own ledger counts.
        hints = {} if spec.strict else _trusted_hints(lock, settings, notebook)
        wanted = plan(
            lock,
            spec,
            system=current_system(),
            glibc=host_glibc(),
            trusted={**hints, **ledger.known(lock, strict=spec.strict)},
            store_dir=store.store_dir,
        )
        realised = realise(
            wanted,
            store,
            ledger=ledger,
            settings=settings,
            on_event=on_event,
            cancel=cancel,
            folder=Path(notebook).absolute().parent if notebook else None,
        )
        link = store.add_root(environment_link(lock, settings), realised.path)
        on_event(Phase("ready"))
        environment = Environment(link.readlink(), realised.warnings)
        return Built(environment, _informed(lock, realised))


def _informed(lock: Lock, realised: Realised) -> Lock:
    """The lock with what is now known of its store objects; the first build is what others are compared with."""
    groups = tuple(
        replace(group, process=_informed(group.process, replace(made, hints=realised.hints)))
        if group.process and (made := realised.processes.get(group.name))
        else group
        for group in lock.private
    )
    known = lock.with_hints(realised.hints).with_built({**realised.built, **lock.built})
    return replace(known, private=groups)


def _trusted_hints(lock: Lock, settings: Settings, notebook: str) -> Mapping[str, str]:
    """The lock's own hints, where the user said that this notebook may be believed."""
    path = Path(notebook).resolve()
    folders = (Path(folder).expanduser().resolve() for folder in settings.trusted_notebooks)
    trusted = bool(notebook) and any(path.is_relative_to(folder) for folder in folders)
    if not trusted:
        return {}
    return {sha256: nar for one in (*lock.processes, lock) for sha256, nar in one.hints.items()}


def _load_builder() -> None:
    """Import what a build needs and a resolution does not: 30 ms for whoever has them to spare."""
    import nixlib.ledger  # noqa: PLC0415 - a cache hit must not load it
    import nixlib.plan  # noqa: PLC0415
    import nixlib.realise  # noqa: PLC0415
    import nixlib.store  # noqa: PLC0415, F401
