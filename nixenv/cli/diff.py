"""`nixenv diff`: what two notebooks ask for and get, where that differs."""

from __future__ import annotations

import argparse
from typing import Any

from nixenv.cli.carried import Carried, read_carried
from nixenv.cli.changes import changes_between
from nixenv.cli.command import Context
from nixenv.cli.report import Report

_IN_PARTS = ("requirements", "private")


def run(arguments: argparse.Namespace, context: Context) -> Report:
    """Compare `arguments.before` with `arguments.after`; either may be without a lock."""
    del context
    before, after = read_carried(arguments.before), read_carried(arguments.after)
    spec = spec_differences(before.spec.to_json(), after.spec.to_json())
    changes = changes_between(before.lock, after.lock)
    pythons = (_python(before), _python(after))
    result = {
        "before": str(before.path),
        "after": str(after.path),
        "same": not spec and not changes.lines() and pythons[0] == pythons[1],
        "spec": spec,
        "interpreter": None if pythons[0] == pythons[1] else {"from": pythons[0], "to": pythons[1]},
        **changes.to_json(),
    }
    lines = [_spec_line(key, one) for key, one in spec.items() if key not in _IN_PARTS]
    lines += [f"- asks for {text}" for text in spec.get("requirements", {}).get("removed", ())]
    lines += [f"+ asks for {text}" for text in spec.get("requirements", {}).get("added", ())]
    lines += [
        line for name, one in spec.get("private", {}).items() for line in _group_lines(name, one)
    ]
    lines += [f"~ python {pythons[0]} → {pythons[1]}"] * (pythons[0] != pythons[1])
    lines += changes.lines()
    return Report(result, "\n".join(lines) or "no difference", is_answer=True)


def spec_differences(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """Keys of two specs that differ: `from` and `to`, for requirements what was added and removed.

    Of `private` each group that differs has its own `from` and `to`.

    Examples:
        >>> spec_differences({"python": "3.10"}, {"python": "3.11"})
        {'python': {'from': '3.10', 'to': '3.11'}}
    """
    found: dict[str, Any] = {}
    for key in sorted(before.keys() | after.keys()):
        old, new = before.get(key), after.get(key)
        if key == "requirements":
            added = [line for line in new or () if line not in (old or ())]
            removed = [line for line in old or () if line not in (new or ())]
            if added or removed:
                found[key] = {"added": added, "removed": removed}
        elif key == "private":
            if groups := _different(old or {}, new or {}):
                found[key] = groups
        elif old != new:
            found[key] = {"from": old, "to": new}
    return found


def _different(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """The groups that differ, by name."""
    return {
        name: {"from": old.get(name), "to": new.get(name)}
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    }


def _group_lines(name: str, change: dict[str, Any]) -> list[str]:
    """What a private group asks for otherwise; `requirements` may be all that there is of it."""
    sides = [
        {"requirements": one} if isinstance(one, list) else one or {}
        for one in (change["from"], change["to"])
    ]
    found = spec_differences(*sides)
    lines = [_spec_line(f"{name}.{key}", one) for key, one in found.items() if key not in _IN_PARTS]
    asks = found.get("requirements", {})
    lines += [f"- {name} asks for {text}" for text in asks.get("removed", ())]
    lines += [f"+ {name} asks for {text}" for text in asks.get("added", ())]
    return lines


def _spec_line(key: str, change: dict[str, Any]) -> str:
    return f"~ {key}: {_said(change['from'])} → {_said(change['to'])}"


def _said(value: object) -> str:
    """A value of a spec as one would say it."""
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "nothing"
    if isinstance(value, dict):
        return ", ".join(f"{key}={_said(one)}" for key, one in value.items()) or "nothing"
    return "nothing" if value is None else str(value)


def _python(carried: Carried) -> str | None:
    return carried.lock.interpreter.version if carried.lock else None
