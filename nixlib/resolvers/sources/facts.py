"""What is known of packages that come as source: where they are, what they need, what was built of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from nixlib.errors import (
    BuildError,
    CollisionError,
    NetworkError,
    NixError,
    PlanError,
    ResolutionError,
    SandboxError,
    SourceError,
    WheelError,
)
from nixlib.lock import Artifact
from nixlib.resolvers.metadata import Metadata, MetadataSource, parse_metadata
from nixlib.resolvers.modulenames import module_hint
from nixlib.resolvers.requirements import Wanted, parse_requirement, public_url
from nixlib.resolvers.simple import IndexFile, file_version
from nixlib.resolvers.sources.locking import LockedBuild, SourceLocker
from nixlib.resolvers.sources.sdists import sdists_of
from nixlib.resolvers.sources.stubs import Stub
from nixlib.resolvers.wheels import served
from nixlib.sources.source import SourceWanted

__all__ = ["FAILURES", "SourceFacts"]

FAILURES = (
    BuildError,
    CollisionError,
    PlanError,
    ResolutionError,
    SandboxError,
    SourceError,
    WheelError,
)
"""What keeps a source from being built, and is nobody else's fault."""


@dataclass(frozen=True)
class _Direct:
    """A source that a line names: what it turned out to be."""

    wanted: SourceWanted
    version: str
    needs: Metadata


