"""`nixenv shell`: this process becomes a shell, or one command, inside the environment."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path

from nixenv.cli.building import build_document
from nixenv.cli.command import Context
from nixenv.cli.outcome import bytecode_prefix
from nixenv.cli.report import Report
from nixenv.errors import UsageError
from nixenv.server.launch import Target, kernel_process_env

_NOT_OF_A_KERNEL = ("NIXENV_ENGINE", "NIXENV_DOCUMENT", "NIXENV_WRITER")


def run(arguments: argparse.Namespace, context: Context) -> Report:
    """Build `arguments.notebook` if need be, then become `arguments.command`, or the user's shell.

    Does not return when it works. The hold on the environment is inherited by what this becomes, so
    `nixenv gc` sees that it is in use.
    """
    outcome = build_document(arguments.notebook, context)
    assert outcome.environment is not None  # noqa: S101 - build_document gives one
    place = outcome.environment.path
    variables = shell_environment(dict(os.environ), place)
    # Nothing in a shell can be given `-X pycache_prefix`, and without bytecode imports take thrice as long.
    if bytecode := bytecode_prefix(place, context.settings):
        variables["PYTHONPYCACHEPREFIX"] = str(bytecode)
    command = arguments.command or [os.environ.get("SHELL") or "/bin/sh"]
    program = shutil.which(command[0], path=variables["PATH"])
    if program is None:
        raise UsageError(
            f"there is no `{command[0]}` in the environment of `{outcome.notebook.name}`, nor on PATH",
            hint=f'`nixenv add "{outcome.notebook}" PACKAGE` adds the package that brings it',
            notebook=str(outcome.notebook),
            key="command",
        )
    if not arguments.command and not arguments.quiet and sys.stderr.isatty():
        print(f"in the environment of `{outcome.notebook.name}`; `exit` leaves it", file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(program, command, variables)  # noqa: S606 - to become it is what was asked for


def shell_environment(inherited: dict[str, str], environment: Path) -> dict[str, str]:
    """The variables of a kernel of this environment, without what tells a kernel its notebook."""
    variables = kernel_process_env(inherited, environment, Target(None))
    return {name: value for name, value in variables.items() if name not in _NOT_OF_A_KERNEL}
