"""The command line: a parser, then one module per verb.

A verb is a module with `run(arguments, context) -> Report`. It prints nothing itself: what it found is a
value, and this module turns that into text or JSON and an exit code. Nothing heavy is imported here:
a cache hit of `nixenv build` must cost little more than starting Python.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code.

    Args:
        argv: The arguments after the program's name; those of this process when absent.
    """
    from nixenv.cli.parser import build_parser, parse_command_line  # noqa: PLC0415

    arguments = parse_command_line(sys.argv[1:] if argv is None else argv)
    if arguments.verb is None:
        build_parser().print_help()
        return 0
    from nixenv.cli.command import run_command  # noqa: PLC0415

    return run_command(arguments)
