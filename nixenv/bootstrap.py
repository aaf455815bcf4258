"""What the kernelspec's `argv` starts where no provisioner runs, as in VS Code.

For now a plain launcher: it knows its notebook from an override (or the nearest `nixenv.toml`), makes
sure of the environment and becomes the kernel, or the fallback kernel where there is none. `exec` keeps
the process, so signals for the kernel reach the kernel.
"""

from __future__ import annotations

import sys

if __name__ == "__main__" and sys.path and not getattr(sys.flags, "safe_path", False):
    # `-m` puts the working directory first: a `random.py` beside the notebook is not ours to import.
    del sys.path[0]

import asyncio
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nixenv.notebook.notebookpath import Place
from nixenv.server.launch import (
    Target,
    fallback_argv,
    fallback_process_env,
    kernel_argv,
    kernel_process_env,
)
from nixenv.server.opening import open_environment
from nixenv.server.reason import reason_of
from nixenv.server.target import find_aim


@dataclass(frozen=True, slots=True)
class Arguments:
    """What a Jupyter client passes to a kernel's command."""

    connection_file: str
    extra: tuple[str, ...]


def parse_arguments(argv: Sequence[str]) -> Arguments:
    """The connection file out of `-f X`, `-fX`, `--f X` or `--f=X` (VS Code's way); the rest as it is.

    Raises:
        ValueError: There is no connection file.
    """
    rest = list(argv)
    for number, word in enumerate(rest):
        if word in ("-f", "--f") and number + 1 < len(rest):
            return Arguments(rest[number + 1], (*rest[:number], *rest[number + 2 :]))
        for prefix in ("--f=", "-f"):
            if word.startswith(prefix) and word != prefix:
                found = word[len(prefix) :].strip('"')
                return Arguments(found, (*rest[:number], *rest[number + 1 :]))
    msg = "no connection file: expected `-f FILE`"
    raise ValueError(msg)


async def _command(arguments: Arguments) -> tuple[list[str], dict[str, str]]:
    """Command line and variables of what this process becomes."""
    from nixenv.progress_lines import PlainLines  # noqa: PLC0415 - a cache hit shows nothing

    target = Target(None)
    try:
        # This process was started for one kernel, so all its variables were said for this start.
        aim = await find_aim(Place(cwd=Path.cwd(), said=os.environ, inherited={}))
        target = aim.target
        opened = await open_environment(
            aim.document,
            user=aim.user,
            process_env=os.environ,
            on_event=PlainLines(sys.stderr, time.monotonic),
        )
    except Exception as error:  # noqa: BLE001 - the top of this room: the client must get a kernel
        reason = reason_of(error)
        print(f"nixenv: {reason.text}", file=sys.stderr)  # noqa: T201 - the client's log of the kernel
        connection = fallback_argv(arguments.connection_file)
        return connection, fallback_process_env(os.environ, reason.save(), target)
    place = opened.hit.environment
    argv = kernel_argv(
        place, arguments.connection_file, pycache=opened.pycache, extra=arguments.extra
    )
    return argv, kernel_process_env(os.environ, place, target)


def main() -> None:
    """Become the kernel."""
    argv, process_env = asyncio.run(_command(parse_arguments(sys.argv[1:])))
    os.execve(argv[0], argv, process_env)  # noqa: S606 - the hold's descriptor is inheritable


if __name__ == "__main__":
    main()
