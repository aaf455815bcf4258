"""`nixenv add`: requirements into the spec, then lock and build; only what was asked for moves."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from nixenv.cli.carried import Carried, carried_by
from nixenv.cli.change import edit_requirements
from nixenv.cli.command import Context
from nixenv.cli.report import Report
from nixenv.cli.requirements import with_added
from nixenv.frontend import lacking_front_end
from nixenv.notebook.metadata import read_document
from nixlib.spec import Spec


def run(arguments: argparse.Namespace, context: Context) -> Report:
    """Add `arguments.requirements`; a document without a spec gets an empty one first."""
    document = read_document(Path(arguments.notebook))
    carried = Carried(document, Spec(), None) if document.spec is None else carried_by(document)
    outcome = edit_requirements(
        carried, context, lambda existing: with_added(existing, arguments.requirements)
    )
    if outcome.environment:
        found = lacking_front_end(outcome.environment.path, outcome.changes.present)
        outcome = replace(outcome, front_end=found)
    what = ", ".join(arguments.requirements)
    headline = f"`{document.name}` has {what} ({outcome.seconds:.1f} s)"
    return outcome.report(context.settings, headline)
