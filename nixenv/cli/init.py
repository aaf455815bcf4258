"""`nixenv init`: a notebook that carries a spec and its lock, made where there is none."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from nixenv.cli.carried import Carried
from nixenv.cli.change import relock
from nixenv.cli.command import Context
from nixenv.cli.members import members
from nixenv.cli.report import Report
from nixenv.cli.requirements import with_added
from nixenv.errors import MetadataError
from nixenv.notebook.metadata import Document, create_document, read_document
from nixlib.errors import NixError
from nixlib.spec import Spec, parse_spec


def run(arguments: argparse.Namespace, context: Context) -> Report:
    """Make or take `arguments.notebook`, and give it the spec that the arguments say."""
    path = Path(arguments.notebook)
    return make(path, _spec(arguments), context, is_forced=arguments.force)


def make(path: Path, spec: Spec, context: Context, *, is_forced: bool) -> Report:
    """Make or take the document at `path`, and give it `spec` and its lock.

    Raises:
        MetadataError: It carries an environment already, and that is not forced.
        NixError: The spec cannot be locked; a document that was made for it is gone again.
    """
    is_new = not path.exists()
    document = create_document(path) if is_new else _replaceable(path, is_forced=is_forced)
    try:
        outcome = relock(Carried(document, spec, None), spec, context)
    except BaseException as error:
        # What was made for this command goes with it, also on Ctrl-C.
        if is_new:
            path.unlink(missing_ok=True)
        if isinstance(error, NixError):
            error.hint = _for_init(error.hint)
        raise
    count = len(members(outcome.lock))
    headline = (
        f"{'made' if is_new else 'prepared'} `{document.name}`: Python"
        f" {outcome.lock.interpreter.version}, {count} packages ({outcome.seconds:.1f} s)"
    )
    report = outcome.report(context.settings, headline)
    # Every package of a new lock is an added one; the count says it better.
    text = "\n".join(line for line in report.text.splitlines() if not line.startswith("  + "))
    return Report(
        report.result, f"{text}\nopen it with any Jupyter, or build it now: `nixenv sync {path}`"
    )


def _for_init(hint: str) -> str:
    """A hint for what is not in a notebook yet: the words to type, not the verb that changes it.

    A private group takes one: it is made without the requirement first.
    """
    if "`%nixenv add --private" in hint:
        return hint.replace("`%nixenv add", "leave it out, then `%nixenv add")
    return re.sub(r"`%nixenv (?:add|lock) ([^`]+)`", r"`\1`", hint)


def _spec(arguments: argparse.Namespace) -> Spec:
    """The spec as its own reader accepts it, so that a wrong option gets the sentence of a wrong key."""
    said = {"python": arguments.python, "interpreter": arguments.interpreter}
    requirements = with_added((), arguments.requirements)
    return parse_spec(
        {
            "version": 1,
            "requirements": list(requirements),
            "channels": arguments.channel,
            **{key: value for key, value in said.items() if value is not None},
        }
    )


def _replaceable(path: Path, *, is_forced: bool) -> Document:
    document = read_document(path)
    if document.spec is not None and not is_forced:
        raise MetadataError(
            f"`{document.name}` carries an environment already",
            hint=f'`nixenv add "{path}" REQUIREMENT` adds to it; `--force` replaces it',
            notebook=str(document.path),
            key="nixenv",
        )
    return document
