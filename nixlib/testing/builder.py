"""A builder that builds nothing: it takes a source's own word for what its wheel would be.

For tests of resolvers. It has the shape of the real one; sources are archives that `make_sdist` made, or
folders and repositories with a `PKG-INFO`.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from nixlib.errors import BuildError, SourceError
from nixlib.lock import Artifact, LockedPackage, LockedSource
from nixlib.resolvers.metadata import parse_metadata
from nixlib.resolvers.requirements import public_url
from nixlib.sources.project import read_project
from nixlib.sources.source import BuiltWheel, OpenedSource, SourceWanted
from nixlib.storepath import StorePath

__all__ = ["StandInBuilder"]

_TREE = StorePath("0" * 32, "source")
_NAR = f"sha256-{'A' * 43}="


@dataclass
class StandInBuilder:
    """Sources taken at their word.

    Attributes:
        folders: What is in folders and repositories: `./folder` or `URL@commit` to files by path.
        more: What the backend of a package wants beyond what is stated, by name.
        truth: Dependencies that only the build of a package tells, by name.
        broken: Names that cannot be built.
        built: What was built: name, version, and the names and versions that it was built with.
    """

    folders: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    more: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    truth: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    broken: frozenset[str] = frozenset()
    built: list[tuple[str, str, tuple[str, ...]]] = field(default_factory=list)
    _files: dict[LockedSource, Mapping[str, str]] = field(default_factory=dict)

    def open(self, wanted: SourceWanted) -> OpenedSource:
        """Its files read."""
        source, files = self._archive(wanted) if wanted.kind == "sdist" else self._folder(wanted)
        pyproject, info = files.get("pyproject.toml"), files.get("PKG-INFO")
        project = read_project(
            pyproject.encode() if pyproject is not None else None,
            info.encode() if info is not None else None,
            wanted.name or wanted.location,
        )
        self._files[source] = files
        return OpenedSource(
            source,
            project.requires,
            _TREE,
            project.name or wanted.name,
            project.version or wanted.version,
        )

    def _archive(self, wanted: SourceWanted) -> tuple[LockedSource, dict[str, str]]:
        url = wanted.artifact.url if wanted.artifact else wanted.url
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 (a test's own server)
            data = answer.read()
        files = {}
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            for member in archive.getmembers():
                content = archive.extractfile(member)
                if content is not None:
                    files[member.name.partition("/")[2]] = content.read().decode(errors="replace")
        digest = hashlib.sha256(data).hexdigest()
        artifact = Artifact(public_url(url), digest, len(data))
        return LockedSource("sdist", artifact, subdirectory=wanted.subdirectory), files

    def _folder(self, wanted: SourceWanted) -> tuple[LockedSource, Mapping[str, str]]:
        place = f"{wanted.location}@{wanted.commit}" if wanted.commit else wanted.location
        if place not in self.folders:
            raise SourceError(f"cannot open `{place}`: it is not there", source=place, member="")
        commit = hashlib.sha1(wanted.commit.encode(), usedforsecurity=False).hexdigest()
        source = LockedSource(
            wanted.kind,
            location=wanted.location,
            commit=commit if wanted.kind == "git" else "",
            tree="" if wanted.kind == "editable" else _NAR,
            subdirectory=wanted.subdirectory,
        )
        return source, self.folders[place]

    def more_requirements(
        self, opened: OpenedSource, build: tuple[LockedPackage, ...]
    ) -> tuple[str, ...]:
        """What `more` says."""
        del build
        return self.more.get(opened.name, ())

    def build(self, opened: OpenedSource, build: tuple[LockedPackage, ...]) -> BuiltWheel:
        """What PKG-INFO says, or `truth`."""
        del build
        if opened.name in self.broken:
            raise BuildError(
                f"cannot build `{opened.name} {opened.version}`",
                reason="failed",
                status=1,
                drv_path="",
                log_tail=(),
                log_file="",
            )
        self.built.append((opened.name, opened.version, opened.source.build))
        files = self._files[replace(opened.source, build=())]
        stated = tuple(map(str, parse_metadata(files.get("PKG-INFO", "")).requires))
        return BuiltWheel(
            filename=f"{opened.name.replace('-', '_')}-{opened.version}-py3-none-any.whl",
            data=Path("/nowhere"),
            requires_dist=self.truth.get(opened.name, stated),
            name=opened.name,
            version=opened.version,
            nar=_NAR,
        )
