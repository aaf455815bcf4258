"""What the notebook says that it asks for, read in the kernel without the engine.

From the page that shows the notebook, which knows more than the file; else from the document. Nothing here
trusts it: the value may be of any shape, and a document that cannot be read says nothing.
"""

from __future__ import annotations

import json
import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# PEP 508: a name begins and ends with a letter or digit.
NAME = re.compile(r"\s*([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)")
# Larger documents are not read for the sake of a completion.
READ_AT_MOST = 64 << 20


def value_for(shell: Any) -> object:
    """The value of `nixenv` in the metadata; None when there is none, or nothing says which document."""
    from .failure import KernelSideError  # noqa: PLC0415
    from .page import pages  # noqa: PLC0415
    from .session import current_session  # noqa: PLC0415
    from .writer import writing_page  # noqa: PLC0415

    page = writing_page(shell)
    if page is not None:
        return pages().value_of(page)
    try:
        return value_in(current_session(shell).document)
    except KernelSideError:
        return None


def value_in(document: str) -> object:
    """The value of `nixenv` in a notebook or mailbox; None when it cannot be read."""
    try:
        with open(document, "rb") as stream:
            text = stream.read(READ_AT_MOST + 1)
        value = json.loads(text.decode("utf-8")) if len(text) <= READ_AT_MOST else {}
    except (OSError, ValueError, RecursionError):
        return None
    # A mailbox has `nixenv` at its top.
    metadata = value.get("metadata", value) if isinstance(value, dict) else None
    return metadata.get("nixenv") if isinstance(metadata, dict) else None


def names_in(value: object) -> list[str]:
    """Names of the requirements in the value of `nixenv` (pure)."""
    return _names(value.get("requirements") if isinstance(value, dict) else None)


def group_lines(value: object) -> dict[str, list[str]]:
    """The private groups in the value of `nixenv`, each with its requirements (pure)."""
    groups = value.get("private") if isinstance(value, dict) else None
    if not isinstance(groups, dict):
        return {}
    return {
        name: _texts(group.get("requirements") if isinstance(group, dict) else group)
        for name, group in groups.items()
    }


def names_in_group(value: object, name: str) -> list[str]:
    """Names of the requirements of one private group (pure)."""
    return _names(group_lines(value).get(name))


def locked_groups(value: object) -> list[str] | None:
    """Names of the private groups in the lock; None without a lock (pure)."""
    lock = value.get("lock") if isinstance(value, dict) else None
    if not isinstance(lock, dict):
        return None
    groups = lock.get("private")
    entries = [group for group in groups if isinstance(group, dict)] if isinstance(groups, list) else []  # fmt: skip
    return [name for name in (group.get("name") for group in entries) if isinstance(name, str)]


def _names(lines: object) -> list[str]:
    found = (NAME.match(line) for line in _texts(lines))
    return [match.group(1) for match in found if match]


def _texts(value: object) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
