"""The packages of Python indexes in a lock, and the Python that they are for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from nixlib.interpreters.interpreter import lock_interpreter
from nixlib.lock import Lock, LockedInterpreter, LockedPackage
from nixlib.locking.asked import Asked
from nixlib.locking.attributes import FromNixpkgs
from nixlib.locking.conda import CONDA, FromConda
from nixlib.locking.groups.kept import own_part
from nixlib.locking.lines import ChosenLines
from nixlib.resolvers.base import Request, Resolution
from nixlib.resolvers.pypi import resolve_pypi
from nixlib.sources.builder import SourceBuilder
from nixlib.variants import torch_backend


@dataclass(frozen=True)
class Elsewhere:
    """What is chosen already, and not from an index."""

    conda: FromConda
    nixpkgs: FromNixpkgs

    def is_in(self, before: Lock) -> bool:
        """Whether a lock has the same."""
        has_conda = self.conda.conda.packages or before.conda.packages
        return (self.conda.is_kept or not has_conda) and set(self.nixpkgs.attributes) == set(
            before.attributes
        )

    def provided(self) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
        """Its Python packages: those that are the same on every system, the others by system."""
        found = {
            system: {p.pypi: p.version for p in self.conda.conda.of_system(system) if p.pypi}
            for system in self.nixpkgs.systems
        }
        common, by_system = everywhere(found)
        return {**self.nixpkgs.provided, **common}, by_system


def everywhere(
    versions: Mapping[str, Mapping[str, str]],
) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    """Versions by system and name: those that are the same on every system, the others by system."""
    every = list(versions.values())
    common = {
        name: version
        for name, version in (every[0] if every else {}).items()
        if all(other.get(name) == version for other in every)
    }
    others = {
        system: {name: version for name, version in names.items() if name not in common}
        for system, names in versions.items()
    }
    return common, {system: names for system, names in others.items() if names}


def first_named(*lists: Iterable[LockedPackage]) -> tuple[LockedPackage, ...]:
    """The packages of every list whose names no list before it has."""
    found: dict[str, list[LockedPackage]] = {}
    for packages in lists:
        new: dict[str, list[LockedPackage]] = {}
        for package in packages:
            new.setdefault(package.name, []).append(package)
        found = {**new, **found}
    return tuple(sorted(package for packages in found.values() for package in packages))


def lock_wheels(
    asked: Asked, chosen: ChosenLines, elsewhere: Elsewhere
) -> tuple[Resolution, LockedInterpreter]:
    """The packages, and the Python that they are for.

    Raises:
        ResolutionError: Nothing fits.
        InterpreterError: The Python that is asked for cannot be had.
        SourceBuildError: A package has no wheel, and its source cannot be built.
        NetworkError: A registry did not answer.
        RealisationCancelledError: Somebody stopped it.
    """
    choosing = _Choosing(asked, elsewhere)
    before = asked.previous
    grows = before if before and asked.added and elsewhere.is_in(before) else None
    # The interpreter of a lock that only grows mostly stays: whether it does is looked at meanwhile.
    python = grows.interpreter if grows else choosing.chosen()
    provided, provided_on = elsewhere.provided()
    own = {line.text for line in chosen.lines.pypi}
    added = tuple(line for line in asked.added if line in own)
    backend = torch_backend(asked.variants)
    request = Request(
        requirements=tuple(line.text for line in chosen.lines.pypi),
        numbers=tuple(line.number for line in chosen.lines.pypi),
        kernel=asked.kernel,
        python=python.version,
        systems=elsewhere.nixpkgs.systems,
        indexes=asked.spec.indexes,
        exclude_newer=asked.exclude_newer,
        era=asked.spec.era,
        previous=own_part(grows) if grows else None,
        added=added if grows else (),
        torch_index=f"{asked.settings.torch_indexes}/{backend}" if backend else "",
        upgrade=asked.upgrade,
        provided=provided,
        provided_on=provided_on,
        provided_by=dict.fromkeys(elsewhere.nixpkgs.provided, "nixpkgs"),
        providers=chosen.orders,
        notebook=asked.notebook,
        private=frozenset(group.name for group in asked.spec.private) if asked.kernel else None,
    ).preferring(first_named(before.packages if before else (), asked.beside))
    base = Lock(
        spec=asked.spec.digest,
        interpreter=python,
        packages=(),
        systems=request.systems,
        conda=elsewhere.conda.conda,
        attributes=elsewhere.nixpkgs.attributes,
    )

    def meanwhile() -> None:
        choosing.chosen()
        asked.meanwhile()

    resolution = ask_indexes(asked, request, base, meanwhile)
    if choosing.chosen().version != python.version:
        python = choosing.chosen()
        request = replace(request, python=python.version, previous=None, added=())
        resolution = ask_indexes(asked, request, replace(base, interpreter=python))
    return resolution, choosing.chosen()


def ask_indexes(
    asked: Asked, request: Request, base: Lock, meanwhile: Callable[[], None] = lambda: None
) -> Resolution:
    """The answer to a request; what has no wheel is built beside what `base` has of other ecosystems.

    Raises:
        ResolutionError: Nothing fits.
        SourceBuildError: A package has no wheel, and its source cannot be built.
        NetworkError: A registry did not answer.
        RealisationCancelledError: Somebody stopped it.
    """
    with SourceBuilder(
        base,
        settings=asked.settings,
        folder=asked.folder,
        build_inputs=asked.spec.build_inputs,
        on_event=asked.on_event,
        cancel=asked.cancel,
    ) as builder:
        return resolve_pypi(
            replace(request, builder=builder),
            settings=asked.settings,
            on_event=asked.on_event,
            cancel=asked.cancel,
            meanwhile=meanwhile,
        )


@dataclass
class _Choosing:
    """The choice of the interpreter, made once, whenever there is time for it."""

    asked: Asked
    elsewhere: Elsewhere
    _made: list[LockedInterpreter] = field(default_factory=list)

    def chosen(self) -> LockedInterpreter:
        if not self._made:
            self._made.append(self._choose())
        return self._made[0]

    def _choose(self) -> LockedInterpreter:
        asked, conda = self.asked, self.elsewhere.conda
        if conda.python:
            return LockedInterpreter(conda.python, CONDA)
        if self.elsewhere.nixpkgs.interpreter:
            return self.elsewhere.nixpkgs.interpreter
        before = asked.previous.interpreter if asked.previous else None
        return lock_interpreter(
            asked.spec.python,
            asked.spec.interpreter,
            asked.spec.systems,
            previous=before if asked.upgrade != "all" else None,
            settings=asked.settings,
            on_event=asked.on_event,
            cancel=asked.cancel,
        )
