"""One command from its arguments to its exit code: settings, signals, the verb, what is printed."""

from __future__ import annotations

import argparse
import importlib
import json
import keyword
import os
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from types import FrameType
from typing import Any, Protocol, cast

from nixenv.cli.failure import Failure, bug_failure, failure_of
from nixenv.cli.progress import events_to
from nixenv.cli.report import Report
from nixenv.config import load_settings
from nixenv.notebook.formatting import printable
from nixlib.cancel import Cancel
from nixlib.errors import NixError
from nixlib.progress import EventSink
from nixlib.settings import Settings

CANCELLED = 130


@dataclass(frozen=True, slots=True)
class Context:
    """What every verb gets beside its arguments."""

    settings: Settings
    on_event: EventSink
    cancel: Cancel


class Verb(Protocol):
    """A module of this package that is named after a verb."""

    def run(self, arguments: argparse.Namespace, context: Context) -> Report:
        """Do it."""


def run_command(arguments: argparse.Namespace) -> int:
    """Run the verb of `arguments`; print its report or its failure; return the exit code."""
    _write_anything()
    cancel = Cancel()
    failure: Failure | None
    try:
        with cancelled_by_signals(cancel):
            report, failure = _run_verb(arguments, cancel), None
    except KeyboardInterrupt:
        failure = Failure("Cancelled", "stopped on request", exit_code=CANCELLED)
    except NixError as error:
        failure = failure_of(error)
    except OSError as error:
        failure = failure_of(error)
    except Exception as error:  # noqa: BLE001 - the top of this room: a bug must not look like a mistake of the user
        failure = bug_failure(error, _keep_traceback())
    return _print_outcome(arguments, report if failure is None else failure)


def _write_anything() -> None:
    """Let both streams write every text: paths may be no UTF-8, and a terminal may know less than that."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _run_verb(arguments: argparse.Namespace, cancel: Cancel) -> Report:
    settings = load_settings({"store": arguments.store} if arguments.store else None)
    verb = cast("Verb", importlib.import_module(module_of(arguments.verb)))
    with events_to(sys.stderr, is_json=arguments.events, is_quiet=arguments.quiet) as on_event:
        return verb.run(arguments, Context(settings, on_event, cancel))


def module_of(verb: str) -> str:
    """The module that does it; `import` is a word of Python, so that one has a `_` behind it."""
    return f"nixenv.cli.{verb}_" if keyword.iskeyword(verb) else f"nixenv.cli.{verb}"


@contextmanager
def cancelled_by_signals(cancel: Cancel) -> Iterator[None]:
    """Within the block, Ctrl-C and SIGTERM set `cancel` and interrupt the main thread once.

    Worker threads look at `cancel`; a wait of the main thread (a resolver's process, a socket) ends by
    the exception. A second signal ends the process at once: nothing that it could interrupt leaves
    anything half-made, because files are renamed into place and the store only registers what is whole.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        del number, frame
        if cancel.is_set():
            os._exit(CANCELLED)
        cancel.set()
        raise KeyboardInterrupt

    previous = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _keep_traceback() -> Path | None:
    """Write the current traceback where a report can quote it; None when nothing can be written."""
    try:
        path = load_settings().state_dir / "last-bug.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{sys.argv}\n{traceback.format_exc()}", encoding="utf-8")
    except (OSError, NixError):
        return None
    return path


def _print_outcome(arguments: argparse.Namespace, outcome: Report | Failure) -> int:
    try:
        if isinstance(outcome, Failure):
            _print_failure(arguments, outcome)
        elif arguments.json:
            for result in (outcome.result, *outcome.further):
                _print_json(dict(result))
        elif outcome.text and (outcome.is_answer or not arguments.quiet):
            print("\n".join(map(_shown, outcome.text.split("\n"))))
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader (`| head`) has gone; without this, Python complains again while it shuts down.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return outcome.exit_code


def _print_failure(arguments: argparse.Namespace, failure: Failure) -> None:
    if arguments.json:
        _print_json({"error": failure.to_json()})
    if not arguments.events:
        print(f"nixenv: {failure.render()}", file=sys.stderr)


def _shown(line: str) -> str:
    """A line of text, which names notebooks and shows their outputs, as what no terminal obeys."""
    return "\t".join(map(printable, line.split("\t")))


def _print_json(value: dict[str, Any]) -> None:
    # In ASCII, because a path may hold what is no text.
    print(json.dumps(value, sort_keys=True))
