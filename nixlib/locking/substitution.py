"""Variants in the place of the spec's, for a machine that cannot have those."""

from __future__ import annotations

from collections.abc import Mapping

from nixlib.lock import Lock
from nixlib.variants import NONE, VIRTUAL


def standing(previous: Lock | None, here: Mapping[str, str] | None = None) -> dict[str, str | None]:
    """The substitutions of a lock, as long as this machine is as when they were made.

    Args:
        previous: The lock so far.
        here: Stands in for the virtual packages of this machine, by name.
    """
    if previous is None or not previous.substitutions:
        return {}
    from nixlib.virtualpackages import machine_has  # noqa: PLC0415 - few locks need it

    has = machine_has() if here is None else here
    found = {name: None if said == NONE else said for name, said in previous.substitutions.items()}
    # What is no matter of the machine was its owner's choice, and stays.
    return {
        name: choice
        for name, choice in found.items()
        if name not in VIRTUAL or has.get(VIRTUAL[name]) == choice
    }
