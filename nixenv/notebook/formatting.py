"""Sizes, ages, columns and what strangers wrote, as text (pure)."""

from __future__ import annotations

from collections.abc import Sequence


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


def format_table(rows: Sequence[Sequence[str]], *, indent: str = "") -> str:
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


def format_age(seconds: float) -> str:
    """How long ago, in the largest unit that fits.

    Examples:
        >>> format_age(30), format_age(7200), format_age(200_000)
        ('just now', '2 hours ago', '2 days ago')
    """
    for name, size in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {name}{'s' if count > 1 else ''} ago"
    return "just now"


def printable(line: str) -> str:
    """`line` with what a terminal would obey instead of show written as escapes.

    Messages quote notebooks and requests, which come from anywhere.
    """
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in line
    )
