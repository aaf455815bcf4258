"""The mailbox: a document for a notebook that exists only in a client's memory.

nbclient, nbconvert and papermill read a notebook, run it and write another; the file on disk is the wrong
one to change meanwhile. So the kernel and the engine get a small file in the notebook's place, and what
they have put there goes into the client's notebook before the client writes it. What a page has not saved
yet comes the same way.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nixenv.errors import MetadataError
from nixenv.kernel.mail import remove_letter, write_letter
from nixenv.notebook.metadata import KEY, read_document


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A mailbox on disk, and what was in it at first."""

    path: Path
    first: Any

    def deliver(self, metadata: MutableMapping[str, Any]) -> bool:
        """Put what the kernel has written into a notebook's metadata; False when it wrote nothing."""
        try:
            now = read_document(self.path).spec
        except MetadataError:
            return False
        if now == self.first or now is None:
            return False
        metadata[KEY] = now
        return True

    def remove(self) -> None:
        """Take the file away; nothing happens when it is gone."""
        remove_letter(str(self.path))


def open_mailbox(spec: Any, notebook: str) -> Mailbox:
    """A mailbox that holds `spec` (the value of `nixenv`, or None), readable by this user only.

    It goes with this process, if it is not removed before: `nixenv gc` sweeps what a killed one left.

    Raises:
        OSError: It cannot be written.
    """
    value: Mapping[str, Any] = {"notebook": notebook} if notebook else {}
    first = json.loads(json.dumps(spec))
    if first is not None:
        value = {**value, KEY: first}
    return Mailbox(Path(write_letter("mailbox.json", json.dumps(value))), first)
