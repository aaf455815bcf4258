"""`nixenv status`: what a notebook asks for, whether its lock answers that, whether it is built."""

from __future__ import annotations

import argparse
from typing import Any

from nixenv.cli.carried import Carried, read_carried
from nixenv.cli.change import KERNELSPEC
from nixenv.cli.changes import held_in_groups, held_lines
from nixenv.cli.command import Context
from nixenv.cli.group_members import described
from nixenv.cli.members import members
from nixenv.cli.report import Report
from nixenv.environments import is_running
from nixenv.notebook.formatting import format_table
from nixlib.environment import environment_key, find_environment
from nixlib.platforms import current_system
from nixlib.settings import Settings

NEXT_STEPS = {
    "no lock": "nixenv lock",
    "stale lock": "nixenv lock",
    "not built": "nixenv sync",
    "ready": "",
}


def run(arguments: argparse.Namespace, context: Context) -> Report:
    """Look at `arguments.notebook`; changes nothing, asks no network and no store."""
    carried = read_carried(arguments.notebook)
    facts = {**_asked(carried), **_answered(carried, context.settings)}
    rows = [row for key, value in facts.items() for row in _rows(key, value)]
    text = format_table(rows)
    if command := NEXT_STEPS[facts["state"]]:
        text += f'\n\nnext: {command} "{carried.path}"'
    return Report(facts, text, is_answer=True)


def _asked(carried: Carried) -> dict[str, Any]:
    metadata = carried.document.metadata
    kernelspec = metadata.get("kernelspec")
    name = kernelspec.get("name") if isinstance(kernelspec, dict) else None
    is_other = carried.document.kind == "notebook" and name != KERNELSPEC["name"]
    return {
        "notebook": str(carried.path),
        "python": carried.spec.python,
        "requirements": list(carried.spec.requirements),
        "channels": list(carried.spec.channels),
        "variants": [f"{name}={one or 'none'}" for name, one in carried.spec.variants.items()],
        "build_inputs": list(carried.spec.build_inputs),
        "private": [described(group) for group in carried.spec.private],
        "kernelspec": f"{name} (not nixenv: this environment is not used)" if is_other else name,
    }


def _answered(carried: Carried, settings: Settings) -> dict[str, Any]:
    lock = carried.lock
    if lock is None:
        return {"state": "no lock", "spec": carried.spec.digest}
    environment = find_environment(lock, settings)
    is_fresh = lock.spec == carried.spec.digest
    return {
        "state": ("ready" if environment else "not built") if is_fresh else "stale lock",
        "interpreter": f"Python {lock.interpreter.version} ({lock.interpreter.source})",
        "packages": len(members(lock, current_system())),
        "substitutions": [
            f"{name}={choice}" for name, choice in sorted(lock.substitutions.items())
        ],
        "held": [*held_lines(lock), *held_in_groups(lock)],
        "notes": list(lock.notes),
        "environment": str(environment.path) if environment else None,
        "running": is_running(settings.state_dir, environment_key(lock, settings)),
        "systems": list(lock.systems),
        "spec": carried.spec.digest,
        "lock": lock.digest,
    }


def _rows(key: str, value: Any) -> list[tuple[str, str]]:
    """One line for a fact; sentences have a line each."""
    if value in (None, [], ""):
        return []
    key = key.replace("_", " ")
    if isinstance(value, bool):
        return [(key, "yes" if value else "no")]
    if key in ("held", "notes", "private"):
        return [(key if number == 0 else "", line) for number, line in enumerate(value)]
    return [(key, ", ".join(value) if isinstance(value, list) else str(value))]
