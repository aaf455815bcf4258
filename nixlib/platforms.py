"""What each system is called by the others: Nix, PEP 508 markers, wheel tags, release tarballs.

A *system* is Nix's name (`x86_64-linux`). Every other spelling of a platform is made here and
nowhere else, so a lock made on one machine means the same on another. Pure, except for
`current_system` and `host_glibc`, which ask the running machine.
"""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nixlib.errors import LockError

if TYPE_CHECKING:
    from packaging.tags import Tag

__all__ = [
    "PYTHONS",
    "SYSTEMS",
    "conda_subdir",
    "current_system",
    "host_glibc",
    "is_nixos",
    "marker_environment",
    "python_minor",
    "python_version_key",
    "standalone_triple",
    "wheel_tags",
]

PYTHONS: Final = ("3.13", "3.12", "3.11", "3.10", "3.9", "3.8")
"""The Pythons that a kernel or a process beside it can have, the newest first."""


@dataclass(frozen=True, slots=True)
class _Platform:
    """One system, in the words of each ecosystem."""

    machine: str  # PEP 508 `platform_machine`, also the architecture in wheel tags
    kernel: str  # PEP 508 `platform_system`
    sys_platform: str
    triple: str  # the LLVM-like triple in the names of python-build-standalone's tarballs
    subdir: str  # the folder of a conda channel


_PLATFORMS: Final = {
    "x86_64-linux": _Platform("x86_64", "Linux", "linux", "x86_64-unknown-linux-gnu", "linux-64"),
    "aarch64-linux": _Platform(
        "aarch64", "Linux", "linux", "aarch64-unknown-linux-gnu", "linux-aarch64"
    ),
    "aarch64-darwin": _Platform("arm64", "Darwin", "darwin", "aarch64-apple-darwin", "osx-arm64"),
    "x86_64-darwin": _Platform("x86_64", "Darwin", "darwin", "x86_64-apple-darwin", "osx-64"),
}

SYSTEMS: Final = tuple(_PLATFORMS)
"""Every system that a lock can be for, in the order in which they are shown."""

# PEP 599, 571, 513: the names from before PEP 600, each with the glibc that it stands for.
_LEGACY_MANYLINUX: Final = {
    (2, 17): "manylinux2014",
    (2, 12): "manylinux2010",
    (2, 5): "manylinux1",
}
# PEP 600 knows nothing older than manylinux1 on x86; PEP 599 brought the other architectures in.
_OLDEST_GLIBC_MINOR: Final = {"x86_64": 5, "aarch64": 17}
_GLIBC_MAJOR: Final = 2  # there is no other that a tag could name
_VERSION: Final = re.compile(r"(\d+)\.(\d+)(?:\.(\d+)((?:a|b|rc)\d+)?)?\+?")


def current_system() -> str:
    """Nix's name of the running machine.

    Raises:
        LockError: No system of `SYSTEMS` is like this machine.
    """
    machine, kernel = platform.machine(), platform.system()
    for system, known in _PLATFORMS.items():
        aliases = {known.machine, "amd64"} if known.machine == "x86_64" else {known.machine}
        if kernel == known.kernel and machine.lower() in aliases:
            return system
    raise LockError(
        f"no packages can be locked for this machine: `{machine}` under `{kernel}`",
        details=tuple(f"`{system}` is supported" for system in SYSTEMS),
    )


def here_first(systems: Collection[str]) -> list[str]:
    """Each of `systems` once: the running one first, if it is among them, the others sorted.

    Raises:
        LockError: There is none.
    """
    if not systems:
        raise LockError("a lock needs at least one system")
    try:
        here = current_system()
    except LockError:
        here = ""
    return sorted(set(systems), key=lambda system: (system != here, system))


def host_glibc() -> tuple[int, int] | None:
    """The version of the C library that this process runs on; None where it is not glibc."""
    try:
        text = os.confstr("CS_GNU_LIBC_VERSION")
    except (AttributeError, ValueError, OSError):
        return None
    found = re.fullmatch(r"glibc (\d+)\.(\d+).*", text or "")
    return (int(found[1]), int(found[2])) if found else None


