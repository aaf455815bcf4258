"""Servers that did not answer, remembered for a while so that nobody waits for them again.

One small JSON file, shared by processes. It is advice: when it cannot be read or written, each call
only costs its own timeout.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_FORGET_SECONDS = 600.0


class Outages:
    """Names of what is down, and until when that is believed.

    Args:
        path: The file.
        forget: Seconds for which an outage is remembered.
        clock: Seconds since the epoch.
    """

    def __init__(
        self,
        path: Path,
        *,
        forget: float = _FORGET_SECONDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._path = path
        self._forget = forget
        self._clock = clock

    def is_down(self, name: str) -> bool:
        """Whether `name` did not answer lately."""
        # A time further ahead than we ever write comes from a clock that was wrong.
        return 0 < self._read().get(name, 0.0) - self._clock() <= self._forget

    def note(self, name: str) -> None:
        """Remember that `name` did not answer."""
        now = self._clock()
        kept = {key: until for key, until in self._read().items() if until > now}
        self._write({**kept, name: now + self._forget})

    def _read(self) -> dict[str, float]:
        try:
            found = json.loads(self._path.read_bytes())
        except (OSError, ValueError):
            return {}
        if not isinstance(found, dict):
            return {}
        return {k: float(v) for k, v in found.items() if isinstance(v, int | float)}

    def _write(self, outages: Mapping[str, float]) -> None:
        fresh = self._path.with_name(f".{self._path.name}.{secrets.token_hex(6)}")
        with suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            fresh.write_text(json.dumps(outages, sort_keys=True))
            fresh.replace(self._path)


def default_outages(env: Mapping[str, str]) -> Outages:
    """The user's own memory of outages, in the XDG cache directory."""
    home = env.get("XDG_CACHE_HOME") or os.path.join(env.get("HOME") or "~", ".cache")  # noqa: PTH118
    return Outages(Path(home).expanduser() / "nixenv" / "outages.json")
