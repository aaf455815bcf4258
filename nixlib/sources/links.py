"""Where a symbolic link inside a stranger's tree may lead (pure)."""

from __future__ import annotations

import re

__all__ = ["leads_out"]

_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")  # surrogates: a name that is no UTF-8


def leads_out(path: str, target: str) -> bool:
    """Whether the link at `path` could lead out of the tree that it is in.

    `..` may only come first: behind the name of another link it would start from where that one leads.

    Examples:
        >>> leads_out("a/b", "../c"), leads_out("a/b", "../../c"), leads_out("a/b", "c/../../d")
        (False, True, True)
    """
    parts = [part for part in target.split("/") if part not in ("", ".")]
    up = next((n for n, part in enumerate(parts) if part != ".."), len(parts))
    return (
        target.startswith("/")
        or ".." in parts[up:]
        or up > path.count("/")
        or _UNPRINTABLE.search(target) is not None
    )
