"""Packages without a wheel: uv is offered stubs of them, and what it takes is built.

uv never sees a source. Where nothing fits, or a project has no wheels at all, stubs of its source archives
are put beside the wheels of the indexes; what they need is what other wheels of the same version say, or what
a build gives. Every question of one resolution goes through here, until uv has nothing new to be told.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from packaging.version import Version

from nixlib.errors import ResolutionError
from nixlib.platforms import PYTHONS, python_minor
from nixlib.resolvers.base import Request
from nixlib.resolvers.conflict import wheelless
from nixlib.resolvers.graph import Graph, Node, reached
from nixlib.resolvers.metadata import Metadata
from nixlib.resolvers.requirements import Wanted
from nixlib.resolvers.simple import IndexFile, file_version
from nixlib.resolvers.sources.facts import FAILURES, SourceFacts
from nixlib.resolvers.sources.sdists import Which, admits, offered_sdists, sdists_of
from nixlib.resolvers.sources.stubs import Stub
from nixlib.resolvers.uv import Problem, Refusal, Solution
from nixlib.resolvers.wheels import best_wheel

__all__ = ["Sources", "noted"]


@dataclass
class _Offers:
    """Names whose sources uv sees: beside wheels, only versions without any, or in place of wheels."""

    beside: set[str] = field(default_factory=set)
    wheelless: set[str] = field(default_factory=set)
    instead: set[str] = field(default_factory=set)

    @property
    def names(self) -> set[str]:
        return self.beside | self.wheelless | self.instead


class Sources:
    """The sources of one resolution. Threads may ask at the same time; one of them builds.

    A question is a *trial* when only its versions count: nothing is built for it.

    Args:
        request: What the notebook asks for; nothing is offered where it has no builder.
        files: What indexes list of a project.
        facts: What is known of sources.
    """

    def __init__(
        self, request: Request, files: Callable[[str], Sequence[IndexFile]], facts: SourceFacts
    ) -> None:
        self.facts = facts
        self._request = request
        self._files = files
        self._wanted: tuple[Wanted, ...] = ()
        self._offers: dict[tuple[str, bool], _Offers] = {}
        self._lock = threading.RLock()

    def open(self, wanted: Iterable[Wanted]) -> tuple[Wanted, ...]:
        """The notebook's requirements, with those that are sources opened and built.

        Raises:
            SourceError: A source is not there, or is no project.
            BuildError: It cannot be built.
            ResolutionError: It is not what its line says, or nothing builds here.
        """
        self._wanted = tuple(
            self.facts.open(item, item.source) if item.source else item for item in wanted
        )
        return self._wanted

    def told(self, problem: Problem, *, trial: bool) -> Problem:
        """The problem with every source that uv may take."""
        instead = [*problem.instead, *self.facts.direct_stubs()]
        if self._request.builder is None:
            return problem
        with self._lock:
            offers = self._of(problem.system, trial=trial)
            taken = {stub.name for stub in instead}
            for name in sorted(offers.instead - taken):
                instead += self._stubs(name, problem, trial=trial, which="all")
            offered: list[Stub] = []
            for name in sorted((offers.beside | offers.wheelless) - offers.instead - taken):
                which: Which = "unserved" if name in offers.beside else "wheelless"
                offered += self._stubs(name, problem, trial=trial, which=which)
        return replace(problem, instead=tuple(instead), offered=tuple(offered), traced=True)

    def learn(self, problem: Problem, answer: Solution | Refusal, *, trial: bool) -> bool:
        """Find out what the answer calls for; True when uv has to be asked again.

        Args:
            problem: As it was before it was `told`.
            answer: Of uv.
            trial: Whether nothing is built for it.

        Raises:
            BuildError: What was chosen cannot be built.
            ResolutionError: What it is built with cannot be had.
        """
        if self._request.builder is None:
            return False
        with self._lock:
            offers = self._of(problem.system, trial=trial)
            if isinstance(answer, Refusal):
                names = wheelless(answer) - offers.beside - offers.instead - self.facts.direct
                new = {name for name in names if self._sdists(name, problem, "unserved")}
                offers.beside |= new
                return bool(new)
            hidden = self._looked_for_in_vain(problem, answer, offers)
            preferred = self._preferred(problem, answer.graph, offers)
            offers.wheelless |= hidden
            offers.instead |= preferred
            if hidden or preferred:
                return True
            known = {
                node.name: self._know(node, answer.graph, trial=trial)
                for node in self._chosen(answer.graph)
            }
            return any(known.values())

    def follow(self, first: str, others: Iterable[str]) -> None:
        """Offer other systems what the first one takes, so that they can have the same versions."""
        offers = self._of(first, trial=False)
        for system in others:
            copied = _Offers(set(offers.beside), set(offers.wheelless), set(offers.instead))
            self._offers[system, False] = copied

    def build_all(self, graph: Graph) -> bool:
        """Build everything that a resolution takes as source; True when it needs what uv was not told.

        Raises:
            BuildError: Something cannot be built.
        """
        changed = False
        with self._lock:
            for node in self._chosen(graph):
                self.facts.build(node.name, node.version, self._owner(node.name, graph))
                changed |= self._needs_more(node, trial=False)
        return changed

    def unbuilt(self, graph: Graph) -> tuple[str, ...]:
        """The names of what comes as source and has not been built so far."""
        chosen = self._chosen(graph)
        return tuple(n.name for n in chosen if not self.facts.is_built(n.name, n.version))

    def unlockable(self, graph: Graph) -> str:
        """Why something that a resolution takes as source cannot be locked; empty when all can."""
        with self._lock:
            reasons = (self._unlockable(node) for node in self._chosen(graph))
            return next(filter(None, reasons), "")

    def _unlockable(self, node: Node) -> str:
        try:
            self.facts.locked(node.name, node.version)
        except FAILURES as error:
            return f"`{node.name} {node.version}` comes as source there: {error.summary}"
        return ""

    def dated(self, graph: Graph) -> Graph:
        """The same graph with the upload times of what comes as source."""
        nodes = dict(graph.nodes)
        for node in self._chosen(graph):
            _, uploaded = self.facts.wanted(node.name, node.version)
            nodes[node.name] = replace(node, uploaded=uploaded)
        return replace(graph, nodes=nodes)

    def reason(self, node: Node, systems: Sequence[str]) -> str:
        """Why a version is built; `systems` where it is not on all of them."""
        if node.name in self.facts.direct:
            return ""
        order = self._request.providers.formats(node.name)
        if order[0] == "sdist":
            return f"sdist: the order is `{','.join(order)}`"
        where = f" on {', '.join(systems)}" if systems else ""
        return f"sdist: `{node.name} {node.version}` has no wheel for Python {self._request.python}{where}"

    def is_direct(self, name: str) -> bool:
        """Whether a name is a source of the notebook's own, so that no index knows it."""
        return name in self.facts.direct

    def needs(self, name: str, version: str) -> Metadata | None:
        """What a version needs that is built; None where nobody knows."""
        return self.facts.needs(name, version)

    def offered(self, name: str, system: str) -> frozenset[Version]:
        """The versions of a name that may be built on a system."""
        if name not in self._offers.get((system, False), _Offers()).names:
            return frozenset()
        return frozenset(sdists_of(self._files(name)))

    def _of(self, system: str, *, trial: bool) -> _Offers:
        known = self._offers.get((system, trial))
        if known is None:
            # What was built for the previous lock stays what it was, if it still fits.
            upgrade = self._request.upgrade
            kept = set() if upgrade == "all" else set(self._request.build_versions) - upgrade
            known = self._offers[system, trial] = _Offers(beside=kept)
        return known

    def _stubs(self, name: str, problem: Problem, *, trial: bool, which: Which) -> list[Stub]:
        found = offered_sdists(
            self._files(name),
            problem,
            dated=name not in problem.exempt,
            pinned=self._pinned(name),
            which=which,
        )
        if not self._request.builds_ported and self._request.providers.formats(name)[0] != "sdist":
            found = {
                version: file
                for version, file in found.items()
                if not self._is_for_another(name, version, problem.system)
            }
        return [self.facts.stub(name, str(version), stated=trial) for version in sorted(found)]

    def _is_for_another(self, name: str, version: Version, system: str) -> bool:
        """Whether a version has a wheel for another Python on the same system."""
        files = [file.filename for file in self._files(name)]
        names = [file for file in files if file_version(file) == version]
        return any(best_wheel(names, names, system, minor) for minor in PYTHONS)

    def _sdists(self, name: str, problem: Problem, which: Which) -> list[Stub]:
        """The same of those that `providers` lets be built."""
        if "sdist" not in self._request.providers.formats(name):
            return []
        return self._stubs(name, problem, trial=True, which=which)

    def _pinned(self, name: str) -> set[Version]:
        specifiers = [item.requirement.specifier for item in self._wanted if item.name == name]
        return {
            Version(part.version)
            for specifier in specifiers
            for part in specifier
            if part.operator == "==" and not part.version.endswith(".*")
        }

    def _looked_for_in_vain(self, problem: Problem, answer: Solution, offers: _Offers) -> set[str]:
        """What has no wheels at all, so that uv took an older version of what needs it."""
        never = offers.names | self.facts.direct | {stub.name for stub in problem.instead}
        nodes = answer.graph.nodes
        found = set()
        for name, bounds in answer.unserved:
            limits = "" if bounds == "*" else bounds
            # Only the newest was looked for in vain: an older one has a wheel, and wheels come first.
            if name in never or (name in nodes and admits(limits, nodes[name].version)):
                continue
            stubs = self._sdists(name, problem, "wheelless")
            if any(admits(limits, stub.version) for stub in stubs):
                found.add(name)
        return found

    def _preferred(self, problem: Problem, graph: Graph, offers: _Offers) -> set[str]:
        """What is built though it has wheels: the notebook says so, or none of them runs here."""
        asked = reached(graph, (item.name for item in self._wanted))
        minor = python_minor(problem.python)
        found = set()
        for name in sorted(asked - offers.instead - self.facts.direct):
            node, formats = graph.nodes[name], self._request.providers.formats(name)
            names = [wheel.filename for wheel in node.wheels]
            runs = node.is_stub or best_wheel(names, names, problem.system, minor) is not None
            if node.is_stub or (runs and formats[0] != "sdist"):
                continue
            if self._sdists(name, problem, "all"):
                found.add(name)
            elif formats == ("sdist",):
                raise self._sourceless(name, graph)
        return found

    def _sourceless(self, name: str, graph: Graph) -> ResolutionError:
        notebook, owner = self._request.notebook, self._owner(name, graph)
        return ResolutionError(
            f"cannot resolve {f'`{notebook}`' if notebook else 'this notebook'}: `{name}` has no"
            " source archive, and `providers` wants one",
            details=(f"{owner} needs it",) if owner else (),
            hint=f'`"providers": {{"{name}": "sdist,wheel"}}` takes its wheel then',
            requirement=name,
            notebook=notebook,
        )

    def _chosen(self, graph: Graph) -> list[Node]:
        """What a resolution takes as source out of an index."""
        others = self._request.elsewhere_provided | self.facts.direct
        return [node for node in graph.nodes.values() if node.is_stub and node.name not in others]

    def _know(self, node: Node, graph: Graph, *, trial: bool) -> bool:
        """Find out what a version needs; True when that is not what uv was told."""
        name, version = node.name, node.version
        is_built = self.facts.is_built(name, version) and not trial
        if not (is_built or self.facts.look_up(name, version) or trial):
            self.facts.build(name, version, self._owner(name, graph))
        return self._needs_more(node, trial=trial)

    def _needs_more(self, node: Node, *, trial: bool) -> bool:
        """Whether a version needs something else than the stub said that uv saw in this answer."""
        stub = self.facts.stub(node.name, node.version, stated=trial)
        return frozenset(stub.requires) != node.told

    def _owner(self, name: str, graph: Graph) -> str:
        owner = next((item for item in self._wanted if name in reached(graph, [item.name])), None)
        return f"requirement {owner.number} `{owner.text}`" if owner else ""


def noted(answer: Solution | Refusal, told: Problem) -> Solution | Refusal:
    """`answer` with what uv was told of each stub that it took: by now more may be known of it."""
    if isinstance(answer, Refusal):
        return answer
    said = {(stub.name, stub.version): stub.requires for stub in (*told.instead, *told.offered)}
    nodes = {
        name: replace(node, told=frozenset(said.get((name, node.version), ())))
        if node.is_stub
        else node
        for name, node in answer.graph.nodes.items()
    }
    return replace(answer, graph=replace(answer.graph, nodes=nodes))
