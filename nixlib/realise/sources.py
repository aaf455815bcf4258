"""Packages that come as source: wheels that were built here, joining like any other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from nixlib.composition.package import Package
from nixlib.realise.context import Context
from nixlib.realise.joining import package_at


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


def realise_sources(run: Context) -> Sources:
    """The wheels of the plan's sources, at once where this machine has built them before.

    Raises:
        SourceError: A source cannot be opened.
        SourceBuildError: It cannot be built; the hint has what it missed.
        SandboxError: Nothing here keeps a build from the rest of the machine.
        HashMismatchError: It is not the source that the lock names.
        NetworkError: It could not be had.
        RealisationCancelledError: Somebody stopped it.
    """
    if not run.plan.sources or run.plan.lock is None:
        return Sources()
    # Not at the top: an environment without sources must not load what builds, which itself realises.
    from nixlib.sources.realising import realise_source  # noqa: PLC0415
    from nixlib.sources.site import BuildSite  # noqa: PLC0415

    site = BuildSite(
        store=run.store,
        ledger=run.ledger,
        settings=run.settings,
        base=run.plan.lock,
        build_inputs=run.plan.build_inputs,
        folder=run.folder,
        system=run.plan.system,
        on_event=run.on_event,
        cancel=run.cancel,
        auth=run.auth,
    )
    made = [(package, realise_source(package, site)) for package in run.plan.sources]
    return Sources(
        packages=tuple(package_at(run.store, p.name, p.version, found.path) for p, found in made),
        built={
            f"{package.name} {run.plan.system}": found.nar
            for package, found in made
            if package.source and package.source.kind != "editable"
        },
        warnings=tuple(warning for _, found in made for warning in found.warnings),
    )
