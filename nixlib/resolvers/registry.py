"""The registry as the rule for old pins sees it: releases with their times, and what each needs."""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Protocol

from packaging.requirements import Requirement
from packaging.version import Version

from nixlib.platforms import marker_environment, python_minor
from nixlib.resolvers.era import Release
from nixlib.resolvers.metadata import Metadata, MetadataSource
from nixlib.resolvers.simple import IndexFile, ProjectPages, file_version
from nixlib.resolvers.sources.sdists import admits
from nixlib.resolvers.wheels import best_wheel

__all__ = ["Registry", "upload_time"]


def upload_time(text: str) -> datetime | None:
    """An index's upload time as UTC; None when it is absent or no time.

    Examples:
        >>> upload_time("2022-09-19T08:47:11.445020Z")
        datetime.datetime(2022, 9, 19, 8, 47, 11, tzinfo=datetime.timezone.utc)
    """
    try:  # fractions have one to nine digits there, and Python 3.10 reads three or six
        return datetime.strptime(text[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc)
    except ValueError:
        return None


class SourceWorld(Protocol):
    """What a registry wants to know of packages that come as source."""

    def is_direct(self, name: str) -> bool:
        """Whether a name is a source of the notebook's own, so that no index knows it."""
        ...

    def offered(self, name: str, system: str) -> frozenset[Version]:
        """The versions of a name that may be built on a system."""
        ...

    def needs(self, name: str, version: str) -> Metadata | None:
        """What a version needs that is built; None where nobody knows."""
        ...


class Registry:
    """An `era.World` over real indexes, for one interpreter and system."""

    def __init__(
        self,
        pages: ProjectPages,
        metadata: MetadataSource,
        *,
        sources: SourceWorld,
        system: str,
        python: str,
    ) -> None:
        self._sources = sources
        self._pages = pages
        self._metadata = metadata
        self._system = system
        self._python = python
        self._minor = python_minor(python)
        self._environment = marker_environment(system, python)
        self._extras: Mapping[str, frozenset[str]] = {}
        self._files: dict[str, dict[Version, list[IndexFile]]] = {}
        self._releases: dict[tuple[str, frozenset[Version]], tuple[Release, ...]] = {}
        self._admitted: dict[str, bool] = {"": True}
        self._lock = threading.Lock()

    def asked_for(self, extras: Mapping[str, frozenset[str]]) -> Registry:
        """The same registry, with what it has read, seen by a resolution that wants these extras."""
        view = copy.copy(self)
        view._extras = extras  # noqa: SLF001 (a copy of ourselves)
        return view

    def expect(self, names: Iterable[str], wanters: Iterable[tuple[str, str]]) -> None:
        """Fetch pages and metadata, many at a time."""
        pairs = [pair for pair in wanters if not self._sources.is_direct(pair[0])]
        known = {name for name in names if not self._sources.is_direct(name)}
        self._pages.fetch(known | {name for name, _ in pairs})
        wheels = [wheel for pair in pairs if (wheel := self._wheel(*pair))]
        self._metadata.fetch((wheel.sha256, wheel.url) for wheel in wheels if wheel.sha256)

    def releases(self, name: str) -> Sequence[Release]:
        """Every version of a project that has a file; none of a source of the notebook's own."""
        if self._sources.is_direct(name):
            return ()
        built = self._sources.offered(name, self._system)
        if (name, built) not in self._releases:
            self._releases[name, built] = tuple(
                self._release(version, files, is_built=version in built)
                for version, files in self._versions(name).items()
            )
        return self._releases[name, built]

    def needs(self, name: str, version: str) -> Sequence[Requirement] | None:
        """What that version needs here, with the extras that are asked of it."""
        found = self.metadata(name, version)
        return (
            None if found is None else found.active(self._environment, self._extras.get(name, ()))
        )

    def offers(self, name: str, version: str) -> Sequence[Requirement]:
        """What that version makes use of where it is installed: the dependencies of its extras."""
        found = self.metadata(name, version)
        return [] if found is None else found.optional(self._environment)

    def metadata(self, name: str, version: str) -> Metadata | None:
        """The metadata of what would be installed; None when it cannot be had."""
        wheel = None if self._sources.is_direct(name) else self._wheel(name, version)
        if wheel is None:
            return self._sources.needs(name, version)
        return self._metadata.get(wheel.sha256, wheel.url)

    def _wheel(self, name: str, version: str) -> IndexFile | None:
        files = self._versions(name).get(Version(version), [])
        return best_wheel(files, [file.filename for file in files], self._system, self._minor)

    def _versions(self, name: str) -> dict[Version, list[IndexFile]]:
        with self._lock:
            if name in self._files:
                return self._files[name]
        found: dict[Version, list[IndexFile]] = {}
        for file in self._pages.files(name):
            version = file_version(file.filename)
            if version is not None:
                found.setdefault(version, []).append(file)
        with self._lock:
            return self._files.setdefault(name, found)

    def _release(self, version: Version, files: Sequence[IndexFile], *, is_built: bool) -> Release:
        # All times of one index are written alike, so that their order is that of their texts.
        first = min((file.uploaded for file in files if file.uploaded), default="")
        offered = [file for file in files if not file.yanked and self._admits(file.requires_python)]
        wheel = best_wheel(offered, [file.filename for file in offered], self._system, self._minor)
        exists = wheel is not None or (is_built and bool(offered))
        return Release(version, upload_time(first), usable=exists and not version.is_prerelease)

    def _admits(self, specifier: str) -> bool:
        known = self._admitted.get(specifier)
        if known is None:
            known = self._admitted[specifier] = admits(specifier, self._python)
        return known
