"""Changing what a notebook asks for: a new spec, a new lock, the environment, then the file, in that order.

The document is written last and in one step, and only if nobody else changed it: whatever fails before
leaves it as it was, and all that a cancelled build leaves are whole store objects.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from nixenv.cli.building import build_lock
from nixenv.cli.carried import Carried, naming
from nixenv.cli.changes import changes_between
from nixenv.cli.command import Context
from nixenv.cli.outcome import Outcome, clock, note_use
from nixenv.cli.requirements import without_secrets
from nixenv.notebook.metadata import KEY, Document, write_document
from nixlib.engine import Upgrade, lock_spec
from nixlib.environment import Environment, find_environment
from nixlib.lock import Lock
from nixlib.spec import Spec

Substitutions = Mapping[str, "str | None"]
"""Variants in place of the spec's, by name; None for none of it."""

KERNELSPEC = {"display_name": "Nixenv", "language": "python", "name": "nixenv"}


def change(
    carried: Carried,
    spec: Spec,
    context: Context,
    *,
    upgrade: Upgrade = frozenset(),
    as_of: str | None = None,
) -> Outcome:
    """Lock `spec`, build it and write both into the document.

    Raises:
        NixError: As `nixlib.engine` and `write_document` raise; the document is as it was.
    """
    started, spec = clock(), without_secrets(spec)
    with naming(carried.document):
        lock = resolve(carried, spec, context, upgrade=upgrade, as_of=as_of)
    built = build_lock(carried, spec, lock, context)
    save(carried.document, spec, built.lock)
    known = carried.lock.notes if carried.lock else ()
    return _outcome(carried, spec, built.lock, built.environment, clock() - started, known)


def relock(
    carried: Carried,
    spec: Spec,
    context: Context,
    *,
    upgrade: Upgrade = frozenset(),
    as_of: str | None = None,
    substitutions: Substitutions | None = None,
) -> Outcome:
    """Lock `spec` and write both into the document; nothing is built.

    Raises:
        NixError: As `change`.
    """
    started, spec = clock(), without_secrets(spec)
    with naming(carried.document):
        lock = resolve(
            carried, spec, context, upgrade=upgrade, as_of=as_of, substitutions=substitutions
        )
    save(carried.document, spec, lock)
    found = find_environment(lock, context.settings)
    return _outcome(carried, spec, lock, found, clock() - started)


def resolve(
    carried: Carried,
    spec: Spec,
    context: Context,
    *,
    upgrade: Upgrade = frozenset(),
    as_of: str | None = None,
    substitutions: Substitutions | None = None,
) -> Lock:
    """A lock for `spec` in which only what was asked for moves.

    Raises:
        NixError: As `nixlib.engine.lock_spec`.
    """
    return lock_spec(
        spec,
        carried.lock,
        settings=context.settings,
        notebook=carried.document.name,
        folder=carried.path.parent,
        upgrade=upgrade,
        as_of=as_of,
        substitutions=substitutions,
        on_event=context.on_event,
        cancel=context.cancel,
    )


def save(document: Document, spec: Spec, lock: Lock) -> None:
    """Write spec, lock and (into a notebook) the kernelspec's name.

    Raises:
        ConflictError: Somebody changed the document since it was read.
        MetadataError: It cannot be written.
    """
    changes: dict[str, Any] = {KEY: {**spec.to_json(), "lock": lock.to_json()}}
    current = document.metadata.get("kernelspec")
    name = current.get("name") if isinstance(current, dict) else None
    if document.kind == "notebook" and name != KERNELSPEC["name"]:
        changes["kernelspec"] = KERNELSPEC
    write_document(document, changes)


def _outcome(
    carried: Carried,
    spec: Spec,
    lock: Lock,
    environment: Environment | None,
    seconds: float,
    known: Collection[str] = (),
) -> Outcome:
    """The outcome, whose warnings leave out the notes that are `known` already."""
    notes = (note for note in lock.notes if note not in known)
    return Outcome(
        notebook=carried.path,
        spec=spec,
        lock=lock,
        environment=environment,
        seconds=seconds,
        changes=changes_between(carried.lock, lock),
        warnings=(*notes, *(environment.warnings if environment else ())),
    )


def edit_spec(carried: Carried, context: Context, edit: Callable[[Spec], Spec]) -> Outcome:
    """`change` to what `edit` makes of the spec.

    Raises:
        NixError: As `change`, and what `edit` raises.
    """
    with naming(carried.document):
        spec = edit(carried.spec)
    outcome = change(carried, spec, context)
    note_use(outcome.lock, context.settings, carried.document)
    return outcome
