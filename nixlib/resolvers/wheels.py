"""Which wheel of a version each system gets, and which systems a version serves (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TypeVar
from urllib.parse import unquote

from nixlib.platforms import wheel_tags

__all__ = ["best_wheel", "served", "wheel_ranks", "wheel_triples"]

_OLD_GLIBC = (2, 28)  # RHEL 8, Debian 10: what nearly every machine has
_ANY_GLIBC = (2, 99)
_ANY_MACOS = (27, 0)

_File = TypeVar("_File")
_Triple = tuple[str, str, str]


@lru_cache(maxsize=64)
def wheel_ranks(system: str, python_minor: str) -> Mapping[_Triple, int]:
    """Every tag that can run, with its rank; lower is better.

    Wheels for an old C library or macOS come first, whichever is newer: they run on more machines.
    """
    old = wheel_tags(system, python_minor, _OLD_GLIBC)
    new = wheel_tags(system, python_minor, _ANY_GLIBC, _ANY_MACOS)
    ranks: dict[_Triple, int] = {}
    for tag in (*old, *new):
        ranks.setdefault((tag.interpreter, tag.abi, tag.platform), len(ranks))
    return ranks


def wheel_triples(filename: str) -> tuple[_Triple, ...]:
    """The tags in a wheel's file name; none when it is not a wheel's.

    Examples:
        >>> wheel_triples("six-1.16.0-py2.py3-none-any.whl")
        (('py2', 'none', 'any'), ('py3', 'none', 'any'))
    """
    parts = unquote(filename).removesuffix(".whl").rsplit("-", 3)
    if not filename.endswith(".whl") or len(parts) != 4 or "-" not in parts[0]:  # noqa: PLR2004
        return ()
    pythons, abis, platforms = (part.lower().split(".") for part in parts[1:])
    return tuple((python, abi, where) for python in pythons for abi in abis for where in platforms)


def rank(filename: str, ranks: Mapping[_Triple, int]) -> int | None:
    """How well a wheel suits; None when it cannot run."""
    return min((ranks[item] for item in wheel_triples(filename) if item in ranks), default=None)


def best_wheel(
    files: Iterable[_File], names: Sequence[str], system: str, python_minor: str
) -> _File | None:
    """The file that suits `system` best; `names` are the files' names, in their order.

    Equal tags differ by build number, which is part of the name: the highest wins.
    """
    ranks = wheel_ranks(system, python_minor)
    usable = [
        (-place, _build(name), name, number)
        for number, name in enumerate(names)
        if (place := rank(name, ranks)) is not None
    ]
    items = list(files)
    return items[max(usable)[3]] if usable else None


def _build(name: str) -> int:
    parts = name.split("-")
    digits = "".join(char for char in parts[2] if char.isdigit()) if len(parts) == 6 else ""  # noqa: PLR2004
    return int(digits or -1)


def served(filenames: Iterable[str]) -> str:
    """For a message: the Pythons and platforms that these files are for.

    Examples:
        >>> served(["numpy-1.18.0-cp37-cp37m-manylinux1_x86_64.whl", "numpy-1.18.0.zip"])
        'Python 3.7 on Linux x86_64'
    """
    places: dict[str, set[tuple[int, ...]]] = {}
    for triple in (triple for name in filenames for triple in wheel_triples(name)):
        version = _python(triple[0])
        if version:
            places.setdefault(_place(triple[2]), set()).add(version)
    return "; ".join(
        f"Python {', '.join('.'.join(map(str, item)) for item in sorted(versions))} on {place}"
        for place, versions in sorted(places.items())
    )


def _python(tag: str) -> tuple[int, ...]:
    digits = tag[2:]
    if tag[:2] not in ("cp", "py") or not digits.isdigit():
        return ()
    return (int(digits[0]), int(digits[1:])) if len(digits) > 1 else (int(digits),)


def _place(platform: str) -> str:
    if platform == "any":
        return "every platform"
    systems = (
        ("musllinux", "musl Linux"),
        ("linux", "Linux"),
        ("macosx", "macOS"),
        ("win", "Windows"),
    )
    name = next((shown for part, shown in systems if part in platform), platform)
    machines = (
        "x86_64",
        "amd64",
        "aarch64",
        "arm64",
        "universal2",
        "i686",
        "ppc64le",
        "s390x",
        "armv7l",
    )
    machine = next((item for item in machines if platform.endswith(item)), "")
    return f"{name} {machine.replace('amd64', 'x86_64')}".strip()
