"""The command line and the variables of a kernel's process (pure).

A kernel must be in its environment and nowhere else, so every variable through which another Python's
packages, or another prefix's libraries, could leak in is dropped: see `scrubbing`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nixenv.server.scrubbing import DOCUMENT, ERROR, OVERRIDE, scrubbed

ENGINE = "NIXENV_ENGINE"
ENVIRONMENT = "NIXENV_ENVIRONMENT"
WRITER = "NIXENV_WRITER"
MAILBOX = "NIXENV_MAILBOX"
REMARKS = "NIXENV_REMARKS"

LAUNCHER = Path(__file__).parent.with_name("kernel") / "launcher.py"


@dataclass(frozen=True, slots=True)
class Target:
    """Where the kernel's `%nixenv` reads and writes the spec.

    Attributes:
        document: The notebook, the mailbox or the `nixenv.toml`; None when the notebook is unknown.
        name: The notebook's own path or name where `document` is a mailbox, for messages.
        writer: `file` when the document is what the user keeps, `mailbox` when a headless client takes
            its content over into the notebook that it writes.
        mailbox: Where the engine has put the lock for what a page says; the page is offered it.
    """

    document: Path | None
    name: str = ""
    writer: Literal["file", "mailbox"] = "file"
    mailbox: Path | None = None


def own_command(statement: str) -> tuple[str, ...]:
    """A command line that runs `statement` with this installation.

    Not `-m`, which puts the working directory first on `sys.path`: people keep a `random.py` or a
    `token.py` beside their notebooks. `-P` would do the same from Python 3.11.
    """
    return (sys.executable, "-c", f"import sys; sys.path = [*filter(None, sys.path)]; {statement}")


def engine_command() -> tuple[str, ...]:
    """How a process that may not import this installation calls its engine; a verb follows."""
    return own_command("from nixenv.cli import main; sys.exit(main())")


def kernel_argv(
    environment: Path, connection_file: str, *, pycache: Path | None, extra: Sequence[str] = ()
) -> list[str]:
    """The kernel's command line; made from nothing, so that no earlier start shows through.

    `-X pycache_prefix` rather than the variable: the variable would reach every child's Python. `-s`
    because the user's own site-packages are not of the environment.
    """
    cache = [] if pycache is None else ["-X", f"pycache_prefix={pycache}"]
    python = str(environment / "bin" / "python")
    return [python, "-s", *cache, str(LAUNCHER), "-f", connection_file, *extra]


def kernel_process_env(
    inherited: Mapping[str, str], environment: Path, target: Target, remarks: Sequence[str] = ()
) -> dict[str, str]:
    """The kernel's variables: `inherited` without what leaks, `bin` of the environment first on PATH.

    `remarks` are lines that the kernel shows before its first cell.
    """
    kept = scrubbed(inherited, str(environment))
    said = {REMARKS: "\n".join(remarks)} if remarks else {}
    return {**kept, **engine_variables(target), ENVIRONMENT: str(environment), **said}


def engine_variables(target: Target) -> dict[str, str]:
    """What the code inside a kernel needs to reach the engine."""
    variables = {ENGINE: json.dumps(engine_command()), WRITER: target.writer}
    if target.document is not None:
        variables[DOCUMENT] = str(target.document)
    if target.name:
        variables[OVERRIDE] = target.name
    if target.mailbox is not None:
        variables[MAILBOX] = str(target.mailbox)
    return variables


def fallback_argv(connection_file: str) -> list[str]:
    """The command line of the kernel that only reports why; it runs in this installation."""
    return [*own_command("from nixenv.server.fallback import main; main()"), "-f", connection_file]


def fallback_process_env(
    inherited: Mapping[str, str], error_file: Path, target: Target
) -> dict[str, str]:
    """Its variables: all that this process has, for it needs the same Python packages."""
    kept = {name: value for name, value in inherited.items() if name not in (OVERRIDE, DOCUMENT)}
    return {**kept, **engine_variables(target), ERROR: str(error_file)}
