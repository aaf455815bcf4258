"""Attributes of nixpkgs into a lock: which commit, which store paths on each system, which Python.

A Python package of nixpkgs is built for one Python of nixpkgs, and its libraries for that one's C library. So a
notebook that asks for such a package gets that Python too, unless it asks for another one by name.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Literal

from nixlib.cancel import Cancel
from nixlib.errors import EvaluationError
from nixlib.ledger import Ledger
from nixlib.lock import LockedAttribute, LockedInterpreter
from nixlib.nixpkgs.evaluating import Asked, Evaluator, Found, Role
from nixlib.nixpkgs.program import nix_version
from nixlib.nixpkgs.pythons import BuiltFor, ChosenPython, check_same, choose_python, named_python
from nixlib.nixpkgs.repository import Pin, default_pin, pin_of, repository_of
from nixlib.nixpkgs.revisions import Revision, Revisions
from nixlib.platforms import current_system, is_nixos
from nixlib.progress import EventSink, ignore
from nixlib.requirements import NixpkgsRequirement
from nixlib.settings import Settings
from nixlib.spec import SYSTEMS
from nixlib.store import open_store
from nixlib.wheels.distinfo import is_name, is_version, normalised

__all__ = ["AttributeRequest", "AttributeResolution", "names_in_nixpkgs", "resolve_attributes"]

NIXPKGS = "nixpkgs"
POLICY = "pythonManylinuxPackages.manylinux2014"
"""Nixpkgs' own list of what has the libraries that wheels may expect (PEP 599)."""

_AT_ONCE = 2  # evaluations; each takes some 400 MB


@dataclass(frozen=True)
class AttributeRequest:
    """What a notebook wants of nixpkgs.

    Attributes:
        requirements: Lines of the notebook.
        build: Lines of `build-inputs`.
        python: The key `python`.
        interpreter: The key `interpreter`.
        systems: What the lock is for.
        previous: The attributes of the lock so far; their commits are kept.
        upgrade: Names whose commits may move (`nixpkgs` for all of it), or `all`.
        notebook: Its name, for messages.
    """

    requirements: tuple[NixpkgsRequirement, ...] = ()
    build: tuple[NixpkgsRequirement, ...] = ()
    python: str | None = None
    interpreter: str | None = None
    systems: tuple[str, ...] = SYSTEMS
    previous: tuple[LockedAttribute, ...] = ()
    upgrade: frozenset[str] | Literal["all"] = frozenset()
    notebook: str = ""


@dataclass(frozen=True)
class AttributeResolution:
    """What it gets.

    Attributes:
        attributes: For the lock, sorted.
        interpreter: The Python, where it is of nixpkgs.
        provided: Version of each Python package that nixpkgs brings, by normalised name.
        systems: Those that every attribute can be had for.
        notes: What the author should know.
    """

    attributes: tuple[LockedAttribute, ...] = ()
    interpreter: LockedInterpreter | None = None
    provided: Mapping[str, str] = field(default_factory=dict)
    systems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def resolve_attributes(
    request: AttributeRequest,
    *,
    settings: Settings,
    on_event: EventSink = ignore,
    cancel: Cancel | None = None,
) -> AttributeResolution:
    """Pin, fetch and evaluate what `request` asks for.

    Evaluates one process for each revision and system, some 1.5 s each with the real nixpkgs; nothing at
    all where the answers are kept, or the previous lock has the same.

    Raises:
        EvaluationError: An attribute is none, or cannot be had on this machine.
        InterpreterError: Its Python is not the one that the notebook asks for.
        NetworkError: A revision could not be had.
        HashMismatchError: It is another one than the previous lock says.
        RealisationCancelledError: Somebody stopped it.
    """
    cancel = cancel or Cancel()
    kept = _unchanged(request)
    if kept is not None:
        return AttributeResolution(kept, systems=request.systems)
    with (
        Ledger(settings.state_dir / "ledger.sqlite") as ledger,
        open_store(settings.store, connections=1) as store,
    ):
        revisions = Revisions(store, ledger, settings, cancel, on_event)
        return _Resolving(request, settings, cancel, revisions, store.store_dir).resolve()


def names_in_nixpkgs(
    names: Collection[str],
    request: AttributeRequest,
    *,
    settings: Settings,
    on_event: EventSink = ignore,
    cancel: Cancel | None = None,
) -> frozenset[str]:
    """Those of some normalised names that `python3Packages` of a bare `nixpkgs` has.

    Args:
        names: Of Python packages.
        request: Whose revision is asked; its lines do not count.
        settings: As `resolve_attributes`.
        on_event: As `resolve_attributes`.
        cancel: As `resolve_attributes`.

    Raises:
        NixError: As `resolve_attributes`.
    """
    cancel = cancel or Cancel()
    with (
        Ledger(settings.state_dir / "ledger.sqlite") as ledger,
        open_store(settings.store, connections=1) as store,
    ):
        revisions = Revisions(store, ledger, settings, cancel, on_event)
        return _Resolving(request, settings, cancel, revisions, store.store_dir).modules(names)


