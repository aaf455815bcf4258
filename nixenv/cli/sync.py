"""`nixenv sync`: the environment that the notebook's lock says."""

from __future__ import annotations

import argparse
from dataclasses import replace

from nixenv.cli.building import build_document
from nixenv.cli.command import Context
from nixenv.cli.report import Report
from nixenv.frontend import lacking_front_end


def run(arguments: argparse.Namespace, context: Context) -> Report:
    """Build `arguments.notebook`; nothing happens when it is built already."""
    outcome = build_document(arguments.notebook, context)
    if outcome.environment:
        outcome = replace(outcome, front_end=lacking_front_end(outcome.environment.path))
    headline = f"`{outcome.notebook.name}` is ready: {outcome.place} ({outcome.seconds:.1f} s)"
    return outcome.report(context.settings, headline)
