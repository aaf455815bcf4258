"""`nixenv kernelspec install`: let every Jupyter of this user, this prefix or any other know the kernel."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from nixenv.cli.command import Context
from nixenv.cli.report import Report
from nixenv.kernelspec import install_kernelspec


def run(arguments: argparse.Namespace, context: Context) -> Report:
    """Install the kernelspec; for this user when no place is named."""
    del context
    prefix = Path(sys.prefix) if arguments.sys_prefix else _prefix(arguments.prefix)
    folder = install_kernelspec(user=prefix is None, prefix=prefix)
    return Report(
        {"kernelspec": str(folder), "python": sys.executable},
        f"installed `{folder}`; it starts `{sys.executable}`",
    )


def _prefix(named: str | None) -> Path | None:
    return Path(named).absolute() if named else None