class SourceFacts:
    """Facts about sources by name and version, each found out once.

    Args:
        files: What indexes list of a project.
        metadata: Of wheels.
        locker: Who opens and builds.
    """

    def __init__(
        self,
        files: Callable[[str], Sequence[IndexFile]],
        metadata: MetadataSource,
        locker: SourceLocker,
    ) -> None:
        self._files = files
        self._metadata = metadata
        self._locker = locker
        self._direct: dict[str, _Direct] = {}
        self._stated: dict[tuple[str, str], Metadata | None] = {}
        self._built: dict[tuple[str, str], Metadata] = {}

    @property
    def notes(self) -> tuple[str, ...]:
        """What the author should know of how sources are built."""
        return tuple(sorted(self._locker.notes))

    @property
    def direct(self) -> frozenset[str]:
        """Names that no index has a say in."""
        return frozenset(self._direct)

    def open(self, item: Wanted, source: SourceWanted) -> Wanted:
        """A requirement that is a source, now that this has been built and says what it is.

        Raises:
            SourceError: It is not there, or is no project.
            BuildError: It cannot be built.
            ResolutionError: It is not what its line says, or what it is built with cannot be had.
            NetworkError: Its server did not answer.
        """
        try:
            wheel = self._locker.wheel(source)
        except (*FAILURES, NetworkError) as error:
            asks = f"requirement {item.number} `{item.text}` asks for it"
            error.fields.setdefault("key", f"nixenv.requirements[{item.number - 1}]")
            raise _blamed(error, item.name, asks) from error
        name, version = canonicalize_name(wheel.name), str(Version(wheel.version))
        needs = _readable(wheel.requires_dist)
        known = self._direct.get(name)
        if source.name not in ("", name):
            raise self._refused(item, f"is a project that calls itself `{name}`")
        if known is not None and known.wanted != source:
            raise self._refused(item, f"is another source of `{name}`, and there can be one")
        if known is None:
            self._direct[name] = _Direct(source, version, needs)
            requires = tuple(self._followed(item, line) for line in needs.requires)
            self._direct[name] = _Direct(source, version, replace(needs, requires=requires))
        return item.opened(name, version)

    def _followed(self, item: Wanted, need: Requirement) -> Requirement:
        """A dependency of the notebook's own source; one that says where it is, is a source of its own.

        uv takes no URL from the metadata of a package that an index could have given.
        """
        if need.url is None:
            return need
        further = parse_requirement(str(need), item.number)
        if further.source is None:
            return need
        if further.source.kind in ("path", "editable"):
            raise self._refused(item, f"needs `{need.name}` from a folder of one machine")
        return self.open(replace(further, text=item.text), further.source).requirement

    def _refused(self, item: Wanted, reason: str) -> ResolutionError:
        notebook = self._locker.request.notebook
        title = f"`{notebook}`" if notebook else "this notebook"
        return ResolutionError(
            f"cannot resolve {title}: requirement {item.number} `{item.text}` {reason}",
            requirement=item.text,
            notebook=notebook,
        )

    def direct_stubs(self) -> list[Stub]:
        """What the notebook's own sources are."""
        return [_stub(name, item.version, item.needs) for name, item in self._direct.items()]

    def stub(self, name: str, version: str, *, stated: bool) -> Stub:
        """What is known of a version so far; `stated` leaves out what only a build has told."""
        key = (name, version)
        needs = (None if stated else self._built.get(key)) or self._stated.get(key)
        return _stub(name, version, needs or Metadata())

    def needs(self, name: str, version: str) -> Metadata | None:
        """What a version needs; None where nobody knows."""
        if name in self._direct:
            return self._direct[name].needs
        key = (name, str(Version(version)))
        return self._built.get(key) or self._stated.get(key)

    def look_up(self, name: str, version: str) -> Metadata | None:
        """What the wheel of a version for another machine says that it needs; None where there is none."""
        key = (name, version)
        if key not in self._stated:
            exact = Version(version)
            wheels = (file for file in self._files(name) if file.filename.endswith(".whl"))
            file = next((file for file in wheels if file_version(file.filename) == exact), None)
            self._stated[key] = self._metadata.get(file.sha256, file.url) if file else None
        return self._stated[key]

    def is_built(self, name: str, version: str) -> bool:
        """Whether a version has been built on the way."""
        return (name, version) in self._built

    def build(self, name: str, version: str, owner: str) -> None:
        """Build a version for `owner`, which tells for certain what it needs.

        Raises:
            BuildError: It cannot be built.
            ResolutionError: What it is built with cannot be had.
        """
        try:
            wheel = self._locker.wheel(*self.wanted(name, version))
        except FAILURES as error:
            needed = f"{owner} needs it" if owner else ""
            raise _blamed(error, name, needed, self._wheels(name, version)) from error
        self._built[name, version] = _readable(wheel.requires_dist)

    def _wheels(self, name: str, version: str) -> str:
        """For which machines there would have been a wheel."""
        exact = Version(version)
        names = [
            file.filename for file in self._files(name) if file_version(file.filename) == exact
        ]
        where = served(names)
        return f"`{name} {version}` has wheels for {where}" if where else ""

    def wanted(self, name: str, version: str) -> tuple[SourceWanted, str]:
        """The source of a version, and when it was uploaded."""
        if name in self._direct:
            return self._direct[name].wanted, ""
        file = sdists_of(self._files(name))[Version(version)]
        known = bool(file.sha256 and file.size) and file.url == public_url(file.url)
        artifact = Artifact(file.url, file.sha256, file.size) if known else None
        url = "" if known else file.url
        return SourceWanted("sdist", artifact, url, name=name, version=version), file.uploaded

    def locked(self, name: str, version: str) -> LockedBuild:
        """What the lock says of a version that is built.

        Raises:
            BuildError: Its backend failed to say what it is built with.
            ResolutionError: That cannot be had.
        """
        return self._locker.locked(*self.wanted(name, version))

    def nar(self, name: str, version: str) -> str:
        """SRI NAR hash of what was built of a version; empty where nothing was."""
        wheel = self._locker.built(self.wanted(name, version)[0])
        return (wheel.nar or "") if wheel else ""


def _blamed(error: NixError, name: str, *facts: str) -> NixError:
    """The same error, saying also who wanted what could not be built, or what was meant by its name."""
    details = (*error.details, *filter(None, facts))
    hint = module_hint(name) or error.hint
    return type(error)(error.summary, details=details, hint=hint, **error.fields)


def _stub(name: str, version: str, needs: Metadata) -> Stub:
    return Stub(name, version, tuple(map(str, needs.requires)))


def _readable(requires: Iterable[str]) -> Metadata:
    return parse_metadata("\n".join(f"Requires-Dist: {line}" for line in requires))
