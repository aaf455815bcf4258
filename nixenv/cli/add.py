"""`nixenv add`: requirements into the spec, then lock and build; only what was asked for moves."""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import partial
from pathlib import Path

from nixenv.cli.carried import Carried, carried_by
from nixenv.cli.change import edit_spec
from nixenv.cli.command import Context
from nixenv.cli.groups import with_group
from nixenv.cli.report import Report
from nixenv.cli.requirements import with_added
from nixenv.errors import UsageError
from nixenv.frontend import lacking_front_end
from nixenv.notebook.metadata import read_document
from nixlib.requirements.refusal import public_line
from nixlib.spec import Spec

_OF_GROUPS = {
    "process": "--process",
    "package": "--for",
    "singleton": "--singleton",
    "python": "--python",
}


def run(arguments: argparse.Namespace, context: Context) -> Report:
    """Add `arguments.requirements`; a document without a spec gets an empty one first.

    Raises:
        UsageError: An option is of private groups, and none is named.
    """
    _check_options(arguments)
    document = read_document(Path(arguments.notebook))
    carried = Carried(document, Spec(), None) if document.spec is None else carried_by(document)
    outcome = edit_spec(carried, context, partial(_edited, arguments))
    if outcome.environment:
        found = lacking_front_end(outcome.environment.path, outcome.changes.present)
        outcome = replace(outcome, front_end=found)
    what = ", ".join(map(public_line, arguments.requirements))
    if arguments.private:
        what = f"{what} in `{arguments.private}`" if what else f"the group `{arguments.private}`"
    headline = f"`{document.name}` has {what} ({outcome.seconds:.1f} s)"
    return outcome.report(context.settings, headline)


def _edited(arguments: argparse.Namespace, spec: Spec) -> Spec:
    if arguments.private is None:
        return spec.with_requirements(with_added(spec.requirements, arguments.requirements))
    return with_group(
        spec,
        arguments.private,
        arguments.requirements,
        is_process=arguments.process,
        package=arguments.package,
        singleton=arguments.singleton,
        python=arguments.python,
    )


def _check_options(arguments: argparse.Namespace) -> None:
    given = [option for name, option in _OF_GROUPS.items() if getattr(arguments, name)]
    if given and arguments.private is None:
        raise UsageError(
            f"`{given[0]}` is for a group of private dependencies, and none is named",
            hint="`--private GROUP` names one",
            key=given[0],
        )
