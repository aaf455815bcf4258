"""SHA-256 as text: Subresource Integrity, `sha256-…`, as Nix and browsers write it (pure)."""

from __future__ import annotations

from base64 import b64decode, b64encode

__all__ = ["sri", "sri_digest"]

_PREFIX = "sha256-"


def sri(digest: bytes) -> str:
    """The text of a digest.

    Examples:
        >>> sri_digest(sri(bytes(32))) == bytes(32)
        True
    """
    return f"{_PREFIX}{b64encode(digest).decode()}"


def sri_digest(text: str) -> bytes:
    """The digest in a text.

    Raises:
        ValueError: It is not base 64.
    """
    return b64decode(text.removeprefix(_PREFIX), validate=True)
