"""What the notebook's key `python` allows, and which of the Pythons at hand suits it best (pure)."""

from __future__ import annotations

from collections.abc import Iterable

from nixlib.errors import InterpreterError
from nixlib.platforms import python_version_key


def is_allowed(request: str | None, version: str) -> bool:
    """Whether `version` is what `request` asks for.

    Args:
        request: `3.11`, `3.11.7`, a specifier (PEP 440) such as `>=3.10,<3.13`, or None for any.
        version: `3.11.7`; pre-releases only by their exact name.

    Raises:
        InterpreterError: `request` is none of these.
    """
    from packaging.specifiers import InvalidSpecifier, SpecifierSet  # noqa: PLC0415 - 10 ms

    if request is None:
        return not _is_prerelease(version)
    if request == version:
        return True
    if request[0].isdigit():
        wanted = request.split(".")
        return version.split(".")[: len(wanted)] == wanted and not _is_prerelease(version)
    try:
        return SpecifierSet(request).contains(version, prereleases=False)
    except InvalidSpecifier as error:
        raise InterpreterError(
            f"`{request}` is not a Python version",
            details=("key `nixenv.python` takes `3.11`, `3.11.7` or `>=3.10,<3.13`",),
            wanted=request,
            found=(),
        ) from error


def by_preference(request: str | None, versions: Iterable[str], usual: str) -> list[str]:
    """The allowed of `versions`, best first.

    Where nothing is asked for, the newest of the `usual` minor version (`3.11`) comes first: what a
    user has already is what most packages have wheels for. Else the newest does.
    """
    allowed = {version for version in versions if is_allowed(request, version)}
    return sorted(
        allowed,
        key=lambda version: (
            request is None and version.startswith(usual + "."),
            python_version_key(version),
        ),
        reverse=True,
    )


def nearest(version: str, versions: Iterable[str]) -> str | None:
    """The one of `versions` that differs least from `version`, later ones before earlier."""
    wanted = python_version_key(version)

    def distance(other: str) -> tuple[int, int, bool, int]:
        key = python_version_key(other)
        same_minor = key[:2] == wanted[:2]
        gap = key[2] - wanted[2] if same_minor else key[1] - wanted[1]
        return (not same_minor, abs(gap), gap < 0, -key[2])

    return min(versions, key=distance, default=None)


def _is_prerelease(version: str) -> bool:
    return python_version_key(version)[3] != "~"
