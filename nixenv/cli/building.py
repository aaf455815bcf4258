"""Making the environment that a document's lock says, for every verb that needs it to be there."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from nixenv.cli.carried import Carried, naming, read_carried
from nixenv.cli.changes import NO_CHANGES, changes_between
from nixenv.cli.command import Context
from nixenv.cli.outcome import Outcome, bytecode_prefix, clock, note_use
from nixlib.engine import Built, build
from nixlib.environment import find_environment, process_environments
from nixlib.lock import Lock
from nixlib.settings import Settings
from nixlib.spec import Spec


def build_document(path: str | Path, context: Context) -> Outcome:
    """The environment of the document at `path`, at once when it is there.

    A document with a lock is not written: opening a notebook must not change its file. One without a
    lock is locked first, and the lock is written once the environment exists.

    Raises:
        NixError: It cannot be read, locked, built or written.
    """
    started = clock()
    carried = read_carried(path)
    built = (
        _build_unlocked(carried, context)
        if carried.lock is None
        else build_locked(carried, context)
    )
    note_use(built.lock, context.settings, carried.document)
    is_new = carried.lock is None
    return Outcome(
        notebook=carried.path,
        spec=carried.spec,
        lock=built.lock,
        environment=built.environment,
        seconds=clock() - started,
        changes=changes_between(None, built.lock) if is_new else NO_CHANGES,
        warnings=(*(built.lock.notes if is_new else ()), *built.environment.warnings),
    )


def build_locked(carried: Carried, context: Context) -> Built:
    """The environment of the lock that is there.

    Raises:
        NixError: There is no lock, it is stale, or it cannot be built.
    """
    return build_lock(carried, carried.spec, carried.fresh_lock(), context)


def _build_unlocked(carried: Carried, context: Context) -> Built:
    from nixenv.cli.change import resolve, save  # noqa: PLC0415 - a cache hit writes nothing

    with naming(carried.document):
        lock = resolve(carried, carried.spec, context)
    built = build_lock(carried, carried.spec, lock, context)
    save(carried.document, carried.spec, built.lock)
    return built


def build_lock(carried: Carried, spec: Spec, lock: Lock, context: Context) -> Built:
    """The environment of `lock`; when it was not there yet, its bytecode is compiled in the background.

    Raises:
        NixError: It cannot be built.
    """
    is_there = find_environment(lock, context.settings) is not None
    with naming(carried.document):
        built = build(
            spec,
            lock,
            settings=context.settings,
            notebook=str(carried.path),
            on_event=context.on_event,
            cancel=context.cancel,
        )
    if not is_there:
        _compile(built.environment.path, lock, context.settings)
    return built


_KNOWN_PYTHONS = ("host", "standalone")
"""Sources whose Pythons may run before a notebook is started; those of channels are anybody's."""


def _compile(environment: Path, lock: Lock, settings: Settings) -> None:
    """Compile what an environment's packages, its private groups and their processes have."""
    from nixlib.composition.bytecode import compile_in_background  # noqa: PLC0415 - a cache hit compiles nothing

    if bytecode_prefix(environment, settings) is None:
        return
    processes = process_environments(environment)
    pairs = [(processes.get(group.name), group.process) for group in lock.private]
    for place, one in ((environment, lock), *pairs):
        if place and one:
            own_python = one.interpreter.source in _KNOWN_PYTHONS
            # Bytecode saves time and nothing else: a disk that is full has been complained about before.
            with suppress(OSError):
                compile_in_background(place, settings.cache_dir, own_python=own_python)
