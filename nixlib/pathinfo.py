"""What a store knows of one valid store object."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nixlib.storepath import StorePath


@dataclass(frozen=True, slots=True)
class PathInfo:
    """A valid store object.

    Attributes:
        path: Where it lies.
        nar_sha256: SHA-256 of its NAR, 32 bytes.
        nar_size: Size of its NAR in bytes.
        references: The store objects that it needs, sorted; the collector keeps them with it.
    """

    path: StorePath
    nar_sha256: bytes
    nar_size: int
    references: tuple[StorePath, ...] = ()
