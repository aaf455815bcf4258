"""From a notebook's requirements to locked wheels of PyPI and its like, for every system of the lock.

The running system is decided first; the others are then resolved at the same time as each other, keeping
its versions where they can. One that cannot be served is left out, with a note: a package that has no
wheel for somebody else's machine must not stop this one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

from nixlib.cancel import Cancel
from nixlib.errors import NetworkError, ResolutionError
from nixlib.platforms import here_first
from nixlib.progress import EventSink, Note, Phase, Progress, ignore
from nixlib.resolvers.base import Request, Resolution
from nixlib.resolvers.conflict import Asker, explain
from nixlib.resolvers.graph import Graph, reached
from nixlib.resolvers.holding import Choice, choose
from nixlib.resolvers.increment import NOT_LOCKED, grow
from nixlib.resolvers.indexes import auth_for, credentials_source
from nixlib.resolvers.locking import (
    build_packages,
    built_here,
    choices,
    locked_packages,
    without_wheel,
)
from nixlib.resolvers.requirements import parse_requirements, public_url
from nixlib.resolvers.session import Session, open_session
from nixlib.resolvers.sources.facts import FAILURES
from nixlib.resolvers.torch import public_version
from nixlib.resolvers.uv import Refusal, Solution
from nixlib.resolvers.wheels import served
from nixlib.settings import Settings
from nixlib.variants import TORCH_PACKAGES

_REBUILDS = 4

__all__ = ["auth_for", "credentials_source", "find_again", "resolve_pypi"]


def resolve_pypi(
    request: Request,
    *,
    settings: Settings,
    on_event: EventSink | None = None,
    cancel: Cancel | None = None,
    meanwhile: Callable[[], None] = lambda: None,
) -> Resolution:
    """Choose one version of everything that `request` needs, and its best wheel for each system.

    Args:
        request: What the notebook asks for.
        settings: `cache_dir`, `timeout` and `grace_days` count here.
        on_event: Told of the phase `resolve` and of how many systems are decided.
        cancel: Stops uv and every request within a fraction of a second.
        meanwhile: Called while uv works, where the previous lock may only have to grow.

    Raises:
        RequirementError: A requirement cannot be read, or asks for what a lock cannot hold.
        ResolutionError: Nothing fits; the first line names the notebook's own requirement.
        NetworkError: A registry did not answer; field `url`.
        RealisationCancelledError: The user stopped it.
    """
    say, cancel = on_event or ignore, cancel or Cancel()
    say(Phase("resolve"))
    wanted = parse_requirements(request.requirements, request.numbers)
    first, *others = here_first(request.systems)
    resolve = partial(resolve_pypi, settings=settings, cancel=cancel)
    with open_session(request, wanted, settings, cancel, resolve) as session:
        if replaced := session.indexes.replaced:
            text = f"other machines cannot follow it, so `{session.indexes.default.public}` is asked instead"
            say(Note("warning", text, f"`{replaced}`"))
        grown = grow(session, (first, *others), meanwhile)
        if grown is not None:
            say(Progress("resolve", len(request.systems), len(request.systems)))
            return grown
        session.wanted = session.sources.open(wanted)
        asker = _asker(session, first)
        _exempt_kernel(session, (first, *others))
        primary = _first(session, first, asker)
        say(Progress("resolve", 1, len(request.systems)))
        _check_wheels(_locked(session, first, primary.graph), first, request, asker)
        graphs, left_out = _others(session, primary, first, others)
        say(Progress("resolve", len(request.systems), len(request.systems)))
        graphs = {first: _locked(session, first, primary.graph), **graphs}
        packages = locked_packages(session, graphs, primary.held)
        notes = (*sorted(session.notes), *session.sources.facts.notes, *primary.notes, *left_out)
        return Resolution(
            packages,
            tuple(sorted(graphs)),
            notes,
            build_packages(session, packages),
            built=built_here(session, packages, graphs),
            choices=choices(session, graphs),
            untimely=primary.untimely,
        )


def find_again(
    name: str,
    url: str,
    *,
    settings: Settings,
    asked: tuple[str, ...] = (),
    cancel: Cancel | None = None,
) -> str:
    """The URL of a locked file as its index gives it today, with whatever query it needs.

    For indexes that sign their links: a lock has `url` without the signature.

    Args:
        name: The normalised name of the project.
        url: As in the lock.
        settings: `cache_dir` and `timeout` count here.
        asked: Indexes that the notebook names.
        cancel: Stops it.

    Returns:
        `url` itself when no index of the user lists the file.

    Raises:
        NetworkError: An index did not answer.
    """
    request = Request((), "3.11.0", (), indexes=asked)
    resolve = partial(resolve_pypi, settings=settings)
    with open_session(request, (), settings, cancel or Cancel(), resolve) as session:
        files = session.pages.files(name)
    return next((file.url for file in files if public_url(file.url) == url), url)


def _asker(session: Session, system: str) -> Asker:
    request = session.request

    def builds(name: str) -> bool:
        return "sdist" in request.providers.formats(name)

    return Asker(
        request.notebook,
        session.wanted,
        session.pages.files,
        request.provided_for(system),
        request.provided_by,
        builds=builds if request.builder else None,
    )


def _first(session: Session, system: str, asker: Asker) -> Choice:
    """What the system that is decided first gets, with everything built that comes as source.

    What a build says may be another thing than what wheels for other machines say: then it counts.

    Raises:
        ResolutionError: Nothing fits.
        BuildError: Something cannot be built.
    """
    for _ in range(_REBUILDS):
        choice = choose(session, session.problem(system))
        if isinstance(choice, Refusal):
            from nixlib.resolvers.offer import with_offer  # noqa: PLC0415 - only a failure needs it

            raise with_offer(explain(choice, asker), session, choice, asker)
        if not session.sources.build_all(choice.graph):
            return choice
    raise ResolutionError(
        f"cannot resolve {asker.title}: what it builds needs other packages at every build",
        requirement="",
        notebook=session.request.notebook,
    )


def _exempt_kernel(session: Session, systems: Sequence[str]) -> None:
    """Find what the kernel needs on each system, so that `exclude_newer` does not bind it.

    What the notebook needs too (packaging, say) is preferred as it was before the cut-off, and newer only
    where the kernel cannot do with that.
    """
    if not (session.request.exclude_newer and session.request.kernel):
        return

    def kernel(system: str) -> Solution | Refusal:
        asked = replace(session.problem(system), requirements=session.request.kernel)
        return session.settle(replace(asked, exclude_newer=None, preferences={}), trial=True)

    own = tuple(str(item.requirement) for item in session.wanted)
    notebook = session.settle(
        replace(session.problem(systems[0]), requirements=own, preferences={}), trial=True
    )
    with ThreadPoolExecutor(len(systems)) as threads:
        answers = [
            answer for answer in threads.map(kernel, systems) if isinstance(answer, Solution)
        ]
    needed = {name for answer in answers for name in answer.graph.nodes}
    session.exempt = frozenset(needed - {item.name for item in session.wanted})
    if isinstance(notebook, Solution):
        nodes = notebook.graph.nodes
        session.shared = {name: nodes[name].version for name in session.exempt & nodes.keys()}


def _others(
    session: Session, primary: Choice, first: str, systems: Sequence[str]
) -> tuple[dict[str, Graph], list[str]]:
    """The same for the other systems; those that cannot be served, each with a note why."""
    if not systems:
        return {}, []
    versions = {name: node.version for name, node in primary.graph.nodes.items()}
    session.sources.follow(first, systems)

    def one(system: str) -> Graph | str:
        asked = session.problem(system)
        problem = replace(
            asked,
            requirements=(*asked.requirements, *primary.assumed),
            constraints=primary.constraints or asked.constraints,
            preferences={
                **asked.preferences,
                **_here_too(versions, system),
                **_own(session, system),
            },
        )
        try:
            answer = session.settle(problem)
        except FAILURES as error:
            return _nameless(error.summary)
        if isinstance(answer, Refusal):
            return _reason(session, answer, system)
        graph = _locked(session, system, answer.graph)
        missing = without_wheel(graph, system, session.request.python)
        if missing:
            return f"`{missing.name} {missing.version}` has no wheel for it"
        return session.sources.unlockable(answer.graph) or graph

    with ThreadPoolExecutor(len(systems)) as threads:
        answers = dict(zip(systems, threads.map(one, systems), strict=True))
    graphs = {system: answer for system, answer in answers.items() if isinstance(answer, Graph)}
    notes = [
        f"{NOT_LOCKED}{system}: {answer}"
        for system, answer in answers.items()
        if isinstance(answer, str)
    ]
    return graphs, notes


def _here_too(versions: Mapping[str, str], system: str) -> dict[str, str]:
    """Versions of the first system, as another one knows them: macOS has no variants of PyTorch."""
    if system.endswith("-linux"):
        return dict(versions)
    return {
        name: public_version(version) if name in TORCH_PACKAGES else version
        for name, version in versions.items()
    }


def _locked(session: Session, system: str, graph: Graph) -> Graph:
    """What of a resolution a lock has: all but what comes from elsewhere."""
    return graph.without(session.request.provided_for(system))


def _own(session: Session, system: str) -> dict[str, str]:
    """What the previous lock had on that system only, where it may stay."""
    own = session.request.elsewhere.get(system, {})
    kept = session.preferences(system)
    return {name: version for name, version in own.items() if kept.get(name) == version}


def _reason(session: Session, refusal: Refusal, system: str) -> str:
    """Why a system is left out, in one line; a registry that is down is an error all the same.

    Raises:
        NetworkError: The registry did not answer.
    """
    error = explain(refusal, replace(_asker(session, system), notebook=""))
    if isinstance(error, NetworkError):
        raise error
    return re.sub(r" on [a-z0-9_]+-(linux|darwin)$", "", _nameless(error.summary))


def _nameless(summary: str) -> str:
    """A message without the notebook that it is about, which the reader of a note knows."""
    return re.sub(r"^cannot resolve (this notebook|`[^`]*`): ", "", summary)


def _check_wheels(graph: Graph, system: str, request: Request, asker: Asker) -> None:
    node = without_wheel(graph, system, request.python)
    if node is None:
        return
    owner = next((item for item in asker.wanted if node.name in reached(graph, [item.name])), None)
    subject = f"requirement {owner.number} `{owner.text}`" if owner else "the notebook's kernel"
    files = served(wheel.filename for wheel in node.wheels)
    raise ResolutionError(
        f"cannot resolve {asker.title}: {subject}: `{node.name} {node.version}` has no wheel"
        f" for Python {request.python} on {system}",
        details=(f"it has wheels for {files}",) if files else (),
        requirement=owner.text if owner else node.name,
        notebook=request.notebook,
    )
