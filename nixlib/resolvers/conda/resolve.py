"""From a notebook's match specs to locked archives of conda channels, for every system of the lock.

The running system is decided first; the others are then solved beside each other, with its Python. One that cannot be
served is left out, with a note, as for PyPI. What a system is solved *for* (its virtual packages) comes from
the spec's variants, else from the machine, and is recorded with what the chosen packages need of it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal

from packaging.utils import canonicalize_name

from nixlib.cancel import Cancel
from nixlib.errors import SpecError
from nixlib.lock.conda import LockedConda
from nixlib.platforms import conda_subdir, here_first
from nixlib.progress import EventSink, Phase, Progress, ignore
from nixlib.requirements import CondaRequirement
from nixlib.resolvers.conda.access import ChannelAccess, read_channel_access
from nixlib.resolvers.conda.channels import Channel, find_channel, parse_channel, parse_channels
from nixlib.resolvers.conda.conflict import CondaAsker, CondaWanted, explain_conda, short_reason
from nixlib.resolvers.conda.names import read_pypi_names
from nixlib.resolvers.conda.problem import Answer, Problem, Refused, Solved
from nixlib.resolvers.conda.records import RecordReader, needs_of
from nixlib.resolvers.conda.solver import Question, ask_names, solve
from nixlib.resolvers.increment import NOT_LOCKED
from nixlib.settings import Settings
from nixlib.variants import VIRTUAL, conda_constraints, virtual_overrides
from nixlib.virtualpackages import virtual_packages

__all__ = ["CondaRequest", "CondaResolution", "names_in_channels", "resolve_conda"]

_PYTHON = re.compile(r"\d+(\.\d+)*")
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)")
_WHOLE_VERSION = 2  # dots


@dataclass(frozen=True)
class CondaRequest:
    """Everything that decides a resolution, apart from the channels' state.

    Attributes:
        requirements: The notebook's match specs, in its order.
        lines: The same as they are written, for messages; empty for as they are printed.
        numbers: The place of each in the notebook, from 1; empty for 1, 2, 3 …
        channels: Names, URLs and folders relative to `folder`, in order of priority.
        systems: Nix systems to lock for; the running one is decided first where it is among them.
        channel_priority: `strict` or `flexible`.
        python: A version or specifier that holds where conda brings Python; None for any.
        variants: The spec's.
        exclude_newer: A date or RFC 3339 time; nothing uploaded later is chosen.
        previous: The conda half of the previous lock, kept wherever it still fits.
        upgrade: Names, conda's or normalised, whose previous version is forgotten, or `all`.
        notebook: What the notebook is called in messages.
        folder: The notebook's.
    """

    requirements: tuple[CondaRequirement, ...]
    channels: tuple[str, ...]
    systems: tuple[str, ...]
    lines: tuple[str, ...] = ()
    numbers: tuple[int, ...] = ()
    channel_priority: str = "strict"
    python: str | None = None
    variants: Mapping[str, str | None] = field(default_factory=dict)
    exclude_newer: str | None = None
    previous: LockedConda = field(default_factory=LockedConda)
    upgrade: frozenset[str] | Literal["all"] = frozenset()
    notebook: str = ""
    folder: Path = field(default_factory=Path)


@dataclass(frozen=True)
class CondaResolution:
    """The answer.

    Attributes:
        conda: For the lock.
        systems: Those that are served, maybe fewer than were asked for; `notes` then says why.
        python: The whole version of the Python that conda brings; empty where it brings none.
        notes: What the author should know of the choice.
    """

    conda: LockedConda
    systems: tuple[str, ...]
    python: str = ""
    notes: tuple[str, ...] = ()


def resolve_conda(
    request: CondaRequest,
    *,
    settings: Settings,
    on_event: EventSink | None = None,
    cancel: Cancel | None = None,
) -> CondaResolution:
    """Choose one build of everything that `request` needs, for each system.

    Args:
        request: What the notebook asks for; without requirements nothing is asked of anybody.
        settings: `cache_dir`, `timeout` and `conda_…` count here.
        on_event: Told of the phase `resolve` and of how many systems are decided.
        cancel: Ends the solver and every request within a fraction of a second.

    Raises:
        SpecError: A channel is none, or the cut-off is no time.
        ResolutionError: Nothing fits; the first line names the notebook's own requirement.
        NetworkError: A channel is down or damaged; names the channel.
        RealisationCancelledError: The user stopped it.
    """
    if not request.requirements:
        return CondaResolution(LockedConda(), request.systems)
    say, cancel = on_event or ignore, cancel or Cancel()
    say(Phase("resolve"))
    access = read_channel_access(settings)
    channels = _channels(request, access)
    problems = [_problem(request, channels, system) for system in here_first(request.systems)]
    question = Question(
        channels,
        request.channel_priority,
        _cutoff(request.exclude_newer),
        settings,
        access,
        cancel,
    )
    answers: dict[str, Answer] = {}

    def heard(answer: Answer) -> None:
        key = answer.system if isinstance(answer, Solved) else answer.problem.system
        answers[key] = answer
        say(Progress("resolve", len(answers), len(problems)))

    solve(question, problems, heard)
    asker = _asker(request, channels)
    first = answers[problems[0].system]
    if isinstance(first, Refused):
        raise explain_conda(first, asker)
    solved = {key: found.records for key, found in answers.items() if isinstance(found, Solved)}
    refused = [found for found in answers.values() if isinstance(found, Refused)]
    reader = RecordReader(
        channels, read_pypi_names(_sources(solved), settings, cancel), access, settings.timeout, cancel
    )  # fmt: skip
    return CondaResolution(
        conda=LockedConda(
            packages=reader.packages(solved),
            channels=tuple(channel.locked for channel in channels),
            virtual={
                problem.system: problem.virtual for problem in problems if problem.system in solved
            },
            needs={key: needs for key, records in solved.items() if (needs := needs_of(records))},
        ),
        systems=tuple(sorted(solved)),
        python=_python(solved),
        notes=(*_dateless(request, solved), *_left_out(refused, asker)),
    )


def names_in_channels(
    names: Collection[str],
    channels: Sequence[str],
    *,
    systems: Sequence[str],
    folder: Path,
    settings: Settings,
    cancel: Cancel | None = None,
) -> dict[str, str]:
    """For each of `names` that one of `channels` has for one of `systems`: the first that does, as it is written.

    Raises:
        SpecError: A channel is none.
        NetworkError: A channel is down or damaged; names the channel.
        RealisationCancelledError: The user stopped it.
    """
    if not names or not channels:
        return {}
    access = read_channel_access(settings)
    parsed = parse_channels(channels, folder, access.alias, access.custom)
    question = Question(parsed, "strict", None, settings, access, cancel or Cancel())
    found = ask_names(question, sorted(names), [conda_subdir(system) for system in systems])
    written = {channel.url: channel.written for channel in parsed}
    return {name: written[url] for name, url in found.items()}


def _channels(request: CondaRequest, access: ChannelAccess) -> tuple[Channel, ...]:
    """The notebook's, and then those that only a requirement names."""
    channels = parse_channels(request.channels, request.folder, access.alias, access.custom)
    for requirement in request.requirements:
        named = requirement.channel
        if named and find_channel(named, channels) is None:
            more = parse_channel(named, request.folder, access.alias, access.custom)
            channels = (*channels, *more)
    return channels or parse_channels(("conda-forge",), request.folder, access.alias, access.custom)


