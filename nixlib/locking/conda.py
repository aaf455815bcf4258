"""The conda half of a lock."""

from __future__ import annotations

from dataclasses import dataclass

from nixlib.errors import ResolutionError
from nixlib.lock import LockedConda
from nixlib.locking.asked import Asked
from nixlib.locking.lines import ChosenLines
from nixlib.requirements.conda import CondaRequirement
from nixlib.requirements.sorting import Line
from nixlib.resolvers.increment import NOT_LOCKED

CONDA = "conda"
_PYTHON = "python"


@dataclass(frozen=True)
class FromConda:
    """What conda brings.

    Attributes:
        conda: For the lock.
        systems: Those that it can serve.
        python: The whole version of its Python; empty where it has none.
        notes: What the author should know.
        is_kept: Whether it is what the previous lock has, unasked.
    """

    conda: LockedConda
    systems: tuple[str, ...]
    python: str = ""
    notes: tuple[str, ...] = ()
    is_kept: bool = False


def lock_conda(asked: Asked, chosen: ChosenLines) -> FromConda:
    """What conda brings: as before where no line of its own is new.

    Raises:
        ResolutionError: Nothing fits, or it brings a Python that the spec wants from elsewhere.
        NetworkError: A channel did not answer.
        RealisationCancelledError: Somebody stopped it.
    """
    own, spec = list(chosen.lines.conda), asked.spec
    if spec.interpreter == CONDA and not any(line.read.name == _PYTHON for line in own):
        number = len(spec.requirements) + 1
        own.append(Line(number, '"interpreter": "conda"', CondaRequirement(_PYTHON)))
    if not own:
        return FromConda(LockedConda(), spec.systems)
    return _kept(asked, chosen) or _solved(asked, chosen, own)


def _kept(asked: Asked, chosen: ChosenLines) -> FromConda | None:
    before, known = asked.previous, len(asked.spec.requirements) - len(asked.added)
    is_new = any(line.number > known for line in chosen.lines.conda)
    if before is None or not asked.added or is_new:
        return None
    python = before.interpreter.version if before.interpreter.source == CONDA else ""
    notes = tuple(note for note in before.notes if note.startswith(NOT_LOCKED))
    return FromConda(before.conda, before.systems, python, notes, is_kept=True)


def _solved(asked: Asked, chosen: ChosenLines, lines: list[Line[CondaRequirement]]) -> FromConda:
    from nixlib.resolvers.conda.resolve import CondaRequest, resolve_conda  # noqa: PLC0415 - few notebooks need it

    found = resolve_conda(
        CondaRequest(
            requirements=tuple(line.read for line in lines),
            lines=tuple(line.text for line in lines),
            numbers=tuple(line.number for line in lines),
            channels=chosen.channels,
            channel_priority=asked.spec.channel_priority,
            systems=asked.spec.systems,
            python=asked.spec.python,
            variants=asked.variants,
            exclude_newer=asked.exclude_newer,
            previous=asked.previous.conda if asked.previous else LockedConda(),
            upgrade=asked.upgrade,
            notebook=asked.notebook,
            folder=asked.folder,
        ),
        settings=asked.settings,
        on_event=asked.on_event,
        cancel=asked.cancel,
    )
    wanted = asked.spec.interpreter
    if found.python and wanted not in (None, CONDA):
        raise ResolutionError(
            f"conda brings Python {found.python}, and the key `interpreter` asks for one from `{wanted}`",
            details=("packages of conda that are made for a Python run with that one only",),
            hint='`"interpreter": "conda"`, or no such key',
            requirement="interpreter",
            notebook=asked.notebook,
        )
    return FromConda(found.conda, found.systems, found.python, found.notes)
