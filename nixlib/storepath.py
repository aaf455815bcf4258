"""Store paths: their syntax, and where a tree will lie in the store before any store is asked (pure).

Nix manual, "Store Path" and "Store Path Specification". A content-addressed object's path is a pure
function of its NAR hash, its name and its references, so everything here is arithmetic on bytes.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nixlib.errors import InvalidStorePathError

if TYPE_CHECKING:
    from collections.abc import Iterable

STORE_DIR = "/nix/store"

# Nix's own alphabet: no e, o, u, t.
_ALPHABET = "0123456789abcdfghijklmnpqrsvwxyz"
_VALUES = {char: value for value, char in enumerate(_ALPHABET)}
_DIGEST_CHARS = 32
_DIGEST_BYTES = 20
_MAX_NAME = 211
# A sanitised name stays well below the limit: Nix appends `.lock`, `.check` and the like to it.
_MAX_SANITISED = 180
_ILLEGAL = re.compile(r"[^0-9a-zA-Z+\-._?=]")
_LEGAL_NAME = re.compile(r"[0-9a-zA-Z+\-_?=][0-9a-zA-Z+\-._?=]*")


def nix32_encode(data: bytes) -> str:
    """Nix's base 32, most significant digit first.

    Examples:
        >>> nix32_encode(bytes.fromhex("8c"))
        '4c'
    """
    length = (len(data) * 8 + 4) // 5
    number = int.from_bytes(data, "little")
    return "".join(_ALPHABET[number >> (5 * n) & 31] for n in range(length - 1, -1, -1))


def nix32_decode(text: str) -> bytes:
    """The inverse of `nix32_encode`.

    Raises:
        InvalidStorePathError: A character outside the alphabet, or bits beyond the last byte.
    """
    number = 0
    for char in text:
        value = _VALUES.get(char)
        if value is None:
            raise InvalidStorePathError(f"`{text}` is not Nix base 32: `{char}`", text=text)
        number = number << 5 | value
    size = len(text) * 5 // 8
    if number >> (size * 8) or (size * 8 + 4) // 5 != len(text):
        raise InvalidStorePathError(f"`{text}` is not Nix base 32: wrong length", text=text)
    return number.to_bytes(size, "little")


def check_name(name: str) -> str:
    """`name`, if it may stand after the digest of a store path under every Nix from 2.4 on.

    Raises:
        InvalidStorePathError: Empty, too long, a leading dot (Nix 2.8 refuses it), other characters.
    """
    if len(name) > _MAX_NAME or not _LEGAL_NAME.fullmatch(name):
        raise InvalidStorePathError(f"`{name}` is not a legal store path name", text=name)
    return name


def sanitise_name(text: str) -> str:
    """A legal store path name made out of any text, the same one each time, at most 180 characters.

    Examples:
        >>> sanitise_name(".torch-2.1.0+cu121 (copy).whl")
        'torch-2.1.0+cu121_copy_.whl'
    """
    legal = re.sub(r"_{2,}", "_", _ILLEGAL.sub("_", text)).lstrip(".")
    if len(legal) > _MAX_SANITISED:
        # A cut name keeps its end out of sight, so a digest stands for what was cut.
        mark = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:8]
        legal = f"{legal[: _MAX_SANITISED - 9]}-{mark}"
    return legal or "unnamed"


@dataclass(frozen=True, slots=True, order=True)
class StorePath:
    """`<digest>-<name>`: one store object, wherever the store lies."""

    digest: str
    name: str

    def __post_init__(self) -> None:
        if len(self.digest) != _DIGEST_CHARS or not _VALUES.keys() >= set(self.digest):
            raise InvalidStorePathError(
                f"`{self.digest}-{self.name}` is not a store path", text=self.digest
            )
        check_name(self.name)

    def __str__(self) -> str:
        return f"{self.digest}-{self.name}"

    def in_dir(self, store_dir: str = STORE_DIR) -> str:
        """The whole path, as Nix prints it."""
        return f"{store_dir}/{self.digest}-{self.name}"

    @classmethod
    def parse(cls, text: str, store_dir: str = STORE_DIR) -> StorePath:
        """A store path from its base name or from its whole path.

        Raises:
            InvalidStorePathError: Anything else, such as a file inside a store object.

        Examples:
            >>> StorePath.parse("/nix/store/g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-a").name
            'a'
        """
        base = text.removeprefix(f"{store_dir}/")
        digest, dash, name = base.partition("-")
        if not dash or len(digest) != _DIGEST_CHARS or "/" in base:
            raise InvalidStorePathError(f"`{text}` is not a store path", text=text)
        return cls(digest, name)


def fixed_output_path(
    name: str,
    nar_sha256: bytes,
    references: Iterable[StorePath] = (),
    store_dir: str = STORE_DIR,
) -> StorePath:
    """Where a tree of this NAR hash lies: `fixed:r:sha256`, Nix's type `source` with references.

    Raises:
        InvalidStorePathError: The name is not legal.
    """
    kind = ":".join(["source", *(path.in_dir(store_dir) for path in sorted(set(references)))])
    return _store_path(kind, nar_sha256, name, store_dir)


def text_path(
    name: str, text_sha256: bytes, references: Iterable[StorePath] = (), store_dir: str = STORE_DIR
) -> StorePath:
    """Where a text of this SHA-256 lies, added as Nix adds derivations: `text:sha256`.

    Raises:
        InvalidStorePathError: The name is not legal.
    """
    kind = ":".join(["text", *(path.in_dir(store_dir) for path in sorted(set(references)))])
    return _store_path(kind, text_sha256, name, store_dir)


def output_path(name: str, masked_sha256: bytes, store_dir: str = STORE_DIR) -> StorePath:
    """Where the output `out` of a derivation lies that is known by what it is built from.

    Args:
        name: The derivation's own.
        masked_sha256: SHA-256 of its text with the output's own path left out.
        store_dir: Logical store directory.

    Raises:
        InvalidStorePathError: The name is not legal.
    """
    return _store_path("output:out", masked_sha256, name, store_dir)


def _store_path(kind: str, sha256: bytes, name: str, store_dir: str) -> StorePath:
    check_name(name)
    fingerprint = f"{kind}:sha256:{sha256.hex()}:{store_dir}:{name}"
    return StorePath(_compress(hashlib.sha256(fingerprint.encode()).digest()), name)


def _compress(digest: bytes) -> str:
    folded = bytearray(_DIGEST_BYTES)
    for index, byte in enumerate(digest):
        folded[index % _DIGEST_BYTES] ^= byte
    return nix32_encode(bytes(folded))
