"""Packages that come as source: wheels that were built here, joining like any other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from nixlib.composition.package import Package
from nixlib.realise.context import Context
from nixlib.realise.joining import package_at

if TYPE_CHECKING:
    from nixlib.lock import Lock, LockedPackage, LockedSource


@dataclass(frozen=True)
class Sources:
    """What was built, now or before.

    Attributes:
        packages: The unpacked wheels.
        built: SRI NAR hash of each, by `name system`; of an editable one it says nothing to others.
        warnings: What the user should know of them.
    """

    packages: tuple[Package, ...] = ()
    built: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def realise_sources(run: Context, packages: Sequence[LockedPackage]) -> Sources:
    """The wheels of `packages`, at once where this machine has built them before.

    Args:
        run: The realisation.
        packages: Those of the plan, or of one of its groups, that come as source.

    Raises:
        SourceError: A source cannot be opened.
        SourceBuildError: It cannot be built; the hint has what it missed.
        SandboxError: Nothing here keeps a build from the rest of the machine.
        HashMismatchError: It is not the source that the lock names.
        NetworkError: It could not be had.
        RealisationCancelledError: Somebody stopped it.
    """
    lock = run.plan.lock
    if not packages or lock is None:
        return Sources()
    once = _built_once(lock)
    # Not at the top: an environment without sources must not load what builds, which itself realises.
    from nixlib.sources.realising import realise_source  # noqa: PLC0415
    from nixlib.sources.site import BuildSite  # noqa: PLC0415

    site = BuildSite(
        store=run.store,
        ledger=run.ledger,
        settings=run.settings,
        base=replace(lock, built={k: v for k, v in lock.built.items() if k.split(" ")[0] in once}),
        build_inputs=run.plan.build_inputs,
        folder=run.folder,
        system=run.plan.system,
        on_event=run.on_event,
        cancel=run.cancel,
        auth=run.auth,
    )
    made = [(package, realise_source(package, site)) for package in packages]
    return Sources(
        packages=tuple(package_at(run.store, p.name, p.version, found.path) for p, found in made),
        built={
            f"{package.name} {run.plan.system}": found.nar
            for package, found in made
            if package.source and package.source.kind != "editable" and package.name in once
        },
        warnings=tuple(warning for _, found in made for warning in found.warnings),
    )


def _built_once(lock: Lock) -> frozenset[str]:
    """Names that stand for one source: what a lock says of builds goes by the name alone."""
    groups = (package for group in lock.private for package in group.packages)
    found: dict[str, set[LockedSource | None]] = {}
    for package in (*lock.packages, *groups):
        if package.source:
            found.setdefault(package.name, set()).add(package.source)
    return frozenset(name for name, sources in found.items() if len(sources) == 1)
