"""A registry as `tools/record_era.py` wrote it down, and the question that was asked of it."""

import json
from datetime import datetime, timedelta
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

from nixlib.resolvers.era import Question, Release
from nixlib.resolvers.graph import Graph, Node
from nixlib.resolvers.requirements import parse_requirements

FOLDER = Path(__file__).parent / "data/era"


class RecordedWorld:
    """Answers from the recording; what was not asked then raises KeyError now."""

    def __init__(self, releases, needs, offers):
        self._releases = {
            name: tuple(
                Release(Version(version), datetime.fromisoformat(at) if at else None, usable)
                for version, at, usable in rows
            )
            for name, rows in releases.items()
        }
        self._needs = needs
        self._offers = offers

    def expect(self, names, wanters):
        """Nothing has to be fetched."""

    def releases(self, name):
        return self._releases[name]

    def needs(self, name, version):
        lines = self._needs[f"{name} {version}"]
        return None if lines is None else [Requirement(line) for line in lines]

    def offers(self, name, version):
        return [Requirement(line) for line in self._offers.get(f"{name} {version}", ())]


def graph_of(chosen, edges, roots=()):
    """A graph out of name → (version, uploaded) and name → names."""
    return Graph(
        nodes={name: Node(name, version, uploaded=at) for name, (version, at) in chosen.items()},
        edges={name: frozenset(edges.get(name, ())) for name in chosen},
        roots=frozenset(roots),
        extras={name: frozenset() for name in chosen},
    )


def recorded(name, **fields):
    """A recording by its name: the question, the world, and the holds that were found."""
    data = json.loads((FOLDER / f"{name}.json").read_text())
    question = Question(
        graph=graph_of(data["chosen"], data["edges"]),
        fresh=data["fresh"],
        wanted=parse_requirements(data["requirements"]),
        kernel=frozenset(data["kernel"]),
        fixed=frozenset(data["kernel"]),
        **{"grace": timedelta(days=180), **fields},
    )
    return question, RecordedWorld(data["releases"], data["needs"], data["offers"]), data["holds"]
