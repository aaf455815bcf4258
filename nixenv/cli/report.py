"""What a verb found: text for people, an object for machines, and the exit code. Verbs print nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome of one verb.

    Attributes:
        result: What `--json` prints; plain JSON values.
        text: What people read; may have several lines; empty prints nothing.
        exit_code: One of `nixenv.cli.parser.EXIT_CODES`.
        further: Objects that `--json` prints behind the first, a line each.
        is_answer: The text is what was asked for (`status`, `list`), so that `--quiet` keeps it.
    """

    result: Mapping[str, Any]
    text: str
    exit_code: int = 0
    is_answer: bool = False
    further: Sequence[Mapping[str, Any]] = ()
