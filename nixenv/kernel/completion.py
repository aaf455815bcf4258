"""Tab completion after `%nixenv` and `%%private`: verbs, options, groups, and what the notebook asks for."""

from __future__ import annotations

from .asked import group_lines, names_in, names_in_group, value_for
from .verbs import PRIVATE, VERBS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def complete(text_until_cursor: str, value: object) -> list[str]:
    """Words that may follow (pure).

    Args:
        text_until_cursor: The line so far, from `%nixenv` on.
        value: What the notebook asks for: the value of `nixenv` in its metadata, whatever that is.
    """
    words = text_until_cursor.split()
    finished = words[1:] if text_until_cursor[-1:].isspace() else words[1:-1]
    if not finished:
        return list(VERBS)
    verb = VERBS.get(finished[0])
    if verb is None:
        return []
    if finished[-1] == PRIVATE:
        return list(group_lines(value))
    if verb.options.get(finished[-1]):
        return []  # Its value follows.
    options = [name for name in verb.options if name not in finished]
    names = []
    if verb.name == "remove":
        group = finished[finished.index(PRIVATE) + 1] if PRIVATE in finished else ""
        names = names_in_group(value, group) if group else names_in(value)
    elif finished[-1] in ("--why", "--upgrade"):
        names = names_in(value)
    return [*(name for name in names if name not in finished), *options]


def complete_group(text_until_cursor: str, groups: list[str]) -> list[str]:
    """What may follow `%%private`: one of `groups`, until something does (pure)."""
    words = text_until_cursor.split()
    is_first = len(words) == 1 or (len(words) == 2 and not text_until_cursor[-1:].isspace())  # noqa: PLR2004
    return sorted(groups) if is_first else []


def completer(shell: Any, event: Any) -> list[str]:
    """IPython's `complete_command` hook for `%nixenv`."""
    return complete(event.text_until_cursor.lstrip(), value_for(shell))


def group_completer(shell: Any, event: Any) -> list[str]:
    """IPython's `complete_command` hook for `%%private`."""
    from .groups import registry  # noqa: PLC0415 - only here

    groups = {*registry.names(), *group_lines(value_for(shell))}
    return complete_group(event.text_until_cursor.lstrip(), list(groups))
