"""What a check says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from nixlib.location import Location
from nixlib.resolvers.indexes import Index
from nixlib.settings import Settings

State = Literal["ok", "warning", "problem"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: Short and stable, for programs.
        state: `problem` when no kernel will start before it is mended; `warning` when something is
            slower or weaker than it need be.
        what: What was found; one line.
        why: What follows from it, when it is not ok.
        command: A command that mends it, when one surely does.
    """

    name: str
    state: State
    what: str
    why: str = ""
    command: str = ""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the checks look at; a value, so that a test can put another one in its place.

    Attributes:
        settings: The settings in force.
        location: The store that is meant.
        environ: The variables of the process.
        indexes: Package registries that resolving asks.
        certificates: A file of certificate authorities that the user's pip trusts; else the usual ones.
        user: Name of the user.
    """

    settings: Settings
    location: Location
    environ: Mapping[str, str] = field(default_factory=dict)
    indexes: tuple[Index, ...] = ()
    certificates: str = ""
    user: str = ""
