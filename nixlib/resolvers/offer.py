"""What to write where requirements contradict each other: the package whose dependencies can be its own.

A line is offered only when it is sure to help, so everything that it leads to is resolved first: what remains
without the package, and the package beside that, with the notebook's version of whatever a process can hold
only one of. Sources are built for it, but for those of projects that otherwise have compiled wheels: nobody
waits that long for a hint.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain, count

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from nixlib.errors import NetworkError, NixError, ResolutionError
from nixlib.private.singletons import reason
from nixlib.requirements.refusal import typed
from nixlib.resolvers.conflict import Asker, evidence, explain, is_contradiction, mentioned
from nixlib.resolvers.graph import Graph, Node, reached
from nixlib.resolvers.holding import Choice, choose
from nixlib.resolvers.locking import without_wheel
from nixlib.resolvers.requirements import Wanted
from nixlib.resolvers.session import Session
from nixlib.resolvers.sources.facts import FAILURES
from nixlib.resolvers.sources.offers import Sources
from nixlib.resolvers.uv import Refusal
from nixlib.spec.private import PROCESS, PrivateGroup, group_name

__all__ = ["Offer", "find_offer", "with_offer"]

_TRIES = 3
_ROOM = 50
_ROUNDS = 8


@dataclass(frozen=True)
class Offer:
    """A group that ends a contradiction.

    Attributes:
        group: As it is written; one with a process of its own has the requirement, which must not be in the
            notebook then.
        item: The requirement that it is for.
    """

    group: PrivateGroup
    item: Wanted

    @property
    def line(self) -> str:
        """What is written into the spec."""
        return f'"private": {json.dumps({self.group.name: self.group.to_json()})}'

    @property
    def command(self) -> str:
        """What writes it; the requirement may or may not be in the notebook already."""
        option = "--process" if self.group.is_process else f"--for {self.item.name}"
        is_said = self.group.is_process or self.item.text.lower() != self.item.name
        said = f" {typed(self.item.text)}" if is_said else ""
        return f"%nixenv add --private {self.group.name} {option}{said}"

    @property
    def hint(self) -> str:
        """The way out, for the message."""
        if self.group.is_process:
            return (
                f"`{self.line}` in the place of requirement {self.item.number} runs `{self.item.name}` in a"
                f" process of its own: `{self.command}`"
            )
        return f"`{self.line}` gives `{self.item.name}` dependencies of its own: `{self.command}`"


def with_offer(error: NixError, session: Session, refusal: Refusal, asker: Asker) -> NixError:
    """The same error, with a line that ends the contradiction where there is one.

    Raises:
        RealisationCancelledError: The user stopped it.
    """
    if not isinstance(error, ResolutionError) or error.hint or not is_contradiction(refusal):
        return error
    offer = find_offer(session, refusal, asker)
    if offer is None:
        return error
    said = {
        "group": offer.group.name,
        "mode": offer.group.mode,
        "package": offer.item.name,
        "line": offer.item.text,
    }
    # uv ends some explanations with a version that has no wheel; that it is not all of it is known now.
    plain = explain(refusal, asker, is_together=True)
    fields = {**plain.fields, "offer": said}
    return ResolutionError(plain.summary, details=plain.details, hint=offer.hint, **fields)


def find_offer(session: Session, refusal: Refusal, asker: Asker) -> Offer | None:
    """The requirement to give dependencies of its own; None where that would not be sure to help.

    What is asked for last is looked at first: it is mostly what has just been added. A process of its own is
    only what is left where no package can stay in the notebook's.
    """
    taken = session.request.private
    if taken is None:
        return None
    apart: Offer | None = None
    for item in _candidates(refusal, asker):
        rest = _without(session, item, refusal.problem.system)
        if rest is None or item.name in rest.nodes:
            continue
        name = _free_name(item.name, taken)
        if _fits_beside(session, item, rest, refusal.problem.system):
            return Offer(PrivateGroup(name, package=item.name), item)
        if apart is None and _fits_alone(session, item, refusal.problem.system):
            apart = Offer(PrivateGroup(name, (item.text,), mode=PROCESS), item)
    return apart


def _candidates(refusal: Refusal, asker: Asker) -> Iterator[Wanted]:
    """The notebook's requirements that the contradiction is between, the last one first; not every one of many."""
    names = [item.name for item in asker.wanted]
    told = mentioned(evidence(refusal), names)
    found = [
        item
        for item in reversed(asker.wanted)
        if item.name in told and names.count(item.name) == 1 and not item.is_direct
    ]
    yield from found[:_TRIES]


