"""`nixenv list`: every package that this machine gets, and which of them the notebook asked for."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from nixenv.cli.carried import read_carried
from nixenv.cli.command import Context
from nixenv.cli.group_members import NOTEBOOK, GroupMembers, group_members, group_of, hoisted
from nixenv.cli.members import Member, asked_for, members
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
    groups = group_members(lock, current_system())
    by_key = {member.key: member for member in present}
    brought = hoisted(by_key, groups)
    packages = _described(present, asked, brought)
    rows = _rows(present, packages)
    if "conda:python" not in by_key:
        rows.insert(0, ("python", lock.interpreter.version, "", lock.interpreter.source))
    private, tables = [], [format_table(_columns(rows))]
    for group in groups:
        lines = group.roots(group_of(carried.spec.private, group.name))
        own = _described(group.own, lines)
        private.append({**_group_facts(group), "packages": own})
        tables.append(_table(group, own))
    result = {"python": lock.interpreter.version, "packages": packages, "private": private}
    return Report(result, "\n\n".join(tables), is_answer=True)


def _described(
    present: Sequence[Member],
    asked: Mapping[str, str],
    brought: Mapping[str, str] = MappingProxyType({}),
) -> list[dict[str, Any]]:
    """Each package, and what it is there for."""
    return [
        {
            "name": member.name,
            "version": member.version,
            "requirement": public_line(asked.get(member.key, "")),
            # The lock's sentence begins with the package, which has a column of its own here.
            "held": member.held.removeprefix(f"{member.name} {member.version}, "),
            **({"for": brought[member.key]} if member.key in brought else {}),
            **member.to_json(),
        }
        for member in present
    ]


def _rows(
    present: Sequence[Member], packages: Sequence[Mapping[str, Any]]
) -> list[tuple[str, str, str, str]]:
    return [
        (member.name, member.full_version, member.origin, _said(one))
        for member, one in zip(present, packages, strict=True)
    ]


def _said(package: Mapping[str, Any]) -> str:
    """Why a package is there, and why it is no newer."""
    brought = f"for {package['for']}" if "for" in package else ""
    held = ", ".join(filter(None, [brought, str(package["held"])]))
    return str(package["requirement"]) or held


def _group_facts(group: GroupMembers) -> dict[str, Any]:
    return {
        **group.to_json(),
        "for": group.locked.package,
        "python": group.python,
        "shared": [one.name for one in group.used if one.lender == NOTEBOOK],
        "lent": {one.name: one.lender for one in group.used if one.lender != NOTEBOOK},
    }


def _table(group: GroupMembers, packages: Sequence[Mapping[str, Any]]) -> str:
    """A group's own packages below its name, then whose the others are that it uses."""
    rows = _rows(group.own, packages)
    if group.python:
        rows.insert(0, ("python", group.python, "", "of its own process"))
    lines = [f"private {group.name}"]
    lines += [format_table(_columns(rows), indent="  ")] if rows else []
    for lender in dict.fromkeys(one.lender for one in group.used):
        names = ", ".join(one.name for one in group.used if one.lender == lender)
        lines.append(f"  {lender}'s {names}")
    return "\n".join(lines)


def _columns(rows: Sequence[tuple[str, str, str, str]]) -> list[tuple[str, ...]]:
    """The rows, without the column of origins where nothing is in it."""
    if any(origin for _, _, origin, _ in rows):
        return list(rows)
    return [(name, version, said) for name, version, _, said in rows]
