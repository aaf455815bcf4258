"""Record what the rule for old pins saw of the registry, so that tests can judge it offline.

    python tools/record_era.py "pandas==1.5 matplotlib" 3.11.7 > tests/data/era/pandas-1.5.json

Writes uv's first choice, its choice without the notebook's upper bounds, every release and dependency that
the rule asked for, and the holds it found. Look at the holds before you commit them: they are the
expectation.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from nixlib.cancel import Cancel
from nixlib.resolvers.base import Request
from nixlib.resolvers.era import Release, World, find_holds, without_bounds
from nixlib.resolvers.holding import question_for
from nixlib.resolvers.requirements import parse_requirements
from nixlib.resolvers.session import open_session
from nixlib.resolvers.uv import Refusal
from nixlib.settings import Settings

if TYPE_CHECKING:
    from packaging.requirements import Requirement

KERNEL = ("ipykernel",)
SYSTEM = "x86_64-linux"


class Recorder:
    """A world that remembers what it was asked."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.seen_releases: dict[str, list[list[Any]]] = {}
        self.seen_needs: dict[str, list[str] | None] = {}
        self.seen_offers: dict[str, list[str]] = {}

    def expect(self, names: Iterable[str], wanters: Iterable[tuple[str, str]]) -> None:
        """Pass it on."""
        self.world.expect(names, wanters)

    def releases(self, name: str) -> Sequence[Release]:
        """Pass it on, and keep what can be chosen."""
        found = self.world.releases(name)
        self.seen_releases[name] = [
            [str(item.version), item.uploaded.isoformat() if item.uploaded else "", item.usable]
            for item in sorted(found, key=lambda item: item.version)
        ]
        return found

    def needs(self, name: str, version: str) -> Sequence[Requirement] | None:
        """Pass it on, and keep it."""
        found = self.world.needs(name, version)
        lines = None if found is None else [str(item) for item in found]
        self.seen_needs[f"{name} {version}"] = lines
        return found

    def offers(self, name: str, version: str) -> Sequence[Requirement]:
        """Pass it on, and keep it."""
        found = self.world.offers(name, version)
        self.seen_offers[f"{name} {version}"] = [str(item) for item in found]
        return found


def record(requirements: tuple[str, ...], python: str, folder: Path) -> dict[str, Any]:
    """Resolve without holds, ask the rule once, and tell all that it saw."""
    request = Request(requirements, python, (SYSTEM,), kernel=KERNEL)
    settings = Settings(folder / "cache", folder / "state")
    wanted = parse_requirements(requirements)
    with open_session(request, wanted, settings, Cancel()) as session:
        problem = session.problem(SYSTEM)
        first = session.settle(problem)
        fresh = session.settle(replace(problem, requirements=(*without_bounds(wanted), *KERNEL)))
        if isinstance(first, Refusal) or isinstance(fresh, Refusal):
            sys.exit(f"cannot be resolved:\n{first.said}\n{fresh.said}")
        versions = {name: node.version for name, node in fresh.graph.nodes.items()}
        question = question_for(session, first.graph, versions)
        world = Recorder(session.registry(SYSTEM).asked_for(first.graph.extras))
        holds = find_holds(question, world)
    nodes = first.graph.nodes.values()
    return {
        "requirements": list(requirements),
        "python": python,
        "chosen": {node.name: [node.version, node.uploaded] for node in nodes},
        "edges": {name: sorted(edges) for name, edges in first.graph.edges.items() if edges},
        "fresh": versions,
        "kernel": sorted(question.kernel),
        "releases": dict(sorted(world.seen_releases.items())),
        "needs": dict(sorted(world.seen_needs.items())),
        "offers": {pair: lines for pair, lines in sorted(world.seen_offers.items()) if lines},
        "holds": {name: [str(hold.upper), hold.nearest] for name, hold in sorted(holds.items())},
    }


def main() -> None:
    """Print one recording, one key or one package on a line."""
    with TemporaryDirectory() as folder:
        found = record(tuple(sys.argv[1].split()), sys.argv[2], Path(folder))
    lines = []
    for key, value in found.items():
        inner = (
            ",\n  ".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in value.items())
            if isinstance(value, dict)
            else ""
        )
        lines.append(
            f"{json.dumps(key)}: " + (f"{{\n  {inner}\n }}" if inner else json.dumps(value))
        )
    print("{" + ",\n ".join(lines) + "}")


if __name__ == "__main__":
    main()
