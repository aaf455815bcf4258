"""`nixenv explain`: how requirement lines are read, each by the syntax that its form is of."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from nixenv.cli.command import Context
from nixenv.cli.failure import failure_of
from nixenv.cli.report import Report
from nixenv.notebook.formatting import format_table
from nixlib.errors import RequirementError
from nixlib.requirements import AnyRequirement, parse_line

_SYNTAXES = {
    "pypi": "a PEP 508 requirement",
    "conda": "a conda match spec",
    "nixpkgs": "an attribute of nixpkgs",
}


def run(arguments: argparse.Namespace, context: Context) -> Report:
    """Read each of `arguments.lines`; where one of several is refused, the others are read all the same.

    Raises:
        RequirementError: There is only one, and it is refused.
    """
    del context
    if len(arguments.lines) == 1:
        read = parse_line(arguments.lines[0])
        return Report(description(read), _shown(read), is_answer=True)
    answers = [_answer(line) for line in arguments.lines]
    (first, *further) = (result for result, _, _ in answers)
    text = "\n".join(text for _, text, _ in answers)
    exit_code = max(code for _, _, code in answers)
    return Report(first, text, exit_code=exit_code, is_answer=True, further=further)


def _answer(line: str) -> tuple[Mapping[str, Any], str, int]:
    """What is said about one of several lines, for programs and for people, and its exit code."""
    try:
        read = parse_line(line)
    except RequirementError as error:
        failure = failure_of(error)
        return {"error": failure.to_json()}, failure.render(), failure.exit_code
    return description(read), _shown(read), 0


def description(read: AnyRequirement) -> Mapping[str, Any]:
    """What was read, as the JSON object that `--json` prints."""
    return {
        "line": str(read),
        "kind": read.kind,
        "name": read.name,
        "extras": list(read.extras),
        "version": read.version,
        "build": read.build,
        "channel": read.channel,
        "marker": read.marker,
        **read.to_json(),
    }


def _shown(read: AnyRequirement) -> str:
    """What was read, for people: the line in its plainest form, and each part that is there."""
    said = {key.replace("_", " "): value for key, value in description(read).items() if value}
    said["extras"] = ", ".join(read.extras)
    del said["line"], said["kind"]
    rows = [(key, value) for key, value in said.items() if value]
    # A folder has no name before its project is opened.
    syntax = _SYNTAXES[read.kind] if read.name else "a folder with a project"
    return f"{read}: {syntax}\n{format_table(rows, indent='  ')}"
