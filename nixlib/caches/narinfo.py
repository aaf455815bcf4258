"""`.narinfo`: what a binary cache says of one store object. Read strictly, believed by nobody.

Nix has no formal specification; this follows `NarInfo::NarInfo` in Nix's `nar-info.cc`. The text comes
from a cache that nobody vouches for, so every field is bounded and whatever looks odd is refused.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass

from nixlib.errors import InvalidStorePathError, SubstituteError
from nixlib.storepath import StorePath, nix32_decode

MAX_BYTES = 1024 * 1024
_SHA256_BYTES = 32
_SHA256_NIX32 = 52
_SHA256_BASE64 = 44
COMPRESSIONS = frozenset({"none", "xz", "bzip2", "gzip", "zstd"})
# One path segment after another, none of them `..`, nothing that leaves the cache.
_URL = re.compile(r"(?:[0-9A-Za-z._+\-=]+/)*[0-9A-Za-z._+\-=]+(?:\?[0-9A-Za-z._+\-=&]*)?")


@dataclass(frozen=True, slots=True)
class NarInfo:
    """One object of a cache.

    Attributes:
        path: Its store path.
        url: Where its NAR is, relative to the cache.
        compression: One of `COMPRESSIONS`.
        nar_sha256: Of the unpacked NAR, 32 bytes.
        nar_size: Of the unpacked NAR, bytes.
        references: What it needs.
    """

    path: StorePath
    url: str
    compression: str
    nar_sha256: bytes
    nar_size: int
    references: tuple[StorePath, ...]


def parse_narinfo(data: bytes, store_dir: str) -> NarInfo:
    """A `.narinfo` file.

    Raises:
        SubstituteError: Missing or repeated fields, other characters, another store directory, an
            unknown compression or hash, a URL that leads out of the cache.
    """
    try:
        fields = _fields(data.decode())
        path = StorePath.parse(_whole(fields["StorePath"], store_dir), store_dir)
        references = tuple(map(StorePath.parse, fields.get("References", "").split()))
        compression = fields.get("Compression") or "bzip2"  # Nix's default since its first caches
        # `int` alone would take signs, spaces, underscores and other alphabets' digits.
        size = int(fields["NarSize"]) if re.fullmatch(r"[0-9]{1,18}", fields["NarSize"]) else 0
        info = NarInfo(
            path, fields["URL"], compression, parse_sha256(fields["NarHash"]), size, references
        )
    except (KeyError, ValueError, InvalidStorePathError) as error:
        raise SubstituteError(f"malformed `.narinfo`: {error}") from error
    if compression not in COMPRESSIONS:
        raise SubstituteError(f"malformed `.narinfo`: unknown compression `{compression}`")
    if size <= 0:
        raise SubstituteError("malformed `.narinfo`: `NarSize` is not a size")
    if not _URL.fullmatch(info.url) or ".." in info.url.split("/"):
        raise SubstituteError("malformed `.narinfo`: `URL` leads out of the cache")
    return info


def parse_sha256(text: str) -> bytes:
    """A SHA-256 digest as SRI (`sha256-…`), or as Nix's `sha256:` with base 16, 32 or 64.

    Raises:
        ValueError: Another algorithm or encoding.
    """
    if text.startswith("sha256-"):
        digest = base64.b64decode(text.removeprefix("sha256-"), validate=True)
    elif text.startswith("sha256:"):
        digest = _digest(text.removeprefix("sha256:"))
    else:
        raise ValueError(f"`{text}` is not a SHA-256 hash")
    if len(digest) != _SHA256_BYTES:
        raise ValueError(f"`{text}` is not a SHA-256 hash")
    return digest


def _digest(text: str) -> bytes:
    if len(text) == _SHA256_NIX32:
        return nix32_decode(text)
    if len(text) == _SHA256_BASE64:
        return base64.b64decode(text, validate=True)
    return bytes.fromhex(text)


def _whole(text: str, store_dir: str) -> str:
    if not text.startswith(f"{store_dir}/"):
        raise ValueError(f"`{text}` is not in `{store_dir}`")
    return text


def _fields(text: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    for line in text.splitlines():
        key, colon, value = line.partition(":")
        if not colon:
            raise ValueError("a line without a colon")
        # `Sig` may repeat; nothing that we read may.
        if key in fields and key != "Sig":
            raise ValueError(f"`{key}` occurs twice")
        fields[key] = value.strip()
    return fields
