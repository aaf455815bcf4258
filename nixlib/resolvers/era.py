"""In its own time: which dependencies of an old pin must be held back, and to what (pure).

Metadata of its day sets no upper bound on a future that it could not see: `pandas==1.5` asks for
`numpy>=1.21`, and gets one that it cannot be imported with. So a dependency that an old package leaves
unbounded above is held to what existed when that package was uploaded, plus a grace for bug-fix
releases. A package is *old* when the notebook's own bounds made it older than it would be without
them, or when it is held itself. What holds is found by walking from the old packages to what they need,
through the versions that will be installed, before uv is asked again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from nixlib.resolvers.graph import Graph
from nixlib.resolvers.requirements import Wanted, bounded_above

__all__ = [
    "TIMELESS",
    "Era",
    "Hold",
    "Question",
    "Release",
    "World",
    "choose_hold",
    "era_of",
    "find_holds",
    "old_packages",
    "without_bounds",
]

TIMELESS = frozenset({"certifi", "pytz", "tzdata"})
"""Data, not code: an old time zone table or root certificate is wrong, never merely old."""


@dataclass(frozen=True)
class Release:
    """One version on the index.

    `uploaded` is the time of its first file, None where the index does not say; `usable` whether there is
    a wheel of it for the interpreter and system at hand.
    """

    version: Version
    uploaded: datetime | None
    usable: bool


class World(Protocol):
    """What the rule wants to know of the registry. `expect` lets it be fetched many at a time."""

    def expect(self, names: Iterable[str], wanters: Iterable[tuple[str, str]]) -> None:
        """Soon `releases` of `names`, and `needs` of `wanters` (name, version), will be asked."""
        ...

    def releases(self, name: str) -> Sequence[Release]:
        """Every version of a project."""
        ...

    def needs(self, name: str, version: str) -> Sequence[Requirement] | None:
        """What that version needs on this system; None when its metadata cannot be had."""
        ...

    def offers(self, name: str, version: str) -> Sequence[Requirement]:
        """What that version makes use of where somebody else has installed it (its extras)."""
        ...


@dataclass(frozen=True)
class Era:
    """The time that a package lives in, and the package that brought it there."""

    at: datetime
    name: str
    version: str


@dataclass(frozen=True)
class Hold:
    """A dependency that may not be newer than `upper`.

    Attributes:
        name: Normalised.
        upper: The newest version that it may have.
        newest: The newest version that it could have without this hold.
        until: Nothing uploaded later would have been chosen, had everything been possible.
        era: Whose time it is held to.
        nearest: Whether nothing in time would do, and `upper` is the nearest that does.
        loosened: How often uv found that it contradicts something: 0 exact, 1 same minor, 2 same
            major, 3 free.
    """

    name: str
    upper: Version
    newest: Version
    until: datetime
    era: Era
    nearest: bool = False
    loosened: int = 0

    @property
    def constraint(self) -> str:
        """As a PEP 508 line; empty when it is free."""
        epoch = f"{self.upper.epoch}!" if self.upper.epoch else ""
        major, minor = self.upper.major, self.upper.minor
        lines = (
            f"{self.name}<={self.upper.public}",
            f"{self.name}<{epoch}{major}.{minor + 1}",
            f"{self.name}<{epoch}{major + 1}",
        )
        return lines[self.loosened] if self.loosened < len(lines) else ""

    def looser(self) -> Hold:
        """The same hold, one step weaker."""
        return replace(self, loosened=self.loosened + 1)

    def explains(self, version: str) -> bool:
        """Whether it is because of this hold that `version` was chosen.

        Told from the versions alone, not from what uv chose before: a lock that is made again from its
        own versions must give the same reasons.
        """
        chosen = Version(version)
        at_limit = chosen >= self.upper if self.loosened else chosen == self.upper
        return bool(self.constraint) and at_limit and chosen < self.newest

    def reason(self, version: str) -> str:
        """Why `version` was chosen, for the lock."""
        whose = f"{self.era.name} {self.era.version} is of {self.era.at:%Y-%m}"
        if self.nearest or self.loosened:
            return f"{self.name} {version}, the nearest to {self.until:%Y-%m} that fits: {whose}"
        return f"{self.name} {version}, held to {self.until:%Y-%m}: {whose}"


@dataclass(frozen=True)
class Question:
    """One look at a resolution: is anything in it out of its time?

    Attributes:
        graph: What uv chose.
        fresh: What it would choose without the notebook's upper bounds, name to version; None when
            that cannot be resolved.
        wanted: The notebook's requirements.
        kernel: Names that are never held, because the kernel speaks Jupyter's protocol with them, or because
            they come from elsewhere.
        fixed: Names whose installed version stays, so that what they need is a floor for holds.
        grace: Time after an era's date in which bug-fix releases still count.
    """

    graph: Graph
    fresh: Mapping[str, str] | None
    wanted: Sequence[Wanted]
    kernel: frozenset[str] = frozenset()
    fixed: frozenset[str] = frozenset()
    grace: timedelta = timedelta(days=180)

    @property
    def capped(self) -> frozenset[str]:
        """Names whose version the notebook itself bounds above: those are never held."""
        return frozenset(item.name for item in self.wanted if item.capped)


def without_bounds(wanted: Sequence[Wanted]) -> tuple[str, ...]:
    """The notebook's requirements without their upper bounds; what says where it is stays."""
    lines = []
    for item in wanted:
        free = Requirement(str(item.requirement))
        if not item.is_direct:
            free.specifier = SpecifierSet(
                ",".join(str(part) for part in free.specifier if part.operator in (">", ">=", "!="))
            )
        lines.append(str(free))
    return tuple(lines)


