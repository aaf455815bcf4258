"""What a notebook carries: its document, spec and lock, read with errors that name the notebook."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nixenv.errors import MetadataError
from nixenv.notebook.metadata import KEY, Document, read_document
from nixlib.errors import LockError, LockVersionError, NixError
from nixlib.lock import Lock, check_fresh, parse_lock
from nixlib.spec import Spec, parse_spec


@dataclass(frozen=True, slots=True)
class Carried:
    """A document with its spec, and the lock where it has one.

    Attributes:
        document: The file as it was read.
        spec: What it asks for.
        lock: The lock, perhaps of an earlier spec; None where there is none.
    """

    document: Document
    spec: Spec
    lock: Lock | None

    @property
    def path(self) -> Path:
        """The document's file."""
        return self.document.path

    def fresh_lock(self) -> Lock:
        """The lock, which must be there and answer the spec.

        Raises:
            LockStaleError: The spec has changed since.
            MetadataError: There is no lock.
        """
        if self.lock is None:
            raise MetadataError(
                f"`{self.document.name}` has no lock yet",
                hint=f'`nixenv lock "{self.path}"`',
                notebook=str(self.path),
                key="nixenv.lock",
            )
        with naming(self.document):
            check_fresh(self.lock, self.spec, notebook=self.document.name)
        return self.lock


def read_carried(path: str | Path, *, damaged_lock_is_none: bool = False) -> Carried:
    """The spec and the lock of the document at `path`; the lock may be stale.

    Args:
        path: The document.
        damaged_lock_is_none: For the verb that makes a new lock: an unreadable one does not stop it.

    Raises:
        MetadataError: The document cannot be read or carries nothing.
        SpecError: Its spec is none.
        LockError: Its lock is damaged.
    """
    document = read_document(Path(path))
    if document.spec is None:
        raise MetadataError(
            f"`{document.name}` carries no environment",
            details=(f"its metadata has no `{KEY}`",),
            hint=f'`nixenv init "{document.path}" pandas`',
            notebook=str(document.path),
            key=KEY,
        )
    try:
        return carried_by(document)
    except LockError as error:
        # `LockVersionError` is about a newer nixenv's work, which is not to be overwritten unasked.
        if not damaged_lock_is_none or isinstance(error, LockVersionError):
            raise
        return Carried(document, parse_spec(document.spec), None)


def carried_by(document: Document) -> Carried:
    """The spec and the lock of a document that has a spec.

    Raises:
        SpecError: Its spec is none.
        LockError: Its lock is damaged.
    """
    with naming(document):
        spec = parse_spec(document.spec)
        found: Any = document.spec.get("lock")
        return Carried(document, spec, None if found is None else parse_lock(found))


@contextmanager
def naming(document: Document) -> Iterator[None]:
    """Errors that leave the block say which notebook they are about."""
    try:
        yield
    except NixError as error:
        if error.fields.get("notebook") == str(document.path) and document.name in error.summary:
            raise
        raise named(error, document) from error


def named(error: NixError, document: Document) -> NixError:
    """The same error with the notebook in its first line and among its fields."""
    summary = error.summary
    if document.name not in summary:
        summary = f"`{document.name}`: {summary}"
    return type(error)(
        summary,
        details=error.details,
        hint=error.hint.replace("NOTEBOOK", str(document.path)),
        **{**error.fields, "notebook": str(document.path)},
    )
