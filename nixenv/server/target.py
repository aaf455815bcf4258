"""What a kernel works on: the document of its environment, as it is at this start."""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nixenv.notebook.mailbox import Mailbox, open_mailbox
from nixenv.notebook.metadata import KEY, Document
from nixenv.notebook.notebookpath import (
    Found,
    Place,
    Posted,
    client_name,
    contents_path,
    find_notebook,
    find_project,
)
from nixenv.notebook.reading import read_document_async
from nixenv.server.launch import Target

_NAMELESS = "this notebook"
"""What messages call one that is only a value in somebody's program, whatever its mailbox is called."""


@dataclass(frozen=True, slots=True)
class Aim:
    """A document, and who gets what is written into it.

    Attributes:
        document: Says what environment is wanted.
        target: The same for the code in the kernel.
        user: The file that uses the environment, for `nixenv gc`; None when it is only in memory.
        mailbox: Of a headless run, or of what a page has not saved.
        contents: What the server's pages call the notebook; empty when it has no name there.
    """

    document: Document
    target: Target
    user: Path | None
    mailbox: Mailbox | None = None
    contents: str = ""


async def find_aim(place: Place) -> Aim:
    """The document that decides the environment of the kernel that starts at `place`.

    A notebook that says nothing about its environment has that of its project: the nearest
    `nixenv.toml` above it.

    Raises:
        NotebookNotFoundError: Nothing says which notebook it is, or two could be meant.
        MetadataError: It cannot be read.
    """
    found = find_notebook(place)
    if place.client is not None:
        return await _headless_aim(place, found)
    contents = contents_path(place, found)
    if (posted := found.posted) is not None and (posted.leads or posted.path is None):
        return await _page_aim(place, posted)
    assert found.path is not None  # noqa: S101 - only a client's or a page's notebook has no file
    document = await read_document_async(found.path)
    if document.spec is None and (project := find_project(found.path.parent)):
        document = await read_document_async(project)
    return Aim(document, Target(document.path), found.path, contents=contents)


async def _page_aim(place: Place, posted: Posted) -> Aim:
    """What a page has and no file has; the kernel still writes into the file, where there is one."""
    folder = place.cwd if posted.path is None else posted.path.parent
    if posted.nixenv is None and (project := find_project(folder)):
        document = await read_document_async(project)
        return Aim(document, Target(project), posted.path, contents=posted.contents)
    mailbox = posted.lend()
    try:
        document = await read_document_async(mailbox.path)
    except BaseException:
        mailbox.remove()
        raise
    name = posted.contents.rpartition("/")[2]
    in_memory = Target(mailbox.path, name=name, writer="mailbox", mailbox=mailbox.path)
    on_disk = Target(posted.path, mailbox=mailbox.path)
    target = in_memory if posted.path is None else on_disk
    return Aim(document, target, posted.path, mailbox, posted.contents)


async def _headless_aim(place: Place, found: Found) -> Aim:
    metadata: MutableMapping[str, Any] = place.client.nb.metadata
    said = metadata.get(KEY)
    source = found.path if found.source == "override" or said is None else None
    source = source or (find_project(place.cwd) if said is None else None)
    if source is not None:
        said = (await read_document_async(source)).spec
    name = client_name(place.client) or (str(found.path) if found.path else "")
    mailbox = open_mailbox(said, name or _NAMELESS)
    document = await read_document_async(mailbox.path)
    target = Target(mailbox.path, name=name, writer="mailbox")
    return Aim(document, target, _file_of(place, name), mailbox)


def _file_of(place: Place, name: str) -> Path | None:
    path = place.cwd / name
    return path if name and path.is_file() else None
