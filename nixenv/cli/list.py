"""`nixenv list`: every package that this machine gets, and which of them the notebook asked for."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from nixenv.cli.carried import read_carried
from nixenv.cli.command import Context
from nixenv.cli.members import asked_for, members
from nixenv.cli.report import Report
from nixenv.notebook.formatting import format_table
from nixlib.platforms import current_system
from nixlib.requirements.refusal import public_line


def run(arguments: argparse.Namespace, context: Context) -> Report:
    """List the packages of `arguments.notebook`'s lock."""
    del context
    carried = read_carried(arguments.notebook)
    lock = carried.fresh_lock()
    present = members(lock, current_system())
    asked = asked_for(carried.spec.requirements, present)
    packages = [
        {
            "name": member.name,
            "version": member.version,
            "requirement": public_line(asked.get(member.key, "")),
            # The lock's sentence begins with the package, which has a column of its own here.
            "held": member.held.removeprefix(f"{member.name} {member.version}, "),
            **member.to_json(),
        }
        for member in present
    ]
    rows = [
        (member.name, member.full_version, member.origin, one["requirement"] or one["held"])
        for member, one in zip(present, packages, strict=True)
    ]
    if "conda:python" not in {member.key for member in present}:
        rows.insert(0, ("python", lock.interpreter.version, "", lock.interpreter.source))
    result = {"python": lock.interpreter.version, "packages": packages}
    return Report(result, format_table(_columns(rows)), is_answer=True)


def _columns(rows: Sequence[tuple[str, str, str, str]]) -> list[tuple[str, ...]]:
    """The rows, without the column of origins where nothing is in it."""
    if any(origin for _, _, origin, _ in rows):
        return list(rows)
    return [(name, version, said) for name, version, _, said in rows]
