"""One resolution's dealings with the world: uv asked again with what it could not read said plainly.

A session learns as it goes (which metadata uv refuses, which indexes give no upload times); every later
question to uv carries what was learned. Threads may ask at the same time.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone

from packaging.utils import canonicalize_name

from nixlib.cancel import Cancel
from nixlib.lock.fields import NAME
from nixlib.resolvers.base import Request, Resolution
from nixlib.resolvers.cache import FactCache
from nixlib.resolvers.indexes import Indexes, read_indexes
from nixlib.resolvers.metadata import MetadataSource
from nixlib.resolvers.registry import Registry
from nixlib.resolvers.requirements import Wanted
from nixlib.resolvers.simple import ProjectPages
from nixlib.resolvers.sources.facts import SourceFacts
from nixlib.resolvers.sources.locking import NoBuilder, SourceLocker
from nixlib.resolvers.sources.offers import Sources, noted
from nixlib.resolvers.sources.stubs import Stub, extras_of, readable_version
from nixlib.resolvers.torch import placed_torch
from nixlib.resolvers.uv import OLDEST_KERNEL, LegacyMetadata, Problem, Refusal, Solution, solve
from nixlib.resolvers.web import Web
from nixlib.settings import Settings

__all__ = ["Session", "cutoff", "extraless", "open_session"]

_ROUNDS = 5
_SOURCE_ROUNDS = 200  # each builds or offers something that was not there before
_UNREADABLE = re.compile(r"`([A-Za-z0-9._-]+)==([^`\s]+)` has invalid metadata")
_DATELESS = re.compile(r"`([^`]+)` is missing an upload date")
_EXTRALESS = re.compile(r"The package `([A-Za-z0-9._-]+)==[^`]*` does not have an extra named")


def cutoff(text: str | None) -> str | None:
    """`exclude_newer` as a time in UTC; a bare date counts to its end.

    Examples:
        >>> cutoff("2023-03-31"), cutoff("2023-03-31T12:00:00Z")
        ('2023-04-01T00:00:00Z', '2023-03-31T12:00:00Z')
    """
    if text is None or "T" in text:
        return text
    day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=timezone.utc) + timedelta(days=1)
    return day.strftime("%Y-%m-%dT00:00:00Z")


def extraless(said: str) -> frozenset[str]:
    """Names of which an extra is wanted that their metadata does not have, out of what uv said."""
    return frozenset(canonicalize_name(name) for name in _EXTRALESS.findall(said))


@dataclass
class Session:
    """What all questions of one resolution share.

    `exempt` are the names that the cut-off does not bind because the kernel needs them; `shared` the
    versions, from before the cut-off, of those that the notebook needs too. Where it `is_trial`, nothing
    is built.
    """

    request: Request
    wanted: tuple[Wanted, ...]
    settings: Settings
    indexes: Indexes
    web: Web
    cache: FactCache
    pages: ProjectPages
    metadata: MetadataSource
    sources: Sources
    cancel: Cancel
    is_trial: bool = False
    exempt: frozenset[str] = frozenset()
    shared: dict[str, str] = field(default_factory=dict)
    notes: dict[str, None] = field(default_factory=dict)
    _legacy: dict[tuple[str, str], LegacyMetadata | None] = field(default_factory=dict)
    _dateless: dict[str, bool] = field(default_factory=dict)
    _optional: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    _registries: dict[str, Registry] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def problem(self, system: str) -> Problem:
        """What the notebook and the kernel ask, for one system."""
        lines = (*(str(item.requirement) for item in self.wanted), *self.request.kernel)
        return Problem(
            requirements=lines,
            python=self.request.python,
            system=system,
            constraints=(OLDEST_KERNEL,) if self.request.kernel else (),
            exclude_newer=cutoff(self.request.exclude_newer),
            preferences=self.preferences(system),
            instead=tuple(
                Stub(name, readable_version(version))
                for name, version in sorted(self.request.provided_for(system).items())
                if NAME.fullmatch(name)  # it becomes the name of a file, and comes out of a channel
            ),
        )

    def preferences(self, system: str) -> dict[str, str]:
        """Versions of the previous lock to keep on a system: all but those that may move."""
        request = self.request
        if request.upgrade == "all":
            return dict(self.shared)
        known = {**request.preferences, **request.elsewhere.get(system, {})}
        kept = {name: version for name, version in known.items() if name not in request.upgrade}
        return {**self.shared, **kept}

    def settle(self, problem: Problem, *, trial: bool = False) -> Solution | Refusal:
        """Ask uv until it has been told of every source that it could take, and what that needs.

        A trial is for the versions only: nothing is built for it, nor for a session that is one.

        Raises:
            BuildError: A package that comes as source cannot be built.
            RealisationCancelledError: The user stopped it.
            NetworkError: An index did not answer.
        """
        trial = trial or self.is_trial
        for _ in range(_SOURCE_ROUNDS):
            told = self.sources.told(self._informed(problem), trial=trial)
            answer = noted(self.ask(told), told)
            placed = self._with_torch(problem, answer)
            if placed is not None:
                problem = placed
                continue
            if not self.sources.learn(self._informed(problem), answer, trial=trial):
                break
        if isinstance(answer, Refusal):
            return answer
        return replace(answer, graph=self.sources.dated(answer.graph))

    def _with_torch(self, problem: Problem, answer: Solution | Refusal) -> Problem | None:
        """The problem to ask instead, where the answer has packages of PyTorch from elsewhere than is wanted."""
        if isinstance(answer, Refusal):
            return None
        elsewhere = [item.name for item in self.wanted if item.is_direct]
        elsewhere += self.request.provided_for(problem.system)
        return placed_torch(problem, answer.graph, self.request.torch_index, elsewhere)

    def ask(
        self, problem: Problem, meanwhile: Callable[[], None] | None = None
    ) -> Solution | Refusal:
        """Ask uv until it had nothing to complain about that we can mend.

        `meanwhile` is called once, while uv works.

        Raises:
            RealisationCancelledError: The user stopped it.
            NetworkError: An index did not answer.
        """
        for _ in range(_ROUNDS):
            known = self._informed(problem)
            answer = solve(
                known,
                self.indexes,
                timeout=self.settings.timeout,
                cancel=self.cancel,
                **({"meanwhile": meanwhile} if meanwhile else {}),
            )
            meanwhile = None
            self._learn(answer.said, problem)
            # Compared with what this very run was told: another thread may have learnt it meanwhile.
            informed = self._informed(problem)
            if informed == known or not self._complained(answer.said):
                break
        return answer

    def _informed(self, problem: Problem) -> Problem:
        """The problem with everything that has been learnt so far."""
        with self._lock:
            legacy = [item for _, item in sorted(self._legacy.items()) if item]
            dateless = {name for name, free in self._dateless.items() if free}
            optional = dict(self._optional)
        instead = tuple(
            replace(stub, requires=optional.get((stub.name, stub.version), stub.requires))
            for stub in problem.instead
        )
        exempt = problem.exempt | self.exempt | dateless
        return replace(problem, legacy=tuple(legacy), exempt=exempt, instead=instead)

    def _complained(self, said: str) -> bool:
        complaints = (_UNREADABLE, _DATELESS, _EXTRALESS)
        return any(complaint.search(said) for complaint in complaints)

    def _learn(self, said: str, problem: Problem) -> None:
        """Find out about whatever uv complained of that nobody has looked into."""
        unreadable: set[tuple[str, str]] = {
            (canonicalize_name(name), version) for name, version in _UNREADABLE.findall(said)
        }
        dateless: set[str] = {
            canonicalize_name(name.partition("-")[0]) for name in _DATELESS.findall(said)
        }
        missing = extraless(said)
        provided = {(stub.name, stub.version) for stub in problem.instead if stub.name in missing}
        with self._lock:
            new_legacy = sorted(unreadable - self._legacy.keys())
            new_dateless = sorted(dateless - self._dateless.keys())
            new_optional = sorted(provided - self._optional.keys())
        mended = {pair: self._mend(*pair, problem) for pair in new_legacy}
        free = {name: self._has_no_times(name) for name in new_dateless}
        optional = {pair: self._extras(*pair, problem) for pair in new_optional}
        with self._lock:
            self._legacy |= mended
            self._dateless |= free
            self._optional |= optional

    def _extras(self, name: str, version: str, problem: Problem) -> tuple[str, ...]:
        """What the extras of a package that comes from elsewhere need: only indexes know extras."""
        found = self.registry(problem.system).metadata(name, version)
        lines = map(str, found.requires if found else ())
        return tuple(line for line in lines if extras_of([line]))

    def _mend(self, name: str, version: str, problem: Problem) -> LegacyMetadata | None:
        found = self.registry(problem.system).metadata(name, version)
        if found is None:
            return None
        lines = ", ".join(f"`{line}`" for line in found.mended[:3])
        self.notes[
            f"{name} {version}: its metadata is of before today's standards; read without the bounds of {lines}"
        ] = None
        return LegacyMetadata(name, version, tuple(map(str, found.requires)), found.requires_python)

    def _has_no_times(self, name: str) -> bool:
        files = self.pages.files(name)
        free = bool(files) and not any(file.uploaded for file in files)
        if free:
            note = f"{name}: its index gives no upload times, so exclude-newer does not bind it"
            self.notes[note] = None
        return free

    def registry(self, system: str) -> Registry:
        """The registry as one system's interpreter sees it."""
        with self._lock:
            if system not in self._registries:
                self._registries[system] = Registry(
                    self.pages,
                    self.metadata,
                    sources=self.sources,
                    system=system,
                    python=self.request.python,
                )
            return self._registries[system]


