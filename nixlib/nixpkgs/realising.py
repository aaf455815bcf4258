"""Attributes of a lock become valid: what is in the store, what a cache has, and only then what is built.

The lock has the store paths, so nothing is evaluated and no revision is fetched unless no cache has them.
Then the revision is fetched, held against the lock's tree, evaluated, and its paths against the lock's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nixlib.cancel import Cancel
from nixlib.errors import EvaluationError, StoreError
from nixlib.progress import EventSink, Note, Phase, ignore
from nixlib.storepath import StorePath

if TYPE_CHECKING:
    from nixlib.lock import LockedAttribute
    from nixlib.nixpkgs.evaluating import Evaluator
    from nixlib.settings import Settings
    from nixlib.store import Store

_SHOWN = 3


@dataclass(frozen=True)
class RealisedAttribute:
    """An attribute whose outputs are valid.

    Attributes:
        locked: As the lock has it.
        paths: Its outputs on this system, the main one first.
    """

    locked: LockedAttribute
    paths: tuple[StorePath, ...]


def realise_attributes(
    attributes: Sequence[LockedAttribute],
    store: Store,
    *,
    settings: Settings,
    system: str,
    on_event: EventSink = ignore,
    cancel: Cancel | None = None,
) -> tuple[RealisedAttribute, ...]:
    """Make the outputs of `attributes` valid in `store`; one query where they are already.

    Args:
        attributes: Those of the lock that are wanted; those without outputs for `system` are left out.
        store: Where; temporary roots keep them while it is open.
        settings: Where revisions are, should something have to be built.
        system: This machine's.
        on_event: Told what takes long.
        cancel: Stops it.

    Raises:
        StoreError: They cannot run where the store lies: field `reason` is `place`.
        NetworkError: Something must be built, and its revision could not be had.
        HashMismatchError: The revision is not the one that the lock names.
        EvaluationError: It cannot be evaluated, or gives other paths than the lock has.
        SandboxError: It must be built, and nothing isolates builds here.
        BuildError: A builder failed.
        RealisationCancelledError: Somebody stopped it.
    """
    cancel = cancel or Cancel()
    wanted = {
        attribute: tuple(StorePath.parse(text) for text in attribute.outputs[system])
        for attribute in attributes
        if attribute.outputs.get(system)
    }
    paths = {path for found in wanted.values() for path in found}
    store.add_temp_root(paths)
    missing = paths - store.query_valid_paths(paths)
    if missing:
        on_event(Phase("substitute"))
        missing -= store.substitute(missing)
        cancel.check()
    if missing:
        unmade = {a: found for a, found in wanted.items() if missing & set(found)}
        _build(unmade, store, settings, system, on_event, cancel)
    for attribute, found in wanted.items():
        _check_place(attribute, found, store)
    return tuple(RealisedAttribute(attribute, found) for attribute, found in wanted.items())


def _build(
    wanted: Mapping[LockedAttribute, tuple[StorePath, ...]],
    store: Store,
    settings: Settings,
    system: str,
    on_event: EventSink,
    cancel: Cancel,
) -> None:
    """Build what no cache has; from here on everything costs, so everything is imported here."""
    from nixlib.ledger import Ledger  # noqa: PLC0415
    from nixlib.nixpkgs.building import build_derivations, check_sandbox  # noqa: PLC0415
    from nixlib.nixpkgs.evaluating import Asked, Evaluator  # noqa: PLC0415
    from nixlib.nixpkgs.repository import repository_of  # noqa: PLC0415
    from nixlib.nixpkgs.revisions import Revisions  # noqa: PLC0415

    with Ledger(settings.state_dir / "ledger.sqlite") as ledger:
        revisions = Revisions(store, ledger, settings, cancel, on_event)
        derivations: list[str] = []
        for attribute, paths in wanted.items():
            on_event(Note("info", f"building {attribute.attribute}: no cache has it", "nixpkgs"))
            repository = repository_of(attribute.source)
            revision = revisions.revision(repository, attribute.revision, tree=attribute.tree)
            evaluator = Evaluator(
                revision, system, settings, cancel, store.store_dir, revisions.ensure
            )
            asked = Asked(attribute.attribute, attribute.role)  # type: ignore[arg-type] # the lock's grammar
            _check_paths(
                evaluator, asked.attribute, evaluator.outputs([asked])[asked].outputs, paths
            )
            derivations += evaluator.instantiate([asked])
        check_sandbox(store, settings, cancel)
        build_derivations(list(dict.fromkeys(derivations)), settings, cancel)


def _check_paths(
    evaluator: Evaluator,
    attribute: str,
    evaluated: tuple[StorePath, ...],
    locked: tuple[StorePath, ...],
) -> None:
    if set(locked) <= set(evaluated):
        return
    source = evaluator.revision.repository.source
    raise EvaluationError(
        f"the lock gives false store paths for `{source}#{attribute}`",
        details=(
            f"revision {evaluator.revision.commit} has {', '.join(map(str, evaluated[:_SHOWN]))}",
            f"the lock has {', '.join(map(str, locked[:_SHOWN]))}, which no cache has",
        ),
        hint="`%nixenv lock` makes true ones; ask where this lock came from",
        attribute=attribute,
        source=source,
        revision=evaluator.revision.commit,
        system=evaluator.system,
    )


def _check_place(attribute: LockedAttribute, paths: Sequence[StorePath], store: Store) -> None:
    """Refuse programs that look for `/nix/store` where the store lies elsewhere.

    What nixpkgs builds names its libraries by their store paths. An output that refers to nothing, a
    script or a program of static libraries, runs anywhere.
    """
    for path in paths:
        place = store.physical(path)
        if str(place) == path.in_dir(store.store_dir):
            return
        info = store.query_path_info(path)
        if info is not None and info.references:
            raise StoreError(
                f"`{attribute.source}#{attribute.attribute}` cannot run out of a store that is not at `{store.store_dir}`",
                details=(
                    f"it looks for `{min(info.references).in_dir(store.store_dir)}`",
                    f"this store lies in `{place.parent}`",
                ),
                hint="use the machine's own Nix store, or take the package from conda or PyPI",
                reason="place",
                attribute=attribute.attribute,
            )
