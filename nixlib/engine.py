"""The way through the house: spec → lock → plan → environment, each step called once, in that order."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

from nixlib.cancel import Cancel
from nixlib.environment import Environment, environment_key, environment_link, find_environment
from nixlib.lock import Lock, LockedInterpreter, added_since, check_fresh
from nixlib.platforms import current_system, host_glibc
from nixlib.progress import EventSink, Phase, ignore
from nixlib.settings import Settings
from nixlib.spec import Spec

KERNEL = ("ipykernel",)

Upgrade = frozenset[str] | Literal["all"]


@dataclass(frozen=True)
class Built:
    """What a build gives: the environment, and the lock with what is now known of its store objects."""

    environment: Environment
    lock: Lock


def lock_spec(
    spec: Spec,
    previous: Lock | None,
    *,
    settings: Settings,
    notebook: str = "",
    upgrade: Upgrade = frozenset(),
    as_of: str | None = None,
    on_event: EventSink = ignore,
    cancel: Cancel | None = None,
) -> Lock:
    """Resolve a spec.

    Args:
        spec: What is asked for.
        previous: The lock so far; its versions are kept wherever they still fit.
        settings: Where things are.
        notebook: Its name, for messages.
        upgrade: Normalised names that may move, or `all`.
        as_of: A date that takes the place of the spec's `exclude-newer` for this once.
        on_event: Told what happens.
        cancel: Stops it.

    Raises:
        ResolutionError: Nothing fits.
        InterpreterError: The Python that is asked for cannot be had.
        NetworkError: A registry did not answer.
        RealisationCancelledError: Somebody stopped it.
    """
    from nixlib.resolvers.base import Request  # noqa: PLC0415 - a cache hit must not load it
    from nixlib.resolvers.pypi import resolve_pypi  # noqa: PLC0415

    cancel = cancel or Cancel()
    on_event(Phase("resolve"))
    chosen: list[LockedInterpreter] = []

    def choose() -> None:
        from nixlib.interpreters.interpreter import lock_interpreter  # noqa: PLC0415

        known = previous.interpreter if previous and upgrade != "all" else None
        chosen.append(
            lock_interpreter(
                spec.python,
                spec.interpreter,
                spec.systems,
                previous=known,
                settings=settings,
                on_event=on_event,
                cancel=cancel,
            )
        )

    def meanwhile() -> None:
        choose()
        _load_builder()

    added = added_since(previous, spec) if previous and not (as_of or upgrade) else ()
    if not added:
        choose()
    # The interpreter of a lock that only grows mostly stays: whether it does is looked at meanwhile.
    python = previous.interpreter.version if previous and added else chosen[0].version
    request = Request(
        requirements=spec.requirements,
        kernel=KERNEL,
        python=python,
        systems=spec.systems,
        indexes=spec.indexes,
        exclude_newer=as_of or spec.exclude_newer,
        era=spec.era,
        previous=previous if added else None,
        added=added,
        upgrade=upgrade,
        notebook=notebook,
    ).preferring(previous.packages if previous else ())
    resolve = partial(resolve_pypi, settings=settings, on_event=on_event, cancel=cancel)
    resolution = resolve(request, meanwhile=meanwhile)
    if not chosen:
        choose()
    if chosen[0].version != python:
        request = replace(request, python=chosen[0].version, previous=None, added=())
        resolution = resolve(request)
    dated = (f"resolved as of {as_of}",) if as_of else ()
    lock = Lock(
        spec=spec.digest,
        interpreter=chosen[0],
        packages=tuple(sorted(resolution.packages)),
        systems=resolution.systems,
        notes=(*dated, *resolution.notes),
    )
    return lock.with_hints(previous.hints if previous else {})


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
            wanted, store, ledger=ledger, settings=settings, on_event=on_event, cancel=cancel
        )
        link = store.add_root(environment_link(lock, settings), realised.path)
        on_event(Phase("ready"))
        environment = Environment(link.readlink(), realised.warnings)
        return Built(environment, lock.with_hints(realised.hints))


def _trusted_hints(lock: Lock, settings: Settings, notebook: str) -> Mapping[str, str]:
    """The lock's own hints, where the user said that this notebook may be believed."""
    path = Path(notebook).resolve()
    folders = (Path(folder).expanduser().resolve() for folder in settings.trusted_notebooks)
    trusted = bool(notebook) and any(path.is_relative_to(folder) for folder in folders)
    return lock.hints if trusted else {}


def _load_builder() -> None:
    """Import what a build needs and a resolution does not: 30 ms for whoever has them to spare."""
    import nixlib.ledger  # noqa: PLC0415 - a cache hit must not load it
    import nixlib.plan  # noqa: PLC0415
    import nixlib.realise  # noqa: PLC0415
    import nixlib.store  # noqa: PLC0415, F401
