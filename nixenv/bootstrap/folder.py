"""The one notebook of a folder that has an environment, for clients that say nothing at all."""

from __future__ import annotations

from pathlib import Path

from nixenv.errors import MetadataError, NotebookNotFoundError
from nixenv.notebook.metadata import read_document

_MARK = b'"nixenv"'


def only_notebook(folder: Path) -> Path | None:
    """The notebook of `folder` with an environment in its metadata, when there is one and no other.

    Raises:
        NotebookNotFoundError: There are several; which one is meant nobody can know.
    """
    found = [path for path in sorted(folder.glob("*.ipynb")) if _has_environment(path)]
    if len(found) > 1:
        names = tuple(f"`{path.name}` has an environment" for path in found)
        raise NotebookNotFoundError(
            "cannot tell which notebook this kernel belongs to",
            details=(*names, "the client did not say which of them it is"),
            hint='`NIXENV_NOTEBOOK="/path/to/notebook.ipynb"` in the environment of the command that '
            "starts the kernel",
            tried=names,
        )
    return found[0] if found else None


def _has_environment(path: Path) -> bool:
    try:
        # Without the word in it there is nothing to parse: folders have hundreds of big notebooks.
        if path.is_file() and _MARK in path.read_bytes():
            return read_document(path, patience=0).spec is not None
    except (OSError, MetadataError):
        return False
    return False
