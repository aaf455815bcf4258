"""`nixenv config`: every setting in force, and who said so."""

from __future__ import annotations

import argparse
import os

from nixenv.cli.command import Context
from nixenv.cli.report import Report
from nixenv.config import SYSTEM_FILE, find_settings, user_file
from nixenv.notebook.formatting import format_table


def run(arguments: argparse.Namespace, context: Context) -> Report:
    """Show the settings and the files that can change them."""
    del context
    found = find_settings({"store": arguments.store} if arguments.store else None)
    rows = [(one.name, _shown(one.value), one.source) for one in found]
    files = (str(SYSTEM_FILE), str(user_file(os.environ)))
    result = {
        "settings": {one.name: {"value": _plain(one.value), "source": one.source} for one in found},
        "files": list(files),
    }
    return Report(result, f"{format_table(rows)}\n\nfiles: {', '.join(files)}", is_answer=True)


def _plain(value: object) -> object:
    if isinstance(value, tuple):
        return list(value)
    return value if value is None or isinstance(value, (int, float)) else str(value)


def _shown(value: object) -> str:
    if value is None or value == ():
        return "-"
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
