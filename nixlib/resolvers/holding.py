"""The rule for old pins, put to work: resolve, look for what is out of its time, hold it, resolve again."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import timedelta

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from nixlib.platforms import python_version_key
from nixlib.resolvers.base import Untimely
from nixlib.resolvers.conflict import evidence, mentioned
from nixlib.resolvers.contradiction import contradictions, untimely
from nixlib.resolvers.era import Hold, Question, find_holds, old_packages, without_bounds
from nixlib.resolvers.graph import Graph, reached
from nixlib.resolvers.session import Session
from nixlib.resolvers.uv import Problem, Refusal, Solution

__all__ = ["Choice", "choose", "question_for"]

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


# `python -m venv` and virtualenv put setuptools into every environment until Python 3.12, so packages of
# that time import `pkg_resources` without asking for it (xgboost 1.4, plotnine 0.8). 65 is what Python 3.11
# came with, runs on 3.7 to 3.11, and is the last that still reads the version numbers of that time.
_SETUPTOOLS = "setuptools<66"
_WITHOUT_SETUPTOOLS = "2023-10-02"


@dataclass(frozen=True)
class Choice:
    """What one system gets, what was asked beyond the notebook, and why which package is older."""

    graph: Graph
    assumed: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    held: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    untimely: tuple[Untimely, ...] = ()


def choose(session: Session, problem: Problem) -> Choice | Refusal:
    """Resolve `problem`, with everything in its own time where the notebook wants that.

    uv is run once when no requirement has an upper bound; else twice at once, and once more for each
    round of holds (mostly one). What must be held is found without the previous lock's versions:
    otherwise what is merely not the newest would look old, and its dependencies would move.
    """
    capped = any(item.capped and not item.is_direct for item in session.wanted)
    if not (session.request.era and capped):
        answer = session.settle(problem)
        return answer if isinstance(answer, Refusal) else Choice(answer.graph)
    bare = replace(problem, preferences=session.shared)
    unbounded = replace(
        bare, requirements=(*without_bounds(session.wanted), *session.request.kernel)
    )
    with ThreadPoolExecutor(1) as thread:
        other = thread.submit(session.settle, unbounded, trial=True)
        answer = session.settle(bare)
        fresh = other.result()
    if isinstance(answer, Refusal):
        return answer
    versions = _versions(fresh.graph) if isinstance(fresh, Solution) else None
    assumed = _assumed(question_for(session, answer.graph, versions), problem.python)
    graph, holds, notes = _hold(session, _with(bare, assumed), answer.graph, versions)
    if notes and assumed:  # an index without setuptools, or a package that wants another one
        assumed = ()
        graph, holds, notes = _hold(session, bare, answer.graph, versions)
    choice = Choice(graph, assumed, (), {}, notes)
    return _warned(
        session, problem, _final(session, _with(problem, assumed), choice, holds), versions
    )


def _warned(
    session: Session,
    problem: Problem,
    choice: Choice | Refusal,
    versions: Mapping[str, str] | None,
) -> Choice | Refusal:
    """The choice with a note for each requirement that contradicts the rule."""
    if isinstance(choice, Refusal):
        return choice
    world = session.registry(problem.system).asked_for(choice.graph.extras)
    question = question_for(session, choice.graph, versions)
    warnings = contradictions(question, world)
    late = untimely(question, world, session.request.watched)
    return replace(choice, notes=(*choice.notes, *warnings), untimely=late)


def _with(problem: Problem, assumed: tuple[str, ...]) -> Problem:
    return replace(problem, requirements=(*problem.requirements, *assumed))


def _assumed(question: Question, python: str) -> tuple[str, ...]:
    """What every environment of its time had, so that old packages use it without asking for it."""
    names = {*question.graph.nodes, *(item.name for item in question.wanted)}
    times = [question.graph.nodes[name].uploaded for name in old_packages(question)]
    of_then = any(time and time < _WITHOUT_SETUPTOOLS for time in times)
    modern = python_version_key(python) >= (3, 12)
    return () if modern or not of_then or "setuptools" in names else (_SETUPTOOLS,)


def _versions(graph: Graph) -> dict[str, str]:
    return {name: node.version for name, node in graph.nodes.items()}


def _hold(
    session: Session, problem: Problem, graph: Graph, fresh: Mapping[str, str] | None
) -> tuple[Graph, dict[str, Hold], tuple[str, ...]]:
    """Hold what is out of its time until nothing is; returns the graph, every hold, and notes."""
    holds: dict[str, Hold] = {}
    for _ in range(_ROUNDS):
        registry = session.registry(problem.system).asked_for(graph.extras)
        found = find_holds(question_for(session, graph, fresh), registry)
        new = {name: hold for name, hold in found.items() if _tighter(hold, holds.get(name))}
        complete = problem.requirements[-1] != _SETUPTOOLS or "setuptools" in graph.nodes
        if complete and not any(_binds(hold, graph) for hold in new.values()):
            return graph, {**holds, **new}, ()
        settled = _settle(session, problem, {**holds, **new})
        if settled is None:
            note = "not everything is held to its own time: that contradicts what is asked for"
            return graph, holds, (note,)
        graph, holds = settled
    return graph, holds, ()


def _final(
    session: Session, problem: Problem, choice: Choice, holds: Mapping[str, Hold]
) -> Choice | Refusal:
    """The choice under `holds`, with the previous lock's versions where they still fit."""
    constraints, graph = _constraints(problem, holds), choice.graph
    if problem.preferences:
        answer = session.settle(replace(problem, constraints=constraints))
        if isinstance(answer, Refusal):
            return answer
        graph = answer.graph
    held = {
        name: hold.reason(graph.nodes[name].version)
        for name, hold in holds.items()
        # A package whose own extras come back to it lives in its own time, which explains nothing.
        if name in graph.nodes
        and name != hold.era.name
        and hold.explains(graph.nodes[name].version)
    }
    for name in filter(graph.nodes.get, map(_name, choice.assumed)):
        held[name] = (
            f"{name} {graph.nodes[name].version}, which every environment had before Python 3.12"
        )
    return replace(choice, graph=graph, constraints=constraints, held=held)


def question_for(session: Session, graph: Graph, fresh: Mapping[str, str] | None) -> Question:
    """What the rule for old pins is asked about a resolution of this session."""
    named = {item.name for item in session.wanted}
    tree = reached(graph, (_name(line) for line in session.request.kernel)) - named
    provided = session.request.elsewhere_provided
    return Question(
        graph=graph,
        fresh=fresh,
        wanted=session.wanted,
        kernel=(tree & _PROTOCOL) | provided,
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
