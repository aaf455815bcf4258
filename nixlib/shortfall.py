"""What a lock was made for that this machine has not, and what it has in its place.

A lock keeps what its author had: a GPU, a newer glibc. Where that is missing the notebook still starts, and
says so before its first cell; a lock for this machine is made only when somebody asks for one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nixlib.platforms import current_system

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nixlib.lock import Lock
    from nixlib.spec import Spec
    from nixlib.virtualpackages import Missing

_CUDA = "cuda"


def shortfalls(spec: Spec, lock: Lock, here: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """One sentence for each thing; nothing is imported, and nobody asked, for a lock that needs none.

    Args:
        spec: What the lock answers.
        lock: What is started.
        here: Stands in for the virtual packages of this machine, by name.
    """
    of_processes = tuple(
        f"private group `{group.name}`: {sentence}"
        for group in lock.private
        if group.process
        for sentence in _shortfalls(_of_process(spec, group.name), group.process, here)
    )
    return (*_shortfalls(spec, lock, here), *of_processes)


def _of_process(spec: Spec, name: str) -> Spec:
    return next((spec.of_process(group) for group in spec.private if group.name == name), spec)


def _shortfalls(spec: Spec, lock: Lock, here: Mapping[str, str] | None) -> tuple[str, ...]:
    replaced = tuple(
        _substitution(name, choice, spec) for name, choice in sorted(lock.substitutions.items())
    )
    wants_cuda = spec.variants.get(_CUDA) is not None and _CUDA not in lock.substitutions
    if not (lock.conda.needs or wants_cuda):
        return replaced
    from nixlib.virtualpackages import machine_has, missing_here, substitutes  # noqa: PLC0415

    has = machine_has() if here is None else here
    missing = missing_here(lock.conda, current_system(), has)
    offers = substitutes(missing)
    said = [
        _sentence(item, offers[name])
        for item in missing
        if (name := item.name.removeprefix("__")) in offers
    ]
    if wants_cuda and "__cuda" not in has and _CUDA not in offers:
        said.append(_offer(f"CUDA {spec.variants[_CUDA]}", "none", _CUDA, None))
    return (*replaced, *said)


def _substitution(name: str, choice: str, spec: Spec) -> str:
    if name not in spec.variants:
        return f"this notebook's lock was made with `{name}={choice}`, of which its `variants` say nothing"
    return (
        f"`{name}={spec.variants[name] or 'none'}` is what this notebook asks for; its lock has"
        f" `{name}={choice}`, for a machine without it"
    )


def _sentence(item: Missing, offer: str | None) -> str:
    wanted = f"`{item.wanted}`" + (f" (`{item.made_for}`)" if item.made_for else "")
    return _offer(wanted, item.found or "none", item.name.removeprefix("__"), offer)


def _offer(wanted: str, found: str, name: str, choice: str | None) -> str:
    return (
        f"this notebook was locked for a machine with {wanted}, and this one has {found};"
        f" `%nixenv lock --variant {name}={choice or 'none'}` makes a lock for this machine"
    )