def old_packages(question: Question) -> frozenset[str]:
    """Packages that the notebook's bounds made older, themselves or through what they need."""
    nodes = question.graph.nodes
    if question.fresh is None:
        return question.capped & nodes.keys()
    return frozenset(
        name
        for name, node in nodes.items()
        if (
            Version(node.version) < Version(question.fresh[name])
            if name in question.fresh
            else name in question.capped
        )
    )


@dataclass
class _Walk:
    """The state of one search: versions that will be installed, their times, and holds so far."""

    question: Question
    world: World
    versions: dict[str, str]
    floors: dict[str, list[SpecifierSet]] = field(default_factory=dict)
    eras: dict[str, Era] = field(default_factory=dict)
    holds: dict[str, Hold] = field(default_factory=dict)


def find_holds(question: Question, world: World) -> dict[str, Hold]:
    """Every dependency that must be held, by name; empty when everything is in its time.

    The time of a package is its upload, or that of the old package that brought it in when that is
    later: a library of 2018 that was current in 2022 lives in 2022 there.
    """
    old = old_packages(question)
    if not old:
        return {}
    versions = {name: node.version for name, node in question.graph.nodes.items()}
    walk = _Walk(question, world, versions)
    fixed = sorted((question.fixed | question.capped) & versions.keys())
    world.expect(old, [(name, versions[name]) for name in {*fixed, *old}])
    walk.floors = _floors(question, world, [(name, versions[name]) for name in fixed])
    for seeds in _seeds(question, old):
        # What was reached from an earlier seed lives in that one's time already.
        frontier = {
            name: era
            for name in seeds
            if name not in walk.eras and (era := era_of(world, name, versions[name]))
        }
        while frontier:
            walk.eras.update(frontier)
            frontier = _step(walk, frontier)
    return walk.holds


def _seeds(question: Question, old: frozenset[str]) -> list[list[str]]:
    """Old packages in the order in which they set times.

    First what the notebook pins, then what else it names (older because of the pins), then the rest, the
    newest first: of two that nobody named, the newer is likelier to be the one that wants the other.
    """
    named = {item.name for item in question.wanted}
    nodes = question.graph.nodes
    rest = sorted(old - named, key=lambda name: (nodes[name].uploaded, name), reverse=True)
    return [
        sorted(old & question.capped),
        sorted((old & named) - question.capped),
        *([name] for name in rest),
    ]


def era_of(world: World, name: str, version: str) -> Era | None:
    """The time of a package: when that version was uploaded; None where the index does not say."""
    parsed = Version(version)
    at = next((item.uploaded for item in world.releases(name) if item.version == parsed), None)
    return Era(at, name, version) if at else None


