"""The files of a built prefix as composing sees them: links into other store objects are what they lead to."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nixlib.composition.package import Kind, StoreListing

__all__ = ["PrefixListing"]


@dataclass(frozen=True, slots=True)
class PrefixListing:
    """A conda prefix on disk (a `Listing`).

    Attributes:
        root: Where its files are on this machine (`Store.physical`).
    """

    root: Path

    def kind(self, path: str) -> Kind | None:
        """One `lstat`, and a look behind a link; see `Listing`."""
        return self._seen(path, StoreListing(self.root).kind(path))

    def children(self, path: str) -> Mapping[str, Kind]:
        """One folder read, and a look behind each link; see `Listing`."""
        found = StoreListing(self.root).children(path)
        start = f"{path}/" if path else ""
        return {name: self._seen(f"{start}{name}", kind) or kind for name, kind in found.items()}

    def digest(self, path: str) -> str:
        """Reads the whole file; see `Listing`."""
        listing = StoreListing(self.root)
        if self._leads_out(path, listing.kind(path)):
            # Without the link, as `StoreListing` would tell its target.
            full = Path(os.path.realpath(self.root / path))
            return StoreListing(full.parent).digest(full.name)
        return listing.digest(path)

    def read(self, path: str) -> bytes:
        """See `Listing`."""
        return (self.root / path).read_bytes()

    def _seen(self, path: str, kind: Kind | None) -> Kind | None:
        if not self._leads_out(path, kind):
            return kind
        return "dir" if os.path.isdir(f"{self.root}/{path}") else "file"  # noqa: PTH112 - for each name

    def _leads_out(self, path: str, kind: Kind | None) -> bool:
        """Whether there is a link to another store object: links of packages do not go up so far."""
        if kind != "link":
            return False
        target = os.readlink(f"{self.root}/{path}")  # noqa: PTH115 - for each name
        return target.startswith("../" * (path.count("/") + 1))
