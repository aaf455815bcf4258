"""`nixenv build`: the environments of several notebooks, or of every notebook in a folder."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from nixenv.cli import sync
from nixenv.cli.building import build_document
from nixenv.cli.command import Context
from nixenv.cli.failure import Failure, failure_of
from nixenv.cli.outcome import Outcome, clock
from nixenv.cli.report import Report
from nixenv.notebook.metadata import read_document
from nixlib.errors import NixError, RealisationCancelledError


def run(arguments: argparse.Namespace, context: Context) -> Report:
    """Build `arguments.notebooks`; one document gives the result of `sync`, several give a list.

    One that cannot be built does not keep the others from it; the exit code is the first failure's.
    """
    named = arguments.notebooks
    if len(named) == 1 and not Path(named[0]).is_dir():
        return sync.run(argparse.Namespace(notebook=named[0]), context)
    started = clock()
    outcomes: list[Outcome] = []
    failures: list[Failure] = []
    for path in find_documents(named):
        made = _attempt(path, context)
        if isinstance(made, Outcome):
            outcomes.append(made)
        else:
            failures.append(made)
    return _report(outcomes, failures, context, clock() - started)


def _attempt(path: Path, context: Context) -> Outcome | Failure:
    try:
        return build_document(path, context)
    except RealisationCancelledError:
        raise
    except NixError as error:
        return failure_of(error)


def find_documents(named: Sequence[str]) -> Iterator[Path]:
    """Every document that is named, and below a folder every notebook that carries an environment.

    Raises:
        MetadataError: A notebook of a folder cannot be read.
    """
    for name in named:
        path = Path(name)
        if not path.is_dir():
            yield path
            continue
        for notebook in _notebooks_below(path):
            if read_document(notebook).spec is not None:
                yield notebook


def _notebooks_below(folder: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        # `.ipynb_checkpoints`, `.git`, `.venv`: nobody's own notebooks.
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(place, name) for name in sorted(files) if name.endswith(".ipynb"))


def _report(
    outcomes: list[Outcome], failures: list[Failure], context: Context, seconds: float
) -> Report:
    lines = [f"`{one.notebook}` is ready: {one.place}" for one in outcomes]
    lines += [failure.render() for failure in failures]
    lines.append(f"{len(outcomes)} built, {len(failures)} failed ({seconds:.1f} s)")
    result: dict[str, Any] = {
        "notebooks": [one.to_json(context.settings) for one in outcomes],
        "failed": [failure.to_json() for failure in failures],
        "seconds": round(seconds, 3),
    }
    return Report(result, "\n".join(lines), exit_code=failures[0].exit_code if failures else 0)
