"""Requirements of the notebook that are out of each other's time (pure).

What somebody asks for by name is theirs and is not held. It may still be what cannot work: `pandas==1.5`
beside `numpy>=2` resolves, and dies at import. So it is said.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from packaging.utils import canonicalize_name
from packaging.version import Version

from nixlib.resolvers.base import Untimely
from nixlib.resolvers.era import (
    TIMELESS,
    Hold,
    Question,
    World,
    choose_hold,
    era_of,
    old_packages,
)
from nixlib.resolvers.requirements import Wanted, bounded_above

__all__ = ["contradictions", "untimely"]


def contradictions(question: Question, world: World) -> tuple[str, ...]:
    """One sentence for each of the notebook's requirements that keeps a package out of its time."""
    named = {item.name: item for item in question.wanted if not item.is_direct}
    found: dict[str, tuple[Wanted, Hold]] = {}
    for target, hold in _untimely(question, world, named.keys() - TIMELESS - question.kernel):
        item = named[target]
        # Another requirement may be what forbids it; then this line is not at fault.
        if item.requirement.specifier.contains(str(hold.upper), prereleases=True):
            continue
        if target not in found or hold.upper < found[target][1].upper:
            found[target] = item, hold
    return tuple(_sentence(*found[target]) for target in sorted(found))


def untimely(question: Question, world: World, names: Collection[str]) -> tuple[Untimely, ...]:
    """Those of `names`, which come from elsewhere, that are of a major version unknown to an old package."""
    found: dict[str, Untimely] = {}
    for name, hold in _untimely(question, world, set(names) - TIMELESS):
        version, era = Version(question.graph.nodes[name].version), hold.era
        was_there = any(
            release.version.major == version.major
            and release.uploaded is not None
            and release.uploaded <= era.at
            for release in world.releases(name)
        )
        if hold.upper.major < version.major and not was_there:
            said = (str(version), str(hold.upper), era.name, era.version, f"{era.at:%Y-%m}")
            found.setdefault(name, Untimely(name, *said))
    return tuple(found[name] for name in sorted(found))


def _untimely(question: Question, world: World, names: set[str]) -> Iterator[tuple[str, Hold]]:
    """Those of `names` that are newer than an old package that needs them would have them."""
    nodes = question.graph.nodes
    for wanter in sorted(old_packages(question)):
        era = era_of(world, wanter, nodes[wanter].version)
        needs = world.needs(wanter, nodes[wanter].version) or ()
        free = {canonicalize_name(need.name) for need in needs if not bounded_above(need)}
        for name in sorted(names & free & nodes.keys()) if era else ():
            hold = era and choose_hold(question, world.releases(name), (), name, era)
            if hold and not hold.nearest and Version(nodes[name].version) > hold.upper:
                yield name, hold


def _sentence(item: Wanted, hold: Hold) -> str:
    era = hold.era
    return (
        f"requirement {item.number} `{item.text}` asks for what is newer than"
        f" {era.name} {era.version} of {era.at:%Y-%m} was made for, so they may not work together:"
        f" {item.name} {hold.upper} is of its time"
    )
