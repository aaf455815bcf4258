"""Making the environment that a document's lock says, for every verb that needs it to be there."""

from __future__ import annotations

from pathlib import Path

from nixenv.cli.carried import Carried, naming, read_carried
from nixenv.cli.changes import Changes, changes_between
from nixenv.cli.command import Context
from nixenv.cli.outcome import Outcome, clock, note_use
from nixlib.engine import Built, build
from nixlib.lock import Lock


def build_document(path: str | Path, context: Context) -> Outcome:
    """The environment of the document at `path`, at once when it is there.

    A document with a lock is not written: opening a notebook must not change its file. One without a
    lock is locked first, and the lock is written once the environment exists.

    Raises:
        NixError: It cannot be read, locked, built or written.
    """
    started = clock()
    carried = read_carried(path)
    built = _build_unlocked(carried, context) if carried.lock is None else build_locked(carried, context)
    note_use(built.lock, context.settings, carried.document)
    is_new = carried.lock is None
    return Outcome(
        notebook=carried.path,
        spec=carried.spec,
        lock=built.lock,
        environment=built.environment,
        seconds=clock() - started,
        changes=changes_between(None, built.lock) if is_new else Changes(),
        warnings=(*(built.lock.notes if is_new else ()), *built.environment.warnings),
    )


def build_locked(carried: Carried, context: Context) -> Built:
    """The environment of the lock that is there.

    Raises:
        NixError: There is no lock, it is stale, or it cannot be built.
    """
    return _build(carried, carried.fresh_lock(), context)


def _build_unlocked(carried: Carried, context: Context) -> Built:
    from nixenv.cli.change import resolve, save  # noqa: PLC0415 - a cache hit writes nothing

    with naming(carried.document):
        lock = resolve(carried, carried.spec, context)
    built = _build(carried, lock, context)
    save(carried.document, carried.spec, built.lock)
    return built


def _build(carried: Carried, lock: Lock, context: Context) -> Built:
    with naming(carried.document):
        return build(
            carried.spec,
            lock,
            settings=context.settings,
            notebook=str(carried.path),
            on_event=context.on_event,
            cancel=context.cancel,
        )
