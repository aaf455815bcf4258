"""What a verb found: text for people, an object for machines, and the exit code. Verbs print nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome of one verb.

    Attributes:
        result: What `--json` prints; plain JSON values.
        text: What people read; may have several lines; empty prints nothing.
        exit_code: One of `nixenv.cli.parser.EXIT_CODES`.
        is_answer: The text is what was asked for (`status`, `list`), so that `--quiet` keeps it.
    """

    result: Mapping[str, Any]
    text: str
    exit_code: int = 0
    is_answer: bool = False


def format_bytes(count: int) -> str:
    """A size in decimal units, as registries and disks print it.

    Examples:
        >>> format_bytes(999), format_bytes(14_200_000), format_bytes(3_000_000_000)
        ('999 B', '14.2 MB', '3.0 GB')
    """
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":  # noqa: PLR2004
            break
        size /= 1000
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"


def format_table(rows: list[tuple[str, ...]], *, indent: str = "") -> str:
    """Rows as left-aligned columns, two spaces apart.

    Examples:
        >>> print(format_table([("a", "1"), ("long", "2")]))
        a     1
        long  2
    """
    if not rows:
        return ""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = (
        indent + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)
