"""A locked source becomes an unpacked wheel: found where this machine made it before, else built.

The lock says what the build gave where the notebook was locked. Another result here is no error, since not
every build is reproducible; it is said.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from nixlib.filelock import file_lock
from nixlib.lock import LockedPackage
from nixlib.sources.building import Built, build_source
from nixlib.sources.site import BuildSite
from nixlib.sources.source import OpenedSource
from nixlib.sri import sri_digest
from nixlib.storenames import wheel_store_name
from nixlib.storepath import StorePath, fixed_output_path

__all__ = ["BUILT_RECIPE", "RealisedSource", "built_with", "realise_source", "remember"]

BUILT_RECIPE: Final = "built-1"
"""What is made of a source and all that it is built with, in the ledger."""


@dataclass(frozen=True)
class RealisedSource:
    """A package whose wheel was built, as a store object like any other unpacked wheel.

    Attributes:
        path: It, valid.
        nar: SRI NAR hash.
        warnings: What the user should know of it.
    """

    path: StorePath
    nar: str
    warnings: tuple[str, ...] = ()


def built_with(
    package: LockedPackage, build_packages: tuple[LockedPackage, ...]
) -> tuple[LockedPackage, ...]:
    """Those of a lock's build packages that `package` is built with, and what those are built with in turn.

    Examples:
        >>> built_with(LockedPackage("six", "1.16.0"), (LockedPackage("wheel", "0.42.0"),))
        ()
    """
    by_name = {f"{p.name} {p.version}": p for p in build_packages}
    found: dict[str, LockedPackage] = {}
    waiting = list(package.source.build) if package.source else []
    while waiting:
        label = waiting.pop()
        needed = by_name.get(label)
        if needed is not None and label not in found:
            found[label] = needed
            waiting += needed.source.build if needed.source else ()
    return tuple(found[label] for label in sorted(found))


def realise_source(package: LockedPackage, site: BuildSite) -> RealisedSource:
    """Make the wheel of `package` valid: at once where this machine has built it before.

    Args:
        package: Of the lock; it has a source.
        site: Where; its `base` is the whole lock, whose build packages and former results count.

    Raises:
        SourceError: The source cannot be opened.
        HashMismatchError: It is not the one that the lock names.
        SourceBuildError: It cannot be built; the hint has what it missed.
        SandboxError: Nothing here keeps a build from the rest of the machine.
        NetworkError: It could not be had.
        RealisationCancelledError: Somebody stopped it.
    """
    source = package.source
    if source is None:
        raise ValueError(package.name)
    packages = built_with(package, site.base.build_packages)
    direct = tuple(p for p in packages if f"{p.name} {p.version}" in source.build)
    tree, opened = source.tree, None
    if source.kind == "editable":
        # No hash stands for what is edited in place: its files are looked at each time.
        opened = site.opener.reopen(source, package.name, package.version)
        tree = str(opened.tree)
    key = site.key(source, direct, packages, tree)
    with file_lock(site.settings.state_dir / "locks" / key, site.cancel):
        known = _known(package, site, key)
        if known is not None:
            return known
        opened = opened or site.opener.reopen(source, package.name, package.version)
        built = build_source(site, _with_build(opened, source.build), packages)
        _put(site, key, built)
    nar = built.nar
    return RealisedSource(built.path, nar, (*built.warnings, *_compared(package, site, nar)))


def remember(
    site: BuildSite, opened: OpenedSource, packages: tuple[LockedPackage, ...], built: Built
) -> None:
    """Note what was built while a lock was made, so that realising the lock finds it."""
    source = opened.source
    direct = tuple(p for p in packages if f"{p.name} {p.version}" in source.build)
    tree = str(opened.tree) if source.kind == "editable" else source.tree
    _put(site, site.key(source, direct, packages, tree), built)


def _put(site: BuildSite, key: str, built: Built) -> None:
    made = " ".join([built.nar, *map(str, built.references)])
    site.ledger.put(key, BUILT_RECIPE, made)


def _with_build(opened: OpenedSource, build: tuple[str, ...]) -> OpenedSource:
    return replace(opened, source=replace(opened.source, build=build))


def _known(package: LockedPackage, site: BuildSite, key: str) -> RealisedSource | None:
    """What this machine made of it before, if the store still has it."""
    nar, *references = (site.ledger.get(key, BUILT_RECIPE) or "").split()[:50] or ("",)
    if not nar:
        return None
    path = fixed_output_path(
        wheel_store_name(package.name, package.version),
        sri_digest(nar),
        tuple(StorePath.parse(text) for text in references),
        site.store.store_dir,
    )
    site.store.add_temp_root((path,))
    if not site.store.query_valid_paths((path,)):
        return None
    return RealisedSource(path, nar, _compared(package, site, nar))


def _compared(package: LockedPackage, site: BuildSite, nar: str) -> tuple[str, ...]:
    """What to say where the lock had another result of the same build."""
    locked = site.base.built.get(f"{package.name} {site.system}")
    if locked in (None, nar) or (package.source and package.source.kind == "editable"):
        return ()
    said = (
        f"`{package.name}` {package.version}, built again, is not what the lock has of its first build:"
        f" {nar} here, {locked} there; it cannot be reproduced exactly"
    )
    return (said,)
