"""Tab completion after `%nixenv`: verbs, options, and for `remove` what the notebook asks for."""

from __future__ import annotations

import json
import re

from .verbs import VERBS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# PEP 508: a name begins and ends with a letter or digit.
NAME = re.compile(r"\s*([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)")
# Larger documents are not read for the sake of a completion.
READ_AT_MOST = 64 << 20


def complete(text_until_cursor: str, required: list[str]) -> list[str]:
    """Words that may follow (pure).

    Args:
        text_until_cursor: The line so far, from `%nixenv` on.
        required: Names of the packages that the notebook asks for.
    """
    words = text_until_cursor.split()
    finished = words[1:] if text_until_cursor[-1:].isspace() else words[1:-1]
    if not finished:
        return list(VERBS)
    verb = VERBS.get(finished[0])
    if verb is None:
        return []
    options = [name for name in verb.options if name not in finished]
    names = required if verb.name == "remove" or finished[-1] in ("--why", "--upgrade") else []
    return [*(name for name in names if name not in finished), *options]


def required_names(document: str) -> list[str]:
    """Names of the requirements in a notebook or mailbox; none when it cannot be read."""
    try:
        with open(document, "rb") as stream:
            text = stream.read(READ_AT_MOST + 1)
        value = json.loads(text.decode("utf-8")) if len(text) <= READ_AT_MOST else {}
    except (OSError, ValueError, RecursionError):
        return []
    # A mailbox has `nixenv` at its top.
    metadata = value.get("metadata", value) if isinstance(value, dict) else None
    return names_in(metadata.get("nixenv") if isinstance(metadata, dict) else None)


def names_in(value: object) -> list[str]:
    """Names of the requirements in the value of `nixenv`, whatever that is (pure)."""
    lines = value.get("requirements") if isinstance(value, dict) else None
    lines = lines if isinstance(lines, list) else []
    found = (NAME.match(line) for line in lines if isinstance(line, str))
    return [match.group(1) for match in found if match]


def completer(shell: Any, event: Any) -> list[str]:
    """IPython's `complete_command` hook."""
    from .failure import KernelSideError  # noqa: PLC0415
    from .page import pages  # noqa: PLC0415
    from .session import current_session  # noqa: PLC0415
    from .writer import writing_page  # noqa: PLC0415

    page = writing_page(shell)
    try:
        required = (
            required_names(current_session(shell).document)
            if page is None
            else names_in(pages().value_of(page))
        )
    except KernelSideError:
        required = []
    return complete(event.text_until_cursor.lstrip(), required)
