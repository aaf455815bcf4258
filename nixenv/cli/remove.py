"""`nixenv remove`: requirements out of the spec, then lock and build."""

from __future__ import annotations

import argparse
from functools import partial

from nixenv.cli.carried import read_carried
from nixenv.cli.change import edit_spec
from nixenv.cli.command import Context
from nixenv.cli.groups import check_public, without_group
from nixenv.cli.report import Report
from nixenv.cli.requirements import with_removed
from nixlib.spec import Spec


def run(arguments: argparse.Namespace, context: Context) -> Report:
    """Remove the requirements named `arguments.names`, or the group that they are of."""
    carried = read_carried(arguments.notebook)
    outcome = edit_spec(carried, context, partial(_edited, arguments))
    what = ", ".join(arguments.names)
    if arguments.private:
        what = f"{what} in `{arguments.private}`" if what else f"the group `{arguments.private}`"
    headline = f"`{carried.document.name}` no longer asks for {what} ({outcome.seconds:.1f} s)"
    return outcome.report(context.settings, headline)


def _edited(arguments: argparse.Namespace, spec: Spec) -> Spec:
    if arguments.private is None:
        check_public(spec, arguments.names)
        return spec.with_requirements(with_removed(spec.requirements, arguments.names))
    return without_group(spec, arguments.private, arguments.names)
