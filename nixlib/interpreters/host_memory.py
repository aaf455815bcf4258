"""What this machine has found out about its own Pythons, so that locking twice costs nothing.

One JSON file of the user's state. Each entry is kept under the sizes and times of the files that it is about, so
a Python that was upgraded is asked and hashed anew. Damage to the file costs only that.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

_MAX_ENTRIES: Final = 200


@dataclass(frozen=True)
class HostMemory:
    """A table of JSON objects on disk, the oldest entries dropped.

    Attributes:
        file: Where it is; its folder is made when something is first kept.
    """

    file: Path

    def recall(self, key: str) -> dict[str, Any] | None:
        """What was kept under `key`, if anything."""
        found = self._entries().get(key)
        return found if isinstance(found, dict) else None

    def keep(self, entries: Mapping[str, Mapping[str, Any]]) -> None:
        """Keep `entries`; not being able to is no error."""
        if not entries:
            return
        merged = {k: v for k, v in self._entries().items() if k not in entries} | dict(entries)
        newest = dict(list(merged.items())[-_MAX_ENTRIES:])
        with suppress(OSError):
            self._replace(json.dumps(newest).encode())

    def _entries(self) -> dict[str, Any]:
        try:
            found = json.loads(self.file.read_bytes())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _replace(self, data: bytes) -> None:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=self.file.parent, prefix=f".{self.file.name}.")
        try:
            with os.fdopen(handle, "wb") as out:
                out.write(data)
            Path(name).replace(self.file)
        except OSError:
            Path(name).unlink(missing_ok=True)
            raise
