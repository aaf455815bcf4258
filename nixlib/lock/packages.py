"""Packages of Python indexes, and what those without a wheel are built from (pure)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from nixlib.canonical import canonical_json
from nixlib.lock.artifact import Artifact
from nixlib.lock.fields import NAME, VERSION, Fields, artifact, damaged, sri, stated
from nixlib.spec import SYSTEMS

_KEYS = (
    "name",
    "version",
    "wheels",
    "source",
    "requires",
    "systems",
    "held",
    "index",
    "uploaded",
)
_SOURCE_KEYS = ("kind", "artifact", "location", "commit", "tree", "subdirectory", "build")
_KIND = re.compile(r"sdist|git|path|editable")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_FOLDER = re.compile(r"(?!/)(?!.*(^|/)\.\.(/|$))[^\x00-\x1f\x7f\\]{1,500}")
_LOCATION = re.compile(r"[^\x00-\x20\x7f\\][^\x00-\x1f\x7f\\]{0,1000}")
_BUILD_REQUIREMENT = re.compile(rf"{NAME.pattern} {VERSION.pattern}")


@dataclass(frozen=True, order=True)
class LockedSource:
    """What the wheel of a package is built from.

    Attributes:
        kind: `sdist`, `git` (a commit of a repository), `path` (a folder) or `editable` (a folder whose
            files are used where they are).
        artifact: For `sdist`: its archive.
        location: For `git` the URL of the repository without secrets; for `path` and `editable` the
            folder, relative to the notebook's.
        commit: For `git`.
        tree: For `git` and `path`: SRI NAR hash of the source tree.
        subdirectory: Where in the source the project is; empty for its top.
        build: `name version` of each of the lock's build packages that it is built with, sorted.
    """

    kind: str
    artifact: Artifact | None = None
    location: str = ""
    commit: str = ""
    tree: str = ""
    subdirectory: str = ""
    build: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Its JSON object."""
        return stated(
            kind=self.kind,
            artifact=str(self.artifact) if self.artifact else "",
            location=self.location,
            commit=self.commit,
            tree=self.tree,
            subdirectory=self.subdirectory,
            build=sorted(self.build),
        )


@dataclass(frozen=True)
class LockedPackage:
    """One version of one package.

    Attributes:
        name: Normalised (PEP 503).
        version: As the registry spells it.
        wheels: The best wheel of each system, without repetition.
        source: What its wheel is built from on systems that have none; None where each has one.
        requires: Normalised names of its direct dependencies, sorted.
        systems: Nix systems that get it; empty for all of the lock's.
        held: Why it is older than it could be, when it is held to its own time.
        index: The index it came from, when that is not the default one; without secrets.
        uploaded: Date of its first file, where the index tells.
    """

    name: str
    version: str
    wheels: tuple[Artifact, ...] = ()
    source: LockedSource | None = None
    requires: tuple[str, ...] = ()
    systems: tuple[str, ...] = ()
    held: str = ""
    index: str = ""
    uploaded: str = ""

    def __lt__(self, other: LockedPackage) -> bool:
        mine = (self.name, self.version, self.wheels)
        its = (other.name, other.version, other.wheels)
        if mine != its:
            return mine < its
        # In a lock that somebody has written, two may differ in nothing but that one has a source.
        return canonical_json(self.to_json()) < canonical_json(other.to_json())

    def to_json(self) -> dict[str, Any]:
        """Its JSON object."""
        return stated(
            name=self.name,
            version=self.version,
            wheels=[str(wheel) for wheel in sorted(self.wheels)],
            source=self.source.to_json() if self.source else None,
            requires=" ".join(sorted(self.requires)),
            systems=" ".join(sorted(self.systems)),
            held=self.held,
            index=self.index,
            uploaded=self.uploaded,
        )


def parse_package(key: str, value: object) -> LockedPackage:
    """A package out of its JSON object.

    Raises:
        LockError: It is damaged.
    """
    fields = Fields(key, value, _KEYS)
    source = fields.take("source", dict, {})
    return LockedPackage(
        name=fields.matching("name", NAME),
        version=fields.matching("version", VERSION),
        wheels=fields.each("wheels", artifact),
        source=_parse_source(f"{key}.source", source) if source else None,
        requires=fields.words("requires", NAME.fullmatch),
        systems=fields.words("systems", SYSTEMS.__contains__),
        held=fields.take("held", str, ""),
        index=fields.take("index", str, ""),
        uploaded=fields.take("uploaded", str, ""),
    )


def _parse_source(key: str, value: object) -> LockedSource:
    fields = Fields(key, value, _SOURCE_KEYS)
    source = LockedSource(
        kind=fields.matching("kind", _KIND),
        artifact=artifact(f"{key}.artifact", fields.value["artifact"])
        if "artifact" in fields.value
        else None,
        location=fields.optional("location", _LOCATION),
        commit=fields.optional("commit", _COMMIT),
        tree=sri(f"{key}.tree", fields.value["tree"]) if "tree" in fields.value else "",
        subdirectory=fields.optional("subdirectory", _FOLDER),
        build=fields.words("build", _BUILD_REQUIREMENT.fullmatch, as_list=True),
    )
    missing = [name for name in _NEEDED[source.kind] if not getattr(source, name)]
    if missing:
        raise damaged(f"{key}.{missing[0]}", "nothing")
    return source


_NEEDED = {
    "sdist": ("artifact",),
    "git": ("location", "commit", "tree"),
    "path": ("location", "tree"),
    "editable": ("location",),
}