def _problem(request: CondaRequest, channels: Sequence[Channel], system: str) -> Problem:
    variants = request.variants
    if not system.endswith("-linux"):
        # There is no CUDA elsewhere, so asking for one says nothing about such a system.
        variants = {name: choice for name, choice in variants.items() if name != "cuda"}
    python = (f"python {_python_rule(request.python)}",) if request.python else ()
    return Problem(
        system=system,
        subdir=conda_subdir(system),
        specs=tuple(match_spec(item, channels) for item in request.requirements),
        constraints=(*conda_constraints(variants, system), *python),
        virtual=virtual_packages(system, virtual_overrides(variants, system)),
        choices={k: v for k, v in variants.items() if k == "cuda" or k not in VIRTUAL},
        locked=_locked(request, system),
    )


def match_spec(requirement: CondaRequirement, channels: Sequence[Channel]) -> str:
    """A requirement as rattler takes it, its channel by URL."""
    channel = find_channel(requirement.channel, channels) if requirement.channel else None
    said = {
        "version": requirement.version,
        "build": requirement.build,
        "build_number": requirement.build_number,
        "channel": channel.url if channel else None,
        "subdir": requirement.subdir,
    }
    inside = ",".join(f'{key}="{value}"' for key, value in said.items() if value)
    return f"{requirement.name}[{inside}]" if inside else requirement.name