def _without(session: Session, item: Wanted, system: str) -> Graph | None:
    """What the others get without `item`."""
    others = tuple(other for other in session.wanted if other is not item)
    choice = _chosen(replace(session, wanted=others), system)
    return choice.graph if choice else None


def _chosen(session: Session, system: str) -> Choice | None:
    """What a session gets, once it is certain."""
    trial = replace(session, is_trial=True)
    try:
        answer = choose(trial, trial.problem(system))
        if isinstance(answer, Refusal):
            return None
        unbuilt = session.sources.unbuilt(answer.graph)
        if not unbuilt:
            return answer
        if any(_has_compiled(session, name) for name in unbuilt):
            return None
        answer = choose(session, session.problem(system))
        is_known = not isinstance(answer, Refusal) and not session.sources.build_all(answer.graph)
    except (*FAILURES, NetworkError):
        return None
    return answer if is_known and isinstance(answer, Choice) else None


def _has_compiled(session: Session, name: str) -> bool:
    names = (file.filename for file in session.pages.files(name))
    return any(file.endswith(".whl") and not file.endswith("-any.whl") for file in names)


def _fits_beside(session: Session, item: Wanted, rest: Graph, system: str) -> bool:
    """Whether `item` can be in one process with `rest`, with dependencies of its own."""
    if reason(item.name):
        return False  # the notebook's is that of every group
    kernel = [canonicalize_name(Requirement(line).name) for line in session.request.kernel]
    held = reached(rest, kernel) | {name for name in rest.nodes if reason(name)}
    for _ in range(_ROUNDS):
        choice = _alone(session, item, system, _provided(session, rest, held, system), rest)
        if choice is None:
            return False
        graph = choice.graph
        # What is held needs what it needs in the notebook. What a process can hold only one of, and the
        # notebook has not, is the notebook's from then on.
        used = reached(rest, held & graph.nodes.keys())
        new = reached(graph, [name for name in graph.nodes if reason(name)])
        other = _differing(used | new, graph, rest) - held
        if not other:
            is_late = any(_is_compiled(graph.nodes[one.wanter]) for one in choice.untimely)
            return not is_late and not _is_loaded_twice(graph, rest)
        held |= other
    return False


def _differing(names: Collection[str], one: Graph, other: Graph) -> frozenset[str]:
    """Those of `names` that both have, each in another version."""
    both = set(names) & one.nodes.keys() & other.nodes.keys()
    return frozenset(name for name in both if one.nodes[name].version != other.nodes[name].version)


def _is_loaded_twice(graph: Graph, rest: Graph) -> bool:
    """Whether a file of compiled code would be in the process for both, with other versions of what it needs."""
    both = graph.nodes.keys() & rest.nodes.keys() - _differing(graph.nodes, graph, rest)
    return any(
        _is_compiled(graph.nodes[name]) and _differing(reached(graph, [name]), graph, rest)
        for name in both
    )


def _is_compiled(node: Node) -> bool:
    return not node.is_stub and any(
        not wheel.filename.endswith("-any.whl") for wheel in node.wheels
    )


def _provided(session: Session, rest: Graph, held: Collection[str], system: str) -> dict[str, str]:
    """The versions of `held`; beside them all that comes from elsewhere, where nobody says what that needs."""
    elsewhere = session.request.provided_for(system)
    own = {name: rest.nodes[name].version for name in held}
    return {**elsewhere, **own} if elsewhere.keys() & own.keys() else own


def _fits_alone(session: Session, item: Wanted, system: str) -> bool:
    """Whether `item` can be had where nothing else is."""
    return _alone(session, item, system, {}) is not None


def _alone(
    session: Session,
    item: Wanted,
    system: str,
    provided: Mapping[str, str],
    rest: Graph | None = None,
) -> Choice | None:
    """What `item` needs where `provided` is there, and the versions of `rest` are as good as any."""
    request = replace(
        session.request,
        kernel=(),
        provided=provided,
        provided_on={},
        preferences={name: node.version for name, node in rest.nodes.items()} if rest else {},
        elsewhere={},
        watched=frozenset(provided),
    )
    sources = Sources(request, session.pages.files, session.sources.facts)
    own = replace(session, request=request, wanted=sources.open([item]), sources=sources)
    choice = _chosen(own, system)
    if choice is None or any(map(sources.is_direct, choice.graph.nodes)):
        return None  # What the notebook builds is on no index
    graph = choice.graph.without(provided)
    return None if without_wheel(graph, system, request.python) else choice


def _free_name(package: str, taken: Collection[str]) -> str:
    """A name for the group of `package` that none has yet."""
    name = group_name(package)
    names = chain([name], (f"{name[:_ROOM]}_{number}" for number in count(2)))
    return next(one for one in names if one not in taken)
