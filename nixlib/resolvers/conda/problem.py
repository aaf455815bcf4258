"""What conda's solver is asked for one system, and its answers (pure)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

__all__ = ["Answer", "Problem", "Refused", "Solved"]


@dataclass(frozen=True)
class Problem:
    """What is asked for one system; everything is a match spec that our own grammar has let pass.

    Attributes:
        system: Nix's name.
        subdir: Conda's.
        specs: What must be there.
        constraints: What holds for the packages that are there.
        virtual: Virtual packages, `__cuda=12.4`.
        choices: Variants that decide between builds.
        locked: The sha256 of what the previous lock had, by name, where it may stay.
    """

    system: str
    subdir: str
    specs: tuple[str, ...]
    constraints: tuple[str, ...] = ()
    virtual: tuple[str, ...] = ()
    choices: Mapping[str, str | None] = field(default_factory=dict)
    locked: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """For the job."""
        return dict(vars(self))


@dataclass(frozen=True)
class Solved:
    """What one system gets: records as the channels have them, with `needs`, `url` and `channel`."""

    system: str
    records: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class Refused:
    """Why one system gets nothing.

    Attributes:
        problem: What was asked.
        said: The solver's tree.
        known: The newest versions that the channels have of what was asked for, by name, and the builds of each.
    """

    problem: Problem
    said: str
    known: Mapping[str, Mapping[str, Sequence[str]]]


Answer: TypeAlias = Solved | Refused
