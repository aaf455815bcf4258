"""`nixenv list`: every package that this machine gets, and which of them the notebook asked for."""

from __future__ import annotations

import argparse

from nixenv.cli.carried import read_carried
from nixenv.cli.changes import packages_here
from nixenv.cli.command import Context
from nixenv.cli.report import Report
from nixenv.notebook.formatting import format_table
from nixlib.platforms import current_system
from nixlib.resolvers.requirements import parse_requirements


def run(arguments: argparse.Namespace, context: Context) -> Report:
    """List the packages of `arguments.notebook`'s lock."""
    del context
    carried = read_carried(arguments.notebook)
    lock = carried.fresh_lock()
    asked = {line.name: line.text for line in parse_requirements(carried.spec.requirements)}
    packages = [
        {
            "name": package.name,
            "version": package.version,
            "requirement": asked.get(package.name, ""),
            # The lock's sentence begins with the package, which has a column of its own here.
            "held": package.held.removeprefix(f"{package.name} {package.version}, "),
        }
        for package in packages_here(lock, current_system())
    ]
    rows = [(one["name"], one["version"], one["requirement"] or one["held"]) for one in packages]
    rows.insert(0, ("python", lock.interpreter.version, lock.interpreter.source))
    result = {"python": lock.interpreter.version, "packages": packages}
    return Report(result, format_table(rows), is_answer=True)
