"""The conda prefix of a plan: one derivation out of its unpacked archives, and how it joins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nixlib.composition.compose import InterpreterPackage
from nixlib.composition.package import FACTS_NAME, Package, StoreListing, no_facts
from nixlib.composition.prefix import prefix_package
from nixlib.conda.facts import parse_conda_facts
from nixlib.conda.listing import PrefixListing
from nixlib.errors import StoreError
from nixlib.plan import Leaf
from nixlib.platforms import python_minor
from nixlib.progress import Phase
from nixlib.realise.background import Background
from nixlib.realise.context import Context, Valid

if TYPE_CHECKING:
    from nixlib.conda.prefix import CondaPackage
    from nixlib.lock import LockedCondaPackage
    from nixlib.workshop.workshop import Workshop

_PYTHON = "python"


@dataclass(frozen=True)
class Prefix:
    """A conda prefix that is valid.

    Attributes:
        package: How it joins the environment.
        interpreter: Its Python; None where it has none.
        warnings: What the user should know of it.
    """

    package: Package
    interpreter: InterpreterPackage | None
    warnings: tuple[str, ...]


def begin_workshop(run: Context) -> Background[Workshop] | None:
    """Open what builds the prefix, beside all that has to come before; nothing without conda packages."""
    if not run.plan.conda:
        return None

    def opened() -> Workshop:
        from nixlib.workshop.workshop import open_workshop  # noqa: PLC0415 - only what builds needs it

        return open_workshop(run.store, run.settings, system=run.plan.system, cancel=run.cancel)

    return Background(opened, run.cancel)


def realise_prefix(
    run: Context, valid: Mapping[Leaf, Valid], workshop: Background[Workshop] | None
) -> Prefix | None:
    """The prefix of the plan's conda packages, at once where it has been built; None without any.

    Args:
        run: The realisation.
        valid: Its leaves.
        workshop: From `begin_workshop`.

    Raises:
        CondaArchiveError: A package cannot be laid out.
        BuildError: The prefix could not be built.
        StoreError: The store did not do its part.
        RealisationCancelledError: Somebody stopped it.
    """
    if workshop is None:
        return None
    # Not at the top: an environment without conda must not load what builds.
    from nixlib.conda.building import build_prefix  # noqa: PLC0415
    from nixlib.conda.prefix import plan_prefix  # noqa: PLC0415

    packages = [
        _conda_package(run, locked, valid[leaf])
        for locked, leaf in zip(run.plan.conda, run.plan.archives, strict=True)
    ]
    wanted = plan_prefix(packages)
    run.cancel.check()
    run.on_event(Phase("build"))
    path = build_prefix(wanted, workshop.result(), cancel=run.cancel)
    physical = run.store.physical(path)
    python = next((p.version for p in run.plan.conda if p.name == _PYTHON), "")
    package = prefix_package(
        path,
        physical,
        version=python,
        members=[name for p in run.plan.conda for name in (p.name, p.pypi) if name],
        owner=_Owners(packages).of,
    )
    listing = PrefixListing(physical)
    interpreter = InterpreterPackage(python, path, listing) if python else None
    return Prefix(package, interpreter, wanted.warnings)


def conda_packages(run: Context, valid: Mapping[Leaf, Valid]) -> dict[str, Package]:
    """What each Python package of the plan's conda packages has to import, by PyPI's name of it.

    Nothing is read for an environment without private groups, which are what asks for it.
    """
    if not run.plan.groups:
        return {}
    pairs = zip(run.plan.conda, run.plan.archives, strict=True)
    folder = f"lib/python{python_minor(run.plan.python.version)}/site-packages"
    found = {}
    for locked, leaf in pairs:
        path = valid[leaf].path
        place = "site-packages" if locked.noarch == "python" else folder
        found[locked.pypi] = Package(
            locked.pypi,
            locked.version,
            path,
            StoreListing(run.store.physical(path)),
            no_facts(locked.pypi, locked.version),
            parts={place: "site-packages"},
        )
    return {name: package for name, package in found.items() if name}


def _conda_package(run: Context, locked: LockedCondaPackage, found: Valid) -> CondaPackage:
    from nixlib.conda.prefix import CondaPackage  # noqa: PLC0415 - as above

    listing = StoreListing(run.store.physical(found.path))
    try:
        facts = parse_conda_facts(listing.read(FACTS_NAME))
    except OSError as error:
        raise _not_it(found, f"it has no readable `{FACTS_NAME}`: {error.strerror}") from error
    wanted = (locked.name, locked.version, locked.build, locked.noarch)
    if (facts.name, facts.version, facts.build, facts.noarch) != wanted:
        # A hint that its user trusts may still pair this archive with another one's tree.
        kind = f", `noarch: {facts.noarch}`" if facts.noarch else ""
        raise _not_it(found, f"it is `{facts.name}` {facts.version} {facts.build}{kind}")
    return CondaPackage(locked, found.path, listing, facts)


def _not_it(found: Valid, why: str) -> StoreError:
    return StoreError(
        f"the store object of the conda package `{found.leaf.name}` {found.leaf.version} is not that",
        details=(f"`{found.path}`: {why}",),
        hint="`%nixenv lock` makes a new lock",
        package=found.leaf.name,
    )


@dataclass(frozen=True)
class _Owners:
    """Which package of a prefix has brought a file; asked where somebody has to be named."""

    packages: Sequence[CondaPackage]

    def of(self, path: str) -> str:
        """The name of the package that `path` of the prefix is of."""
        return next((p.locked.name for p in self.packages if self._has(p, path)), "conda")

    def _has(self, package: CondaPackage, path: str) -> bool:
        if package.facts.noarch != "python":
            return package.listing.kind(path) is not None
        site = path.partition("/site-packages/")[2]
        command = path.removeprefix("bin/")
        return (
            any(entry.command == command for entry in package.facts.entry_points)
            or (bool(site) and package.listing.kind(f"site-packages/{site}") is not None)
            or package.listing.kind(f"python-scripts/{command}") is not None
            or package.listing.kind(path) is not None
        )