def _lines(request: AttributeRequest) -> Iterator[tuple[NixpkgsRequirement, Role]]:
    yield from ((line, "requirement") for line in request.requirements)
    yield from ((line, "build") for line in request.build)


def _unchanged(request: AttributeRequest) -> tuple[LockedAttribute, ...] | None:
    """The previous attributes, where they answer this request as they are.

    Not where one is a Python or for one: what that brings is not in the lock, and has to be asked.
    """
    if request.interpreter == NIXPKGS or any(a.role == "interpreter" for a in request.previous):
        return None
    found = []
    for line, role in _lines(request):
        same = _previous(request, line, role)
        if same is None or not set(request.systems) <= set(same.outputs):
            return None
        found.append(same)
    return tuple(sorted(set(found)))


def _previous(
    request: AttributeRequest, line: NixpkgsRequirement, role: str
) -> LockedAttribute | None:
    """What the lock so far has for a line, if it may stay."""
    names = {NIXPKGS, line.name, line.name.rpartition(".")[2]}
    if request.upgrade == "all" or names & request.upgrade:
        return None
    source = f"github:{line.repository}" if line.repository else NIXPKGS
    for attribute in request.previous:
        if (attribute.attribute, attribute.role) != (line.name, role):
            continue
        if line.is_commit:
            same = (attribute.source, attribute.revision) == (source, line.revision)
        elif line.revision:
            same = (attribute.source, attribute.branch) == (source, line.revision)
        else:  # a bare `nixpkgs` may mean another repository, by the settings
            same = bool(attribute.branch) and (attribute.source == source or not line.repository)
        if same:
            return attribute
    return None