def _floors(
    question: Question, world: World, fixed: Iterable[tuple[str, str]]
) -> dict[str, list[SpecifierSet]]:
    """What the notebook says itself, and what packages that stay need, by name."""
    floors: dict[str, list[SpecifierSet]] = {}
    for item in question.wanted:
        floors.setdefault(item.name, []).append(item.requirement.specifier)
    for name, version in fixed:
        for need in world.needs(name, version) or ():
            floors.setdefault(_normal(need.name), []).append(need.specifier)
    return floors


def _step(walk: _Walk, frontier: Mapping[str, Era]) -> dict[str, Era]:
    """Hold what the packages of `frontier` need; returns those whose own needs come next."""
    walk.world.expect((), [(name, walk.versions[name]) for name in frontier])
    wants = [want for name, era in sorted(frontier.items()) for want in _wants(walk, name, era)]
    walk.world.expect({name for name, _, _ in wants}, ())
    found: dict[str, Era] = {}
    for name, era, capped in sorted(wants, key=lambda want: (want[1].at, want[0])):
        if not capped:
            _hold(walk, name, era)
        version = walk.versions.get(name)
        own = era_of(walk.world, name, version) if version else None
        if own is None or (capped and not _is_old(walk, name)):
            continue
        time = max(own, era, key=lambda item: item.at)
        if name not in walk.eras or time.at < walk.eras[name].at:
            found[name] = min(found.get(name, time), time, key=lambda item: item.at)
    return found


def _wants(walk: _Walk, name: str, era: Era) -> list[tuple[str, Era, bool]]:
    """What a package needs that may be held: name, the time to hold it to, and whether it is bounded."""
    question = walk.question
    needs = walk.world.needs(name, walk.versions[name])
    if needs is None:  # bounds that nobody can read are no bounds
        pairs = [(target, False) for target in question.graph.edges.get(name, ())]
    else:
        pairs = [(_normal(need.name), bounded_above(need)) for need in needs]
    # `networkx==2.5` beside `numpy`: it does not need numpy, but calls what numpy 2 has removed.
    offers = [(_normal(item.name), item) for item in walk.world.offers(name, walk.versions[name])]
    pairs += [(target, bounded_above(item)) for target, item in offers if target in walk.versions]
    never = TIMELESS | question.kernel | question.capped
    return [(target, era, capped) for target, capped in pairs if target not in never]


def _is_old(walk: _Walk, name: str) -> bool:
    fresh = (walk.question.fresh or {}).get(name)
    return fresh is None or Version(walk.versions[name]) < Version(fresh)


def _hold(walk: _Walk, name: str, era: Era) -> None:
    before = walk.holds.get(name)
    if before is not None and before.era.at <= era.at:
        return
    hold = choose_hold(
        walk.question, walk.world.releases(name), walk.floors.get(name, ()), name, era
    )
    if hold is None:
        return
    walk.holds[name] = hold
    now = walk.versions.get(name)
    if now is None or hold.upper < Version(now):
        walk.versions[name] = str(hold.upper)


def choose_hold(
    question: Question,
    releases: Sequence[Release],
    floors: Iterable[SpecifierSet],
    name: str,
    era: Era,
) -> Hold | None:
    """The newest release that is in time, else the nearest that can be had at all."""
    limits = list(floors)
    possible = [
        (item.uploaded, item.version)
        for item in releases
        if item.usable
        and item.uploaded
        and all(limit.contains(item.version, prereleases=True) for limit in limits)
    ]
    newest = max((version for _, version in possible), default=None)
    if newest is None:
        return None
    until = era.at + question.grace
    known = max((version for at, version in possible if at <= era.at), default=None)
    series = _minor(known or min(version for _, version in possible))
    # Bug fixes only: letting every release of the grace count broke four more of 75 pins.
    fixes = [(at, version) for at, version in possible if _minor(version) == series]
    upper = max(version for at, version in fixes if known is None or at <= until)
    return Hold(name, upper, newest, until, era, nearest=known is None)


def _minor(version: Version) -> tuple[int, int, int]:
    return version.epoch, version.major, version.minor


def _normal(name: str) -> str:
    return canonicalize_name(name)
