"""The Python of a lock (pure)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nixlib.lock.artifact import Artifact
from nixlib.lock.fields import Fields, artifact, sri, stated
from nixlib.spec import SOURCES, SYSTEMS

_KEYS = ("version", "source", "artifacts", "trees", "libraries")
_VERSION = re.compile(r"3\.\d{1,3}\.\d{1,3}[a-z0-9]*")
_SOURCE = re.compile("|".join(SOURCES))
_SONAME = re.compile(r"[A-Za-z0-9._+-]{1,100}")


@dataclass(frozen=True)
class LockedInterpreter:
    """The Python of the lock.

    Attributes:
        version: All three numbers.
        source: `standalone`, `host`, `conda` (a package of the lock's own) or `nixpkgs` (the lock's
            attribute whose role is `interpreter`).
        artifacts: For `standalone`: the release tarball of each system.
        trees: For `host`: the SRI NAR hash of the copy, for each system where one was made.
        libraries: Sonames that it still needs from the system.
    """

    version: str
    source: str
    artifacts: Mapping[str, Artifact] = field(default_factory=dict)
    trees: Mapping[str, str] = field(default_factory=dict)
    libraries: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Its JSON object."""
        return stated(
            version=self.version,
            source=self.source,
            artifacts={k: str(v) for k, v in sorted(self.artifacts.items())},
            trees=dict(sorted(self.trees.items())),
            libraries=" ".join(sorted(self.libraries)),
        )


def parse_interpreter(key: str, value: object) -> LockedInterpreter:
    """The interpreter out of its JSON object.

    Raises:
        LockError: It is damaged.
    """
    fields = Fields(key, value, _KEYS)
    return LockedInterpreter(
        version=fields.matching("version", _VERSION),
        source=fields.matching("source", _SOURCE),
        artifacts=fields.table("artifacts", SYSTEMS.__contains__, artifact),
        trees=fields.table("trees", SYSTEMS.__contains__, sri),
        libraries=fields.words("libraries", _SONAME.fullmatch),
    )
