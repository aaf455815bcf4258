"""What a source is built with, and the wheel that it gives: each opened, locked and built once.

Build requirements are a request of their own: neither the kernel nor anything that the notebook pins has a
say in it (a pin of 2019 must not break a backend of today), and an old source gets the backend of its own
time, or the oldest that its Python can have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import Final

from nixlib.errors import RequirementError, ResolutionError
from nixlib.lock import LockedPackage, LockedSource
from nixlib.platforms import python_minor
from nixlib.requirements import PypiRequirement, parse_line
from nixlib.resolvers.base import Builder, Request, Resolution
from nixlib.resolvers.registry import upload_time
from nixlib.sources.source import BuiltWheel, OpenedSource, SourceWanted

__all__ = ["LockedBuild", "NoBuilder", "SourceLocker", "build_cutoff"]

# The day of each Python's first release (PEP 569, 596, 619, 664, 693, 719, 745): no backend knows it before.
_RELEASED: Final = {
    "3.8": "2019-10-14",
    "3.9": "2020-10-05",
    "3.10": "2021-10-04",
    "3.11": "2022-10-24",
    "3.12": "2023-10-02",
    "3.13": "2024-10-07",
    "3.14": "2025-10-07",
}
_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True)
class LockedBuild:
    """A source as the lock has it, and everything that it takes to build it.

    `opened.source.build` names those of `packages` that it is built with; the others are what those are
    built with in turn.
    """

    opened: OpenedSource
    packages: tuple[LockedPackage, ...] = ()

    @property
    def source(self) -> LockedSource:
        """What the lock says of the source."""
        return self.opened.source


class NoBuilder:
    """The builder of those who have none."""

    def open(self, wanted: SourceWanted) -> OpenedSource:
        """Nothing.

        Raises:
            ResolutionError: Always.
        """
        shown = wanted.name or wanted.location
        raise ResolutionError(
            f"cannot build `{shown}`: it comes as source, and nothing is built here",
            requirement=shown,
            notebook="",
        )

    def more_requirements(
        self, opened: OpenedSource, build: tuple[LockedPackage, ...]
    ) -> tuple[str, ...]:
        """Of what was never opened there is nothing."""
        del opened, build
        return ()

    def build(self, opened: OpenedSource, build: tuple[LockedPackage, ...]) -> BuiltWheel:
        """Nothing.

        Raises:
            ResolutionError: Always.
        """
        raise ResolutionError(
            f"cannot build `{opened.name}` with {len(build)} packages: nothing is built here",
            requirement=opened.name,
            notebook="",
        )


def build_cutoff(
    uploaded: str,
    *,
    python: str,
    era: bool,
    exclude_newer: str | None,
    grace: timedelta,
    now: datetime,
) -> str | None:
    """The time after which nothing that a source is built with may have been uploaded; None for any.

    Args:
        uploaded: When the source was, RFC 3339; empty where nobody knows.
        python: The version of the interpreter, whose own time is the earliest there can be.
        era: Whether old sources are built in their own time.
        exclude_newer: The notebook's own cut-off.
        grace: How long after a date its bug fixes still count.
        now: A cut-off that lies ahead of it says nothing.

    Examples:
        >>> half, now = timedelta(days=180), datetime(2026, 1, 1, tzinfo=timezone.utc)
        >>> def cutoff(uploaded, newest=None):
        ...     return build_cutoff(
        ...         uploaded, python="3.11.7", era=True, exclude_newer=newest, grace=half, now=now
        ...     )
        >>> cutoff("2014-05-01T00:00:00Z"), cutoff("2024-03-01T00:00:00Z"), cutoff("2025-12-01T00:00:00Z")
        ('2023-04-22T00:00:00Z', '2024-08-28T00:00:00Z', None)
        >>> cutoff("2024-03-01T00:00:00Z", "2024-04-01T00:00:00Z")
        '2024-04-01T00:00:00Z'
    """
    own = upload_time(uploaded) if era else None
    limits = [own + grace] if own else []
    if exclude_newer and (newest := upload_time(exclude_newer)):
        limits.append(newest)
    released = _RELEASED.get(python_minor(python))
    if not limits or released is None:
        return None
    oldest = datetime.strptime(released, "%Y-%m-%d").replace(tzinfo=timezone.utc) + grace
    limit = max(oldest, min(limits))
    return limit.strftime(_FORMAT) if limit < now else None


@dataclass
class SourceLocker:
    """Opens, locks and builds the sources of one resolution; one thread at a time.

    Attributes:
        request: Of the notebook: its Python, systems, indexes and times count here.
        builder: Who builds.
        resolve: How build requirements are resolved.
        cutoff: The notebook's `exclude-newer` as a time.
        grace: How long after a date its bug fixes still count.
        notes: What the author should know.
    """

    request: Request
    builder: Builder
    resolve: Callable[[Request], Resolution]
    cutoff: str | None
    grace: timedelta
    notes: dict[str, None] = field(default_factory=dict)
    _opened: dict[SourceWanted, OpenedSource] = field(default_factory=dict)
    _locked: dict[SourceWanted, LockedBuild] = field(default_factory=dict)
    _wheels: dict[SourceWanted, BuiltWheel] = field(default_factory=dict)

    def opened(self, wanted: SourceWanted) -> OpenedSource:
        """The source, opened.

        Raises:
            SourceError: It is not there, or is no project.
            NetworkError: Its server did not answer.
        """
        if wanted not in self._opened:
            self._opened[wanted] = self.builder.open(wanted)
        return self._opened[wanted]

    def locked(self, wanted: SourceWanted, uploaded: str = "") -> LockedBuild:
        """The source with everything that it is built with; nothing but its backend's question is run.

        Raises:
            ResolutionError: What it wants to be built with cannot be had.
            BuildError: Its backend failed to say what else it wants.
            SandboxError: Nothing here keeps a build from the rest of the machine.
        """
        if wanted not in self._locked:
            opened = self.opened(wanted)
            label = _label(wanted, opened)
            requires = tuple(_checked(line, label) for line in opened.requires)
            locked = self._with_packages(opened, label, requires, uploaded)
            more = self.builder.more_requirements(locked.opened, locked.packages)
            new = tuple(
                line for line in (_checked(line, label) for line in more) if line not in requires
            )
            if new:
                locked = self._with_packages(opened, label, (*requires, *new), uploaded)
            self._locked[wanted] = locked
        return self._locked[wanted]

    def wheel(self, wanted: SourceWanted, uploaded: str = "") -> BuiltWheel:
        """The wheel of a source, built if it has not been.

        Raises:
            BuildError: It cannot be built.
        """
        if wanted not in self._wheels:
            locked = self.locked(wanted, uploaded)
            self._wheels[wanted] = self.builder.build(locked.opened, locked.packages)
        return self._wheels[wanted]

    def built(self, wanted: SourceWanted) -> BuiltWheel | None:
        """Its wheel, where it has been built on the way."""
        return self._wheels.get(wanted)

    def _with_packages(
        self, opened: OpenedSource, label: str, requires: Sequence[str], uploaded: str
    ) -> LockedBuild:
        if not requires:
            return LockedBuild(opened)
        request = self.request
        if label in request.building:
            circle = " needs ".join(f"`{item}`" for item in (*request.building, label))
            raise ResolutionError(
                f"cannot build `{label}`: it needs itself to be built",
                details=(circle,),
                requirement=label,
                notebook=request.notebook,
            )
        keeps = request.upgrade != "all" and opened.name not in request.upgrade
        asked = Request(
            requirements=tuple(requires),
            python=request.python,
            systems=request.systems,
            indexes=request.indexes,
            exclude_newer=build_cutoff(
                uploaded,
                python=request.python,
                era=request.era,
                exclude_newer=self.cutoff,
                grace=self.grace,
                now=datetime.now(timezone.utc),
            ),
            era=False,
            preferences=request.build_versions.get(opened.name, {}) if keeps else {},
            builder=request.builder,
            building=(*request.building, label),
        )
        found = self._resolved(asked, label)
        own = tuple(sorted(f"{package.name} {package.version}" for package in found.packages))
        opened = replace(opened, source=replace(opened.source, build=own))
        others = _not_in(found.build_packages, found.packages)
        return LockedBuild(opened, _said_where((*found.packages, *others), asked, found))

    def _resolved(self, asked: Request, label: str) -> Resolution:
        try:
            return self.resolve(asked)
        except ResolutionError as error:
            if asked.exclude_newer is None:
                raise ResolutionError(
                    f"cannot build `{label}`: what it is built with cannot be resolved",
                    details=(error.summary, *error.details),
                    hint=error.hint,
                    requirement=label,
                    notebook=self.request.notebook,
                ) from error
            note = f"{label} is built with packages of today: those of its own time do not fit together"
            found = self._resolved(replace(asked, exclude_newer=None), label)
            self.notes[note] = None
            return found


def _said_where(
    packages: Iterable[LockedPackage], asked: Request, found: Resolution
) -> tuple[LockedPackage, ...]:
    """Packages of a resolution that may serve fewer systems than the lock: no word would mean all of those."""
    every = set(asked.systems) == set(found.systems)
    return tuple(
        package if every or package.systems else replace(package, systems=found.systems)
        for package in packages
    )


def _not_in(
    packages: Iterable[LockedPackage], others: Iterable[LockedPackage]
) -> list[LockedPackage]:
    """Of what is needed to build a build requirement that which is not needed anyway."""
    known = {(package.name, package.version) for package in others}
    return [package for package in packages if (package.name, package.version) not in known]


def _label(wanted: SourceWanted, opened: OpenedSource) -> str:
    name, version = opened.name or wanted.name, opened.version or wanted.version
    return " ".join(filter(None, (name or wanted.location, version)))


def _checked(line: str, label: str) -> str:
    """A build requirement as it may be asked for: a source of strangers names no folder of this machine."""
    try:
        read = parse_line(line)
    except RequirementError as error:
        raise _bad(line, label, error.summary) from error
    folder = isinstance(read, PypiRequirement) and read.direct is not None and read.direct.folder
    if folder or not isinstance(read, PypiRequirement):
        raise _bad(line, label, "only packages of indexes, archives and repositories can be")
    return line.strip()


def _bad(line: str, label: str, reason: str) -> ResolutionError:
    shown = "".join(sign if sign.isprintable() else "?" for sign in line)[:100]
    return ResolutionError(
        f"cannot build `{label}`: it cannot be built with `{shown}`",
        details=(reason,),
        requirement=label,
        notebook="",
    )
