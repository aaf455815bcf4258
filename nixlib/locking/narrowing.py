"""A lock for fewer systems than it was made for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from nixlib.lock import Lock, LockedConda, LockedPackage
from nixlib.platforms import python_minor
from nixlib.resolvers.wheels import best_wheel

__all__ = ["conda_of", "of_systems", "packages_of"]


def of_systems(lock: Lock, systems: Sequence[str]) -> Lock:
    """What of a lock some of its systems get, but for its groups."""
    if set(lock.systems) <= set(systems):
        return lock
    kept = tuple(system for system in lock.systems if system in systems)
    minor = python_minor(lock.interpreter.version)
    return replace(
        lock,
        systems=kept,
        packages=packages_of(lock.packages, kept, minor),
        build_packages=packages_of(lock.build_packages, kept, minor),
        conda=conda_of(lock.conda, kept),
        attributes=tuple(
            replace(one, outputs={s: paths for s, paths in one.outputs.items() if s in kept})
            for one in lock.attributes
        ),
    )


def packages_of(
    packages: Iterable[LockedPackage], systems: Sequence[str], minor: str
) -> tuple[LockedPackage, ...]:
    """Those that one of `systems` gets, with the wheels that they get.

    Args:
        packages: Of a lock for these systems and others.
        systems: Those that stay.
        minor: The Python, such as `3.11`.
    """
    found = []
    for package in packages:
        served = tuple(system for system in package.systems if system in systems)
        if package.systems and not served:
            continue
        names = [wheel.filename for wheel in package.wheels]
        best = {
            wheel
            for system in (served or systems)
            if (wheel := best_wheel(package.wheels, names, system, minor))
        }
        everywhere = len(served) == len(systems)
        found.append(
            replace(
                package,
                wheels=tuple(sorted(best)),
                systems=() if everywhere else served,
            )
        )
    return tuple(found)


def conda_of(conda: LockedConda, systems: Sequence[str]) -> LockedConda:
    """What of conda is for some of its systems."""
    if all(set(p.systems) <= set(systems) for p in conda.packages) and set(conda.virtual) <= set(
        systems
    ):
        return conda
    packages = []
    for package in conda.packages:
        served = tuple(s for s in package.systems if s in systems)
        if served or not package.systems:
            everywhere = len(served) == len(systems)
            packages.append(replace(package, systems=() if everywhere else served))
    return replace(
        conda,
        packages=tuple(packages),
        virtual={system: v for system, v in conda.virtual.items() if system in systems},
        needs={system: v for system, v in conda.needs.items() if system in systems},
    )
