"""The rule for old pins, put to work: resolve, look for what is out of its time, hold it, resolve again."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import timedelta

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from nixlib.resolvers.conflict import evidence, mentioned
from nixlib.resolvers.era import Hold, Question, find_holds, without_bounds
from nixlib.resolvers.graph import Graph, reached
from nixlib.resolvers.session import Session
from nixlib.resolvers.uv import Problem, Refusal, Solution

__all__ = ["Choice", "choose"]

_ROUNDS = 4
_LOOSENINGS = 8

# Those of the kernel's packages that speak Jupyter's protocol: never held. What else the kernel needs
# and an old pin needs too (packaging, decorator, tornado) is held as far as the kernel itself allows.
_PROTOCOL = frozenset(
    {
        "comm",
        "debugpy",
        "ipykernel",
        "ipython",
        "jupyter-client",
        "jupyter-core",
        "pyzmq",
        "traitlets",
    }
)


@dataclass(frozen=True)
class Choice:
    """What one system gets, the constraints that brought it about, and why which package is older."""

    graph: Graph
    constraints: tuple[str, ...] = ()
    held: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def choose(session: Session, problem: Problem) -> Choice | Refusal:
    """Resolve `problem`, with everything in its own time where the notebook wants that.

    uv is run once when no requirement has an upper bound; else twice at once, and once more for each
    round of holds (mostly one).
    """
    capped = any(item.capped and item.requirement.url is None for item in session.wanted)
    if not (session.request.era and capped):
        answer = session.settle(problem)
        return answer if isinstance(answer, Refusal) else Choice(answer.graph)
    with ThreadPoolExecutor(1) as thread:
        other = thread.submit(session.settle, _unbounded(session, problem))
        answer = session.settle(problem)
        fresh = other.result()
    if isinstance(answer, Refusal):
        return answer
    versions = _versions(fresh.graph) if isinstance(fresh, Solution) else None
    return _hold(session, problem, answer.graph, versions)


def _unbounded(session: Session, problem: Problem) -> Problem:
    """The same problem without the notebook's upper bounds, and without what they made the lock prefer."""
    capped = {item.name for item in session.wanted if item.capped}
    kept = {name: version for name, version in problem.preferences.items() if name not in capped}
    lines = (*without_bounds(session.wanted), *session.request.kernel)
    return replace(problem, requirements=lines, preferences=kept)


def _versions(graph: Graph) -> dict[str, str]:
    return {name: node.version for name, node in graph.nodes.items()}


def _hold(
    session: Session, problem: Problem, start: Graph, fresh: Mapping[str, str] | None
) -> Choice:
    holds: dict[str, Hold] = {}
    graph, notes = start, list[str]()
    for _ in range(_ROUNDS):
        found = find_holds(
            _question(session, graph, fresh), session.registry(problem.system, graph.extras)
        )
        new = {name: hold for name, hold in found.items() if _tighter(hold, holds.get(name))}
        if not any(_binds(hold, graph) for hold in new.values()):
            break
        settled = _settle(session, problem, {**holds, **new})
        if settled is None:
            notes.append(
                "not everything is held to its own time: that contradicts what is asked for"
            )
            break
        graph, holds = settled
    before = _versions(start)
    held = {
        name: hold.reason(graph.nodes[name].version)
        for name, hold in holds.items()
        if name in graph.nodes and hold.constraint and before.get(name) != graph.nodes[name].version
    }
    return Choice(graph, _constraints(problem, holds), held, tuple(notes))


def _question(session: Session, graph: Graph, fresh: Mapping[str, str] | None) -> Question:
    named = {item.name for item in session.wanted}
    tree = reached(graph, (_name(line) for line in session.request.kernel)) - named
    return Question(
        graph=graph,
        fresh=fresh,
        wanted=session.wanted,
        kernel=tree & _PROTOCOL,
        fixed=tree & _PROTOCOL,
        grace=timedelta(days=session.settings.grace_days),
    )


def _name(line: str) -> str:
    return canonicalize_name(Requirement(line).name)


def _tighter(hold: Hold, known: Hold | None) -> bool:
    return known is None or (known.loosened == 0 and hold.upper < known.upper)


def _binds(hold: Hold, graph: Graph) -> bool:
    node = graph.nodes.get(hold.name)
    return node is not None and Version(node.version) > hold.upper


def _constraints(problem: Problem, holds: Mapping[str, Hold]) -> tuple[str, ...]:
    lines = (hold.constraint for _, hold in sorted(holds.items()))
    return (*problem.constraints, *(line for line in lines if line))


def _settle(
    session: Session, problem: Problem, holds: dict[str, Hold]
) -> tuple[Graph, dict[str, Hold]] | None:
    """Resolve under `holds`, loosening by the least those that uv's explanation speaks of."""
    for _ in range(_LOOSENINGS):
        answer = session.settle(replace(problem, constraints=_constraints(problem, holds)))
        if isinstance(answer, Solution):
            return answer.graph, holds
        guilty = mentioned(
            evidence(answer), (name for name, hold in holds.items() if hold.constraint)
        )
        if not guilty:
            return None
        holds = {name: hold.looser() if name in guilty else hold for name, hold in holds.items()}
    return None
