"""The notes of a lock that are of a group, told apart from the notebook's own by how they begin."""

from __future__ import annotations

import re
from collections.abc import Iterable

from nixlib.resolvers.increment import NOT_LOCKED

__all__ = ["is_narrowed_by", "not_locked", "notes_of_group", "told", "without_notes_of_groups"]

_NOTE = re.compile(rf"(?:{re.escape(NOT_LOCKED)}[a-z0-9_-]+: )?private group `([a-z0-9_]+)`: ")


def told(note: str, group: str) -> str:
    """A note of the resolver as one of a group; how the note of a system begins that is left out stays."""
    if not note.startswith(NOT_LOCKED):
        return f"private group `{group}`: {_numberless(note)}"
    system, _, why = note.removeprefix(NOT_LOCKED).partition(": ")
    return not_locked(system, group, why)


def not_locked(system: str, group: str, why: str) -> str:
    """The note of a system that the lock does not serve because a group does not."""
    return f"{NOT_LOCKED}{system}: private group `{group}`: {_numberless(why)}"


def _numberless(text: str) -> str:
    """A sentence on a line without its number, which would be read as that of one of the notebook's."""
    return re.sub(r"requirement [0-9]+ (?=`)", "", text)


def notes_of_group(notes: Iterable[str], group: str) -> tuple[str, ...]:
    """Those that are of one group."""
    return tuple(note for note in notes if (of := _NOTE.match(note)) and of[1] == group)


def is_narrowed_by(notes: Iterable[str], group: str) -> bool:
    """Whether a lock leaves a system out because a group does."""
    return any(note.startswith(NOT_LOCKED) for note in notes_of_group(notes, group))


def without_notes_of_groups(notes: Iterable[str]) -> tuple[str, ...]:
    """Those that are of no group."""
    return tuple(note for note in notes if not _NOTE.match(note))
