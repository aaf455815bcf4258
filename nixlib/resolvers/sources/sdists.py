"""Which versions of a project could be built from source, and which uv may be offered (pure)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final, Literal, TypeAlias

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import Version

from nixlib.platforms import python_minor
from nixlib.resolvers.simple import IndexFile, file_version
from nixlib.resolvers.uv import Problem
from nixlib.resolvers.wheels import best_wheel

__all__ = ["Which", "admits", "offered_sdists", "sdists_of"]

Which: TypeAlias = Literal["all", "unserved", "wheelless"]

_SUFFIXES: Final = (".tar.gz", ".zip", ".tar.bz2", ".tgz", ".tar.xz")
"""Of source archives, those that PEP 625 wants first."""


def sdists_of(files: Sequence[IndexFile]) -> dict[Version, IndexFile]:
    """The source archive of each version that has one."""
    found: dict[Version, IndexFile] = {}
    for suffix in _SUFFIXES:
        for file in files:
            version = file_version(file.filename) if file.filename.endswith(suffix) else None
            if version is not None:
                found.setdefault(version, file)
    return found


def offered_sdists(
    files: Sequence[IndexFile],
    problem: Problem,
    *,
    dated: bool,
    pinned: Collection[Version] = (),
    which: Which = "unserved",
) -> dict[Version, IndexFile]:
    """The source archives that uv would take for `problem`, if it took any.

    Args:
        files: Of one project.
        problem: Its Python, system and cut-off count.
        dated: Whether the cut-off binds this project.
        pinned: Versions that somebody named: those may be withdrawn ones.
        which: Those of all versions, or of versions without a wheel for this system, or for any.
    """
    limit = problem.exclude_newer if dated else None
    offered = {
        version: file
        for version, file in sdists_of(files).items()
        if not (limit and not (file.uploaded and file.uploaded < limit))
        and (not file.yanked or version in pinned)
        and admits(file.requires_python, problem.python)
    }
    if which == "all":
        return offered
    wheels: dict[Version, list[str]] = {}
    for file in files:
        version = file_version(file.filename)
        if version in offered and file.filename.endswith(".whl") and not file.yanked:
            wheels.setdefault(version, []).append(file.filename)
    minor = python_minor(problem.python)

    def counts(names: Sequence[str]) -> bool:
        return which == "wheelless" or best_wheel(names, names, problem.system, minor) is not None

    return {
        version: file
        for version, file in offered.items()
        if not (version in wheels and counts(wheels[version]))
    }


def admits(specifier: str, version: str) -> bool:
    """Whether a specifier allows a version; one that cannot be read forbids nothing, as for uv."""
    try:
        return SpecifierSet(specifier).contains(version, prereleases=True)
    except InvalidSpecifier:
        return True
