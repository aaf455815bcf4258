"""A planned prefix becomes a store object: one derivation, because its files carry its own path."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nixlib.conda.prefix import PrefixPlan
from nixlib.progress import EventSink, Note, ignore

if TYPE_CHECKING:
    from nixlib.cancel import Cancel
    from nixlib.derivation import Derivation
    from nixlib.storepath import StorePath
    from nixlib.workshop.workshop import Workshop

__all__ = ["build_prefix", "prefix_derivation"]

_NAME = "conda-prefix"  # short: conda packages of old leave 80 bytes for the whole path


def prefix_derivation(plan: PrefixPlan, workshop: Workshop) -> Derivation:
    """The derivation of a prefix; equal plans have equal outputs.

    Raises:
        CondaArchiveError: A file has no room for the path of the prefix.
    """
    place = str(workshop.physical_dir)
    orders = {**plan.to_json(), "store": workshop.store.store_dir, "place": place}
    derivation = workshop.derivation(_NAME, "build_prefix", orders, plan.inputs)
    plan.check_length(f"{place}/{derivation.output(workshop.store.store_dir)}")
    return derivation


def build_prefix(
    plan: PrefixPlan,
    workshop: Workshop,
    *,
    cancel: Cancel | None = None,
    on_event: EventSink = ignore,
) -> StorePath:
    """Make a prefix valid; costs a query where it is.

    No code of a package runs, so nothing needs to be enclosed.

    Args:
        plan: The prefix.
        workshop: Where it is built; the plan's inputs are valid in its store.
        cancel: Stops it.
        on_event: Told of the plan's warnings.

    Returns:
        Its store path, with a temporary root.

    Raises:
        CondaArchiveError: A file has no room for the path of the prefix.
        BuildError: The builder failed.
        StoreError: Nix cannot build.
        RealisationCancelledError: Somebody stopped it.
    """
    for warning in plan.warnings:
        on_event(Note("warning", warning, "conda"))
    return workshop.build(prefix_derivation(plan, workshop), cancel=cancel)
