"""`nixenv remove`: requirements out of the spec, then lock and build."""

from __future__ import annotations

import argparse

from nixenv.cli.carried import read_carried
from nixenv.cli.change import edit_requirements
from nixenv.cli.command import Context
from nixenv.cli.report import Report
from nixenv.cli.requirements import with_removed


def run(arguments: argparse.Namespace, context: Context) -> Report:
    """Remove the requirements named `arguments.names`."""
    carried = read_carried(arguments.notebook)
    outcome = edit_requirements(
        carried, context, lambda existing: with_removed(existing, arguments.names)
    )
    what = ", ".join(arguments.names)
    headline = f"`{carried.document.name}` no longer asks for {what} ({outcome.seconds:.1f} s)"
    return outcome.report(context.settings, headline)