@dataclass
class _Resolving:
    """One resolution."""

    request: AttributeRequest
    settings: Settings
    cancel: Cancel
    revisions: Revisions
    store_dir: str
    notes: list[str] = field(default_factory=list)
    systems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        here = current_system()
        # This machine's first: what fails here is an error, elsewhere a system less.
        self.systems = sorted(self.request.systems, key=lambda system: (system != here, system))
        self._nix: tuple[int, ...] = ()

    def resolve(self) -> AttributeResolution:
        wanted = [
            (*self._pinned(line, role), Asked(line.name, role))
            for line, role in _lines(self.request)
        ]
        found = self._evaluate([(revision, asked) for revision, _, asked in wanted])
        branches = {(revision, asked): branch for revision, branch, asked in wanted}
        python = self._python(wanted, found)
        if python is not None:
            revision, interpreter = python.revision, Asked(python.attribute, "interpreter")
            found |= self._evaluate([(revision, interpreter)])
            found |= self._policy(revision)
            more = (interpreter, Asked(POLICY, "library"))
            branches |= {(revision, asked): python.branch for asked in more}
        attributes = [
            LockedAttribute(
                attribute=asked.attribute,
                source=revision.repository.source,
                revision=revision.commit,
                tree=revision.tree,
                role=asked.role,
                branch=branches.get((revision, asked), ""),
                python=by_system[self.systems[0]].python if asked.role == "requirement" else "",
                outputs={
                    system: tuple(str(path) for path in each.outputs)
                    for system, each in by_system.items()
                    if system in self.systems
                },
            )
            for (revision, asked), by_system in found.items()
        ]
        return AttributeResolution(
            attributes=tuple(sorted(attributes)),
            interpreter=LockedInterpreter(python.version, NIXPKGS) if python else None,
            provided=self._provided(found),
            systems=tuple(sorted(self.systems)),
            notes=tuple(self.notes),
        )

    def modules(self, names: Collection[str]) -> frozenset[str]:
        """See `names_in_nixpkgs`."""
        revision, _ = self._fetched(default_pin(self.settings.nixpkgs, self._version()))
        return self._evaluator(revision, self.systems[0]).modules(names)

    def _pinned(self, line: NixpkgsRequirement, role: str) -> tuple[Revision, str]:
        previous = _previous(self.request, line, role)
        if previous is not None:
            return self._locked(previous), previous.branch
        return self._fetched(pin_of(line, self.settings.nixpkgs, self._version()))

    def _fetched(self, pin: Pin) -> tuple[Revision, str]:
        """A pin's revision; a commit that the lock has for the same branch already stays."""
        if pin.branch and not self._moves():
            for attribute in self.request.previous:
                place = (attribute.source, attribute.branch)
                if place == (pin.repository.source, pin.branch):
                    return self._locked(attribute), pin.branch
        commit = self.revisions.commit(pin)
        return self.revisions.revision(pin.repository, commit), pin.branch

    def _moves(self) -> bool:
        return self.request.upgrade == "all" or NIXPKGS in self.request.upgrade

    def _locked(self, attribute: LockedAttribute) -> Revision:
        repository = repository_of(attribute.source)
        return self.revisions.revision(repository, attribute.revision, tree=attribute.tree)

    def _version(self) -> tuple[int, ...]:
        self._nix = self._nix or nix_version(self.settings, self.cancel)
        return self._nix

    def _evaluator(self, revision: Revision, system: str) -> Evaluator:
        ensure = self.revisions.ensure
        return Evaluator(revision, system, self.settings, self.cancel, self.store_dir, ensure)

    def _evaluate(
        self, wanted: Sequence[tuple[Revision, Asked]]
    ) -> dict[tuple[Revision, Asked], dict[str, Found]]:
        """Every attribute on every system; systems that one does not exist for are left out of all."""
        found: dict[tuple[Revision, Asked], dict[str, Found]] = {}
        for revision in dict.fromkeys(revision for revision, _ in wanted):
            asked = [each for of, each in wanted if of == revision]
            for system, answers in self._on_systems(revision, asked):
                for each, value in answers.items():
                    found.setdefault((revision, each), {})[system] = value
        return found

    def _on_systems(
        self, revision: Revision, asked: Sequence[Asked]
    ) -> Iterator[tuple[str, dict[Asked, Found]]]:
        first, *others = self.systems
        yield first, self._evaluator(revision, first).outputs(asked)

        def on(system: str) -> dict[Asked, Found] | EvaluationError:
            try:
                return self._evaluator(revision, system).outputs(asked)
            except EvaluationError as error:
                return error

        with ThreadPoolExecutor(_AT_ONCE) as threads:
            for system, answer in zip(others, threads.map(on, others), strict=True):
                if isinstance(answer, EvaluationError):
                    self.systems.remove(system)
                    self.notes.append(f"left out `{system}`: {answer.summary}")
                else:
                    yield system, answer

    def _policy(self, revision: Revision) -> dict[tuple[Revision, Asked], dict[str, Found]]:
        """What has the libraries that wheels expect, for a Python that finds none of the system's."""
        asked = Asked(POLICY, "library")
        found: dict[str, Found] = {}
        for system in self.systems:
            if system.endswith("-linux"):
                try:
                    found[system] = self._evaluator(revision, system).outputs([asked])[asked]
                except EvaluationError as error:
                    self.notes.append(f"libraries of the system are not supplied: {error.summary}")
                    return {}
        return {(revision, asked): found} if found else {}

    def _python(
        self,
        wanted: Sequence[tuple[Revision, str, Asked]],
        found: Mapping[tuple[Revision, Asked], Mapping[str, Found]],
    ) -> ChosenPython | None:
        """The Python, where it is of nixpkgs."""
        here, request = self.systems[0], self.request
        built = [
            BuiltFor(revision, branch, asked.attribute, found[revision, asked][here].python)
            for revision, branch, asked in wanted
            if asked.role == "requirement" and found[revision, asked][here].python
        ]
        if built:
            first = check_same(built, request.python, request.interpreter)
            if request.interpreter is None:
                self.notes.append(
                    f"Python {first.version} is of nixpkgs: `{first}` is built for it"
                )
            return named_python(first, self._evaluator(first.revision, here).pythons())
        if request.interpreter != NIXPKGS and (request.interpreter or not is_nixos()):
            return None
        previous = next((a for a in request.previous if a.role == "interpreter"), None)
        if previous is not None and not self._moves():
            revision, branch = self._locked(previous), previous.branch
        else:
            pin = default_pin(self.settings.nixpkgs, self._version())
            revision, branch = self._fetched(pin)
        offered = self._evaluator(revision, here).pythons()
        return choose_python(revision, branch, offered, request.python)

    def _provided(
        self, found: Mapping[tuple[Revision, Asked], Mapping[str, Found]]
    ) -> dict[str, str]:
        modules = (
            module
            for (_, asked), by_system in found.items()
            if asked.role == "requirement"
            for module in by_system[self.systems[0]].modules
        )
        return {
            normalised(name): version
            for name, version in modules
            if is_name(name) and is_version(version)
        }
