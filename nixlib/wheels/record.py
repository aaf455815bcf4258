"""RECORD: which files a distribution has, and their hashes (recording installed projects, PEP 376, PEP 627).

A wheel's RECORD is a claim that is checked; an installed one is a statement that must be true. So what
is written is computed from the bytes, and a row of the wheel survives only where it agrees with them.
"""

from __future__ import annotations

import csv
import hashlib
import io
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

# Weaker ones are forbidden by PEP 427; "sha256 or better".
_ALGORITHMS = ("sha256", "sha384", "sha512")
_COLUMNS = 3


@dataclass(frozen=True, slots=True)
class Row:
    """One file of a RECORD; `digest` (`sha256=…`) and `size` are empty texts where it has none."""

    path: str
    digest: str = ""
    size: str = ""


class RecordSyntaxError(ValueError):
    """A RECORD is not what it should be; the reader of the wheel says whose it is."""


def parse_record(data: bytes) -> Iterator[Row]:
    """The rows of a RECORD, in its order.

    Raises:
        RecordSyntaxError: Not UTF-8, not CSV, or not three columns.
    """
    try:
        rows = list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise RecordSyntaxError(str(error)) from error
    for row in filter(None, rows):
        if len(row) != _COLUMNS:
            raise RecordSyntaxError(
                f"`{','.join(row)[:200]}` has {len(row)} columns, not {_COLUMNS}"
            )
        yield Row(*row)


def write_record(rows: Iterable[Row]) -> bytes:
    """A RECORD with its rows sorted by path, as UTF-8 CSV with Unix line ends."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows(
        (row.path, row.digest, row.size) for row in sorted(rows, key=lambda row: row.path)
    )
    return text.getvalue().encode()


def algorithm_of(row: Row | None) -> str:
    """The algorithm that a row's hash can be checked with; `sha256` where it has none that counts."""
    name = row.digest.partition("=")[0] if row else ""
    return name if name in _ALGORITHMS else "sha256"


def digest_of(chunks: Iterable[bytes], algorithm: str = "sha256") -> str:
    """`sha256=…`: URL-safe base 64 without padding, as RECORD has it."""
    digest = hashlib.new(algorithm)
    for chunk in chunks:
        digest.update(chunk)
    return f"{algorithm}={urlsafe_b64encode(digest.digest()).rstrip(b'=').decode()}"


def disagreements(claimed: Mapping[str, Row], actual: Mapping[str, Row]) -> list[tuple[str, str]]:
    """Where a RECORD and the files differ.

    Args:
        claimed: Rows of the wheel's RECORD by path, its own left out.
        actual: Rows that were computed from the files, with the algorithm that is claimed.

    Returns:
        Pairs of a path and what is wrong with it, sorted by path.
    """
    wrong = dict.fromkeys(claimed.keys() - actual.keys(), "it is in RECORD and not in the wheel")
    for path, row in actual.items():
        why = _difference(claimed.get(path), row)
        if why:
            wrong[path] = why
    return sorted(wrong.items())


def _difference(claimed: Row | None, actual: Row) -> str:
    if claimed is None:
        return "it is not in RECORD"
    # Some tools kept the padding that PEP 427 leaves out; the hash is the same.
    if claimed.digest.rstrip("=") == actual.digest:
        same_size = claimed.size in ("", actual.size)
        return "" if same_size else f"RECORD says {claimed.size} bytes, it has {actual.size}"
    if not claimed.digest:
        return "RECORD has no hash of it"
    algorithm = claimed.digest.partition("=")[0]
    if algorithm not in _ALGORITHMS:
        return f"RECORD has a hash of it by `{algorithm}` only"
    return f"RECORD says `{claimed.digest}`, it is `{actual.digest}`"
