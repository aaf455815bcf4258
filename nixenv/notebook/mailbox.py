"""The mailbox: a document for a notebook that exists only in a headless client's memory.

nbclient, nbconvert and papermill read a notebook, run it and write another; the file on disk is the wrong
one to change meanwhile. So the kernel and the engine get a small file in the notebook's place, and what
they have put there goes into the client's notebook before the client writes it.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nixenv.errors import MetadataError
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
        self.path.unlink(missing_ok=True)


def open_mailbox(spec: Any, notebook: str) -> Mailbox:
    """A mailbox that holds `spec` (the value of `nixenv`, or None), readable by this user only."""
    value: Mapping[str, Any] = {"notebook": notebook} if notebook else {}
    first = json.loads(json.dumps(spec))
    if first is not None:
        value = {**value, KEY: first}
    descriptor, name = tempfile.mkstemp(prefix="nixenv-", suffix=".json")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(value, file, indent=1, sort_keys=True)
    return Mailbox(Path(name), first)
