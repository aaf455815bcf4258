"""One file of a registry, as a lock names it (pure)."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote, urlsplit


@dataclass(frozen=True, order=True)
class Artifact:
    """Where a file was found, and the sha256 (hex) and size (bytes) it must have."""

    url: str
    sha256: str
    size: int

    @property
    def filename(self) -> str:
        """The last part of the URL's path, unquoted."""
        return unquote(urlsplit(self.url).path.rsplit("/", 1)[-1])

    def __str__(self) -> str:
        return f"{self.sha256} {self.size} {self.url}"