def is_nixos(root: Path = Path("/")) -> bool:
    """Whether this machine is NixOS, whose loader finds no library for a Python from elsewhere."""
    return (root / "etc" / "NIXOS").exists()


def standalone_triple(system: str) -> str:
    """The triple in the file names of python-build-standalone, `x86_64-unknown-linux-gnu`."""
    return _platform(system).triple


def conda_subdir(system: str) -> str:
    """What conda calls `system`: the folder of a channel that has its packages, `linux-64`."""
    return _platform(system).subdir


def python_version_key(version: str) -> tuple[int, int, int, str, int]:
    """A key that sorts CPython versions; `3.14.0rc1` comes before `3.14.0`.

    Raises:
        LockError: `version` is not a CPython version.
    """
    found = _VERSION.fullmatch(version)
    if found is None:
        raise LockError(f"`{version}` is not a Python version")
    pre = re.fullmatch(r"([a-z]+)(\d+)", found[4] or "")
    stage, number = (pre[1], int(pre[2])) if pre else ("~", 0)  # "~" sorts after every letter
    return (int(found[1]), int(found[2]), int(found[3] or 0), stage, number)


def python_minor(version: str) -> str:
    """`3.11` of `3.11.7`."""
    return "{}.{}".format(*python_version_key(version)[:2])


def marker_environment(system: str, python_version: str) -> dict[str, str]:
    """What PEP 508 markers see in CPython `python_version` on `system`.

    `platform_release` and `platform_version` are empty: they name a machine, not a system, and
    a lock that depended on them would be right on one machine only.
    """
    known = _platform(system)
    return {
        "implementation_name": "cpython",
        "implementation_version": python_version,
        "os_name": "posix",
        "platform_machine": known.machine,
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": known.kernel,
        "platform_version": "",
        "python_full_version": python_version,
        "python_version": python_minor(python_version),
        "sys_platform": known.sys_platform,
    }


def wheel_tags(
    system: str,
    python_minor: str,
    glibc: tuple[int, int] | None = (2, 28),
    macos: tuple[int, int] = (14, 0),
) -> list[Tag]:
    """The wheels that CPython `python_minor` can use on `system`, best first.

    Args:
        system: One of `SYSTEMS`.
        python_minor: `3.11`.
        glibc: The newest glibc that may be asked of the machine (PEP 600); None where it has
            another C library, and then only `linux_*` and `any` wheels remain.
        macos: The newest macOS that may be asked of the machine.

    Returns:
        Tags in the order of `packaging.tags.sys_tags`, musllinux left out.
    """
    from packaging import tags  # noqa: PLC0415 - 20 ms that a kernel start must not pay

    major, minor = python_version_key(python_minor)[:2]
    platforms = list(_platform_tags(_platform(system), glibc, macos))
    interpreter = f"cp{major}{minor}"
    return [
        *tags.cpython_tags((major, minor), [interpreter], platforms),
        *tags.compatible_tags((major, minor), interpreter, platforms),
    ]


def _platform(system: str) -> _Platform:
    if system not in _PLATFORMS:
        raise LockError(
            f"`{system}` is not a system that packages can be locked for",
            details=tuple(f"`{known}` is supported" for known in SYSTEMS),
        )
    return _PLATFORMS[system]


def _platform_tags(
    known: _Platform, glibc: tuple[int, int] | None, macos: tuple[int, int]
) -> Iterator[str]:
    if known.kernel == "Darwin":
        from packaging.tags import mac_platforms  # noqa: PLC0415 - as above

        yield from mac_platforms(macos, known.machine)
        return
    yield f"linux_{known.machine}"  # made for such a machine: `packaging` puts it first, too
    yield from _manylinux_tags(known.machine, glibc)


def _manylinux_tags(machine: str, glibc: tuple[int, int] | None) -> Iterator[str]:
    if glibc is None or glibc[0] != _GLIBC_MAJOR:
        return
    for minor in range(glibc[1], _OLDEST_GLIBC_MINOR[machine] - 1, -1):
        yield f"manylinux_2_{minor}_{machine}"
        legacy = _LEGACY_MANYLINUX.get((2, minor))
        if legacy is not None:
            yield f"{legacy}_{machine}"
