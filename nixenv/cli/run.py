"""`nixenv run`: a whole notebook, headless, in its own environment; what it shows goes into another file."""

from __future__ import annotations

import argparse
import asyncio
import re
import tempfile
from pathlib import Path
from typing import Any

from nixenv.cli.building import build_locked
from nixenv.cli.carried import Carried, naming, read_carried
from nixenv.cli.change import KERNELSPEC, resolve
from nixenv.cli.command import Context
from nixenv.cli.outcome import clock, note_use
from nixenv.cli.report import Report
from nixenv.errors import UsageError
from nixenv.notebook.metadata import KEY

Failed = dict[str, Any]
"""Which cell failed (counted from 1), its source, and the error in one line."""

_FAILED = 1
_LOG_TAIL = 20
_ANSI = re.compile(r"\x1b\[[0-9;]*m")


def run(arguments: argparse.Namespace, context: Context) -> Report:
    """Run every cell; the exit code is 1 when one fails, and the output is written all the same."""
    started = clock()
    carried = _locked(read_carried(arguments.notebook), context)
    output = _output_path(arguments.output, carried)
    built = build_locked(carried, context)
    note_use(built.lock, context.settings, carried.document)
    notebook = _read_notebook(carried)
    failure = _execute(notebook, carried, arguments)
    if output is not None:
        _write_notebook(notebook, output)
    seconds = clock() - started
    result = {
        "notebook": str(carried.path),
        "output": str(output) if output else None,
        "env": str(built.environment.path),
        "spec": carried.spec.digest,
        "lock": built.lock.digest,
        "seconds": round(seconds, 3),
        "cells": sum(cell.cell_type == "code" for cell in notebook.cells),
        "failed": failure,
    }
    text = _text(result, notebook)
    return Report(result, text, exit_code=_FAILED if failure else 0, is_answer=failure is not None)


def _locked(carried: Carried, context: Context) -> Carried:
    """The notebook with a lock; one that is made here goes into the output, not into the input."""
    if carried.lock is not None:
        carried.fresh_lock()
        return carried
    with naming(carried.document):
        lock = resolve(carried, carried.spec, context)
    return Carried(carried.document, carried.spec, lock)


def _output_path(named: str | None, carried: Carried) -> Path | None:
    if carried.document.kind != "notebook":
        raise UsageError(
            f"`{carried.document.name}` is not a notebook, so it cannot be run",
            hint=f'`nixenv shell "{carried.path}"`',
            notebook=str(carried.path),
        )
    if named is None:
        return None
    output = Path(named).absolute()
    if not output.parent.is_dir() or output.is_dir():
        raise UsageError(
            f"cannot write `{output}`: {'it is' if output.is_dir() else 'there is no'} "
            f"{'a' if output.is_dir() else 'such'} folder",
            key="--output",
        )
    return output


def _read_notebook(carried: Carried) -> Any:
    import nbformat  # noqa: PLC0415 - with its JSON schema, a fifth of a second

    try:
        text = carried.path.read_text(encoding="utf-8-sig")
        notebook = nbformat.reads(text, as_version=4)  # type: ignore[no-untyped-call]
    except Exception as error:
        # nbformat raises whatever its schema checker and converters raise.
        raise UsageError(
            f"`{carried.document.name}` is not a notebook that can be run: {_first_line(error)}",
            notebook=str(carried.path),
        ) from error
    assert carried.lock is not None  # noqa: S101 - _locked gave one
    notebook.metadata[KEY] = {**carried.spec.to_json(), "lock": carried.lock.to_json()}
    notebook.metadata["kernelspec"] = dict(KERNELSPEC)
    return notebook


def _execute(notebook: Any, carried: Carried, arguments: argparse.Namespace) -> Failed | None:
    """Run the cells of `notebook` in place; what failed, or None."""
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError  # noqa: PLC0415

    from nixenv.cli.headless import execute  # noqa: PLC0415

    # Cells that this run does not reach would otherwise keep what an earlier run has shown.
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    place = carried.path.resolve()
    resources = {"metadata": {"path": str(place.parent), "name": place.stem}}
    options = {"timeout": arguments.timeout, "allow_errors": arguments.allow_errors}
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as log:
        try:
            asyncio.run(execute(notebook, resources, log, **options))
        except CellExecutionError as error:
            return _failure(notebook, f"{error.ename}: {_ANSI.sub('', error.evalue)}")
        except CellTimeoutError:
            return _failure(notebook, f"it took longer than {arguments.timeout} s")
        except DeadKernelError:
            log.seek(0)
            said = "\n".join(f"  {line.rstrip()}" for line in log.readlines()[-_LOG_TAIL:])
            return _failure(notebook, f"the kernel died\n{said}".rstrip())
    return None


def _failure(notebook: Any, reason: str) -> Failed:
    """Which cell it was: the last one that was started."""
    started = [
        number
        for number, cell in enumerate(notebook.cells)
        if cell.cell_type == "code" and (cell.outputs or "execution" in cell.metadata)
    ]
    number = started[-1] if started else 0
    return {"cell": number + 1, "source": str(notebook.cells[number].source), "error": reason}


def _write_notebook(notebook: Any, output: Path) -> None:
    import nbformat  # noqa: PLC0415

    from nixenv.notebook.atomic import replace  # noqa: PLC0415

    text = nbformat.writes(notebook)  # type: ignore[no-untyped-call]
    replace(output, f"{text}\n".encode())


def _text(result: dict[str, Any], notebook: Any) -> str:
    failure = result["failed"]
    where = f" → `{result['output']}`" if result["output"] else ""
    if failure is None:
        # What is in a file need not be on the screen too.
        shown = "" if where else _last_shown(notebook)
        headline = f"ran {result['cells']} cells of `{Path(result['notebook']).name}` in {result['seconds']:.1f} s{where}"
        return f"{shown}\n{headline}" if shown else headline
    lines = failure["source"].splitlines() or [""]
    excerpt = lines if len(lines) <= 12 else [*lines[:11], "…"]  # noqa: PLR2004 - a screen, not the cell
    source = "\n".join(f"    {line}" for line in excerpt)
    headline = f"cell {failure['cell']} of `{result['notebook']}` failed: {failure['error']}"
    return "\n".join(
        filter(None, (headline, source, where.removeprefix(" → ") and f"outputs so far{where}"))
    )


def _last_shown(notebook: Any) -> str:
    """The text of the last cell that shows something."""
    for cell in reversed(notebook.cells):
        texts = [_output_text(output) for output in cell.get("outputs", ())]
        if any(texts):
            return "\n".join(text.rstrip("\n") for text in texts if text)
    return ""


def _output_text(output: Any) -> str:
    if output.output_type == "stream":
        return _ANSI.sub("", str(output.text))
    return str(output.get("data", {}).get("text/plain", ""))


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