@contextmanager
def open_session(
    request: Request,
    wanted: Iterable[Wanted],
    settings: Settings,
    cancel: Cancel,
    resolve: Callable[[Request], Resolution],
) -> Iterator[Session]:
    """A session with connections and a cache, closed at the end.

    Args:
        request: What is asked for.
        wanted: Its requirements, read.
        settings: `cache_dir`, `timeout` and `grace_days` count here.
        cancel: Stops it.
        resolve: How build requirements of sources are resolved.
    """
    indexes = read_indexes(request.indexes)
    cache = FactCache(settings.cache_dir / "resolver" / "facts-1.sqlite")
    web = Web(indexes, timeout=settings.timeout, cancel=cancel)
    pages, metadata = ProjectPages(indexes, web, cache), MetadataSource(web, cache)
    locker = SourceLocker(
        request=request,
        builder=request.builder or NoBuilder(),
        resolve=resolve,
        cutoff=cutoff(request.exclude_newer),
        grace=timedelta(days=settings.grace_days),
    )
    try:
        yield Session(
            request=request,
            wanted=tuple(wanted),
            settings=settings,
            indexes=indexes,
            web=web,
            cache=cache,
            pages=pages,
            metadata=metadata,
            sources=Sources(request, pages.files, SourceFacts(pages.files, metadata, locker)),
            cancel=cancel,
        )
    finally:
        web.close()
        cache.close()
