"""The notebook's own Python packages, as a group sees them: by system, from whichever ecosystem (pure)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from nixlib.lock.packages import LockedPackage
from nixlib.private.singletons import KERNEL, OWN_WISH, reason

if TYPE_CHECKING:
    from nixlib.lock.conda import LockedCondaPackage
    from nixlib.lock.lock import Lock

__all__ = ["closure", "of_system", "once_only", "public_packages"]

_KERNEL = "ipykernel"
_OF_NIXPKGS = re.compile(r"[0-9a-z]{32}-python3\.\d+-([A-Za-z0-9._-]+?)-(\d[A-Za-z0-9._+!]*)")


def of_system(packages: Iterable[LockedPackage], system: str) -> dict[str, LockedPackage]:
    """What of `packages` a system gets, by name."""
    return {one.name: one for one in packages if not one.systems or system in one.systems}


def public_packages(lock: Lock, system: str) -> dict[str, LockedPackage]:
    """Every Python package of the notebook on a system, by normalised name.

    Those of conda and nixpkgs are among them, without wheels: no package of an index is the same as one.
    """
    return {
        **_of_nixpkgs(lock, system),
        **_of_conda(lock.conda.of_system(system)),
        **of_system(lock.packages, system),
    }


def _of_conda(packages: Iterable[LockedCondaPackage]) -> dict[str, LockedPackage]:
    by_name = {package.name: package for package in packages}

    def needs(package: LockedCondaPackage) -> frozenset[str]:
        """What it needs of Python, through whatever libraries."""
        found: set[str] = set()
        seen: set[str] = {package.name}
        waiting = list(package.depends)
        while waiting:
            one = by_name.get(waiting.pop())
            if one is None or one.name in seen:
                continue
            seen.add(one.name)
            if one.pypi and one.pypi != package.pypi:
                found.add(one.pypi)
            else:
                waiting.extend(one.depends)
        return frozenset(found)

    found: dict[str, LockedPackage] = {}
    for package in by_name.values():
        if package.pypi:
            other = found.get(package.pypi)
            requires = {*needs(package), *(other.requires if other else ())}
            found[package.pypi] = LockedPackage(
                package.pypi, package.version, requires=tuple(sorted(requires))
            )
    return found


def _of_nixpkgs(lock: Lock, system: str) -> dict[str, LockedPackage]:
    names = (
        name
        for attribute in lock.attributes
        if attribute.role == "requirement"
        for name in attribute.outputs.get(system, ())
    )
    read = [found for name in names if (found := _OF_NIXPKGS.fullmatch(name))]
    everything = {canonicalize_name(found[1]): found[2] for found in read}
    # Who needs whom there is not recorded: together they may all be what the kernel runs on.
    requires = tuple(sorted(everything)) if _KERNEL in everything else ()
    return {
        name: LockedPackage(name, version, requires=tuple(r for r in requires if r != name))
        for name, version in everything.items()
    }


def closure(packages: Mapping[str, LockedPackage], names: Iterable[str]) -> frozenset[str]:
    """`names` and everything that they need, as far as `packages` has it."""
    seen: set[str] = set()
    waiting = [name for name in names if name in packages]
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting.extend(need for need in packages[name].requires if need in packages)
    return frozenset(seen)


def once_only(
    packages: Mapping[str, LockedPackage], singleton: Iterable[str] = ()
) -> dict[str, str]:
    """The notebook's packages that a group in its process cannot have another version of, each with the reason.

    Args:
        packages: Of the notebook, on one system.
        singleton: More of them, by the group's own wish.
    """
    wished = {name: OWN_WISH for name in singleton if name in packages}
    known = {name: why for name in packages if (why := reason(name))}
    kernel = dict.fromkeys(closure(packages, [_KERNEL]), KERNEL)
    return {**wished, **kernel, **known}
