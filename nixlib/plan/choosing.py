"""Which wheel of a package a machine gets (pure)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from nixlib.errors import PlanError
from nixlib.lock import Artifact, LockedPackage
from nixlib.platforms import wheel_tags

_WHEEL = re.compile(
    r"[^-]+-[^-]+(?:-(?P<build>\d[^-]*))?-(?P<python>[^-]+)-(?P<abi>[^-]+)-(?P<platform>[^-]+)\.whl"
)
_PURE = ("-py3-none-any.whl", "-py2.py3-none-any.whl")
_SHOWN = 12


def choose_wheels(
    packages: Sequence[LockedPackage], system: str, minor: str, glibc: tuple[int, int] | None
) -> tuple[list[tuple[LockedPackage, Artifact]], tuple[LockedPackage, ...]]:
    """The wheel of each package on one machine, and the packages that are built because none fits.

    Args:
        packages: What the machine gets.
        system: Nix's name of it.
        minor: Of Python, `3.11`.
        glibc: The machine's C library; None where it has another.

    Raises:
        PlanError: No wheel of a package fits, and it has no source: every such package is named.
    """
    ranks: dict[str, int] = {}
    chosen: list[tuple[LockedPackage, Artifact]] = []
    homeless: list[LockedPackage] = []
    for package in sorted(packages):
        only = package.wheels[0] if len(package.wheels) == 1 else None
        if only and only.filename.endswith(_PURE):
            chosen.append((package, only))  # most packages: no tag needs to be looked at
            continue
        if not ranks:
            tags = wheel_tags(system, minor, glibc)
            ranks = {str(tag): rank for rank, tag in reversed(list(enumerate(tags)))}
        ranked = [(_rank(wheel.filename, ranks), wheel) for wheel in package.wheels]
        best = min(((rank, wheel) for rank, wheel in ranked if rank is not None), default=None)
        if best is None:
            homeless.append(package)
        else:
            chosen.append((package, best[1]))
    nowhere = [package for package in homeless if package.source is None]
    if nowhere:
        raise _no_wheel(nowhere, system, minor, glibc)
    return chosen, tuple(homeless)


def _rank(filename: str, ranks: Mapping[str, int]) -> tuple[int, int, str] | None:
    """How good a wheel is, less is better: its best tag, then the higher build number (PEP 427)."""
    found = _WHEEL.fullmatch(filename)
    if found is None:
        return None
    tags = (
        f"{python}-{abi}-{platform}"
        for python in found["python"].split(".")
        for abi in found["abi"].split(".")
        for platform in found["platform"].split(".")
    )
    rank = min((ranks[tag] for tag in tags if tag in ranks), default=None)
    if rank is None:
        return None
    digits = re.match(r"\d+", found["build"] or "")
    return rank, -int(digits[0]) if digits else 0, filename


def _no_wheel(
    packages: Sequence[LockedPackage], system: str, minor: str, glibc: tuple[int, int] | None
) -> PlanError:
    first = packages[0]
    others = f" and {len(packages) - 1} more" if len(packages) > 1 else ""
    details = [
        f"`{package.name}` {package.version} offers {_offered(package)}"
        for package in packages[:_SHOWN]
    ]
    if system.endswith("-linux"):
        library = f"glibc {glibc[0]}.{glibc[1]}" if glibc else "a C library that is not glibc"
        details.append(f"this machine has Python {minor} and {library}")
    return PlanError(
        f"no wheel of `{first.name}` {first.version}{others} fits Python {minor} on `{system}`",
        details=tuple(details),
        package=first.name,
        version=first.version,
        system=system,
    )


def _offered(package: LockedPackage) -> str:
    tags = (
        "-".join(wheel.filename.removesuffix(".whl").split("-")[-3:]) for wheel in package.wheels
    )
    return ", ".join(f"`{tag}`" for tag in tags) or "no wheel at all"