def _python_rule(python: str) -> str:
    """The spec's `python` as a version of conda: `3.11` is any 3.11."""
    if _PYTHON.fullmatch(python):
        return f"=={python}" if python.count(".") >= _WHOLE_VERSION else f"{python}.*"
    return re.sub(r"\s+", "", python).replace("===", "==").rstrip(",")


def _locked(request: CondaRequest, system: str) -> dict[str, str]:
    if request.upgrade == "all":
        return {}
    return {
        package.name: package.artifact.sha256
        for package in request.previous.of_system(system)
        if request.upgrade.isdisjoint((package.name, canonicalize_name(package.name), package.pypi))
    }


def _cutoff(text: str | None) -> str | None:
    """The last moment that counts, in UTC; a bare date counts to its end.

    Examples:
        >>> _cutoff("2024-02-29"), _cutoff("2024-03-01T02:00:00.5+02:00")
        ('2024-02-29T23:59:59.999000+00:00', '2024-03-01T00:00:00.500000+00:00')
    """
    if text is None:
        return None
    found = _TIME.fullmatch(text if "T" in text else f"{text}T23:59:59.999Z")
    day, fraction, zone = found.groups() if found else (text, "", "")
    try:
        # Python 3.10 reads neither `Z` nor a fraction of any length.
        at = datetime.fromisoformat(
            f"{day}.{(fraction or '').ljust(6, '0')[:6]}{zone.replace('Z', '+00:00')}"
        )
    except ValueError as error:
        raise SpecError(
            f"`nixenv.exclude-newer` must be a date such as `2023-03-01`, not `{text}`",
            key="nixenv.exclude-newer",
            found=text,
        ) from error
    return at.astimezone(timezone.utc).isoformat(timespec="microseconds")


def _asker(request: CondaRequest, channels: Sequence[Channel]) -> CondaAsker:
    numbers = request.numbers or tuple(range(1, len(request.requirements) + 1))
    lines = request.lines or tuple(map(str, request.requirements))
    wanted = [
        CondaWanted(number, line, requirement)
        for number, line, requirement in zip(numbers, lines, request.requirements, strict=True)
    ]
    written = tuple(channel.written for channel in channels)
    return CondaAsker(request.notebook, wanted, written, request.python, request.exclude_newer)


Solutions = Mapping[str, Sequence[Mapping[str, Any]]]


def _sources(solved: Solutions) -> tuple[str, ...]:
    return tuple({str(record["channel"]) for records in solved.values() for record in records})


def _python(solved: Solutions) -> str:
    found = (
        str(record["version"])
        for records in solved.values()
        for record in records
        if record["name"] == "python"
    )
    return next(found, "")


def _dateless(request: CondaRequest, solved: Solutions) -> tuple[str, ...]:
    """A note on packages that the cut-off could not bind."""
    names = sorted(
        {
            str(record["name"])
            for records in solved.values()
            for record in records
            if not (record.get("timestamp") or record.get("indexed_timestamp"))
        }
    )
    if not request.exclude_newer or not names:
        return ()
    shown = ", ".join(f"`{name}`" for name in names)
    return (f"not held to {request.exclude_newer}, because their channel tells no times: {shown}",)


def _left_out(refused: Sequence[Refused], asker: CondaAsker) -> list[str]:
    return sorted(
        f"{NOT_LOCKED}{item.problem.system}: {short_reason(item, asker)}" for item in refused
    )
