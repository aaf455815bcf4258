"""What a kernel works on: the document of its environment, as it is at this start."""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nixenv.notebook.mailbox import Mailbox, open_mailbox
from nixenv.notebook.metadata import KEY, Document
from nixenv.notebook.notebookpath import Found, Place, client_name, find_notebook, find_project
from nixenv.notebook.reading import read_document_async
from nixenv.server.launch import Target


@dataclass(frozen=True, slots=True)
class Aim:
    """A document, and who gets what is written into it.

    Attributes:
        document: Says what environment is wanted.
        target: The same for the code in the kernel.
        user: The file that uses the environment, for `nixenv gc`; None when it is only in memory.
        mailbox: Of a headless run.
    """

    document: Document
    target: Target
    user: Path | None
    mailbox: Mailbox | None = None


async def find_aim(place: Place) -> Aim:
    """The document that decides the environment of the kernel that starts at `place`.

    A notebook that says nothing about its environment has that of its project: the nearest
    `nixenv.toml` above it.

    Raises:
        NotebookNotFoundError: Nothing says which notebook it is.
        MetadataError: It cannot be read.
    """
    found = find_notebook(place)
    if place.client is not None:
        return await _headless_aim(place, found)
    assert found.path is not None  # noqa: S101 - only a client's notebook has no file
    document = await read_document_async(found.path)
    if document.spec is None and (project := find_project(found.path.parent)):
        document = await read_document_async(project)
    return Aim(document, Target(document.path), found.path)


async def _headless_aim(place: Place, found: Found) -> Aim:
    metadata: MutableMapping[str, Any] = place.client.nb.metadata
    said = metadata.get(KEY)
    source = found.path if found.source == "override" or said is None else None
    source = source or (find_project(place.cwd) if said is None else None)
    if source is not None:
        said = (await read_document_async(source)).spec
    name = client_name(place.client) or (str(found.path) if found.path else "")
    mailbox = open_mailbox(said, name)
    document = await read_document_async(mailbox.path)
    target = Target(mailbox.path, name=name, writer="mailbox")
    return Aim(document, target, _file_of(place, name), mailbox)


def _file_of(place: Place, name: str) -> Path | None:
    path = place.cwd / name
    return path if name and path.is_file() else None
