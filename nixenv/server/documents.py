"""The notebooks that pages have open, as the pages have told: what is on a screen beats what is on disk.

A page announces its notebook before the kernel starts. That settles two things a server cannot know: what
the metadata is when it is not saved, and which notebook a kernel belongs to when a drive's prefix
(`RTC:sub/a.ipynb`) has made its path unrecognisable. An announcement lasts until the page opens the path
anew or closes it; how many there are, and how much they say, is bounded.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nixenv.notebook.notebookpath import Posted, local_notebook
from nixenv.server.mailboxes import SharedMailbox
from nixenv.server.requests import Word
from nixenv.server.shared import shared

LIMIT = 256
"""Notebooks at a time; the one that nobody spoke of for longest is forgotten first."""

ROOM = 32 << 20
"""Bytes of all that is announced."""

_Stamp = tuple[int, int, int]


@dataclass(slots=True, eq=False)
class Announced:
    """One notebook that a page has open.

    Attributes:
        path: Contents path.
        word: What the page says about it.
        mailbox: For a start from what it says.
        stamp: What its file was when the page said so; None when it has none, or was not looked at yet.
    """

    path: str
    word: Word
    mailbox: SharedMailbox
    stamp: _Stamp | None = None

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]


class Documents:
    """What pages have announced in one server; used in the event loop's thread only."""

    def __init__(self, limit: int = LIMIT, room: int = ROOM) -> None:
        self._limit = limit
        self._room = room
        self._open: OrderedDict[str, Announced] = OrderedDict()

    def __len__(self) -> int:
        return len(self._open)

    def announce(self, path: str, word: Word) -> Announced:
        """Take a page's word; everything that was said about this path before is forgotten."""
        before = self._open.pop(path, None)
        announced = Announced(path, word, SharedMailbox(word.nixenv, path.rpartition("/")[2]))
        if before is not None and before.word.nixenv == word.nixenv:
            announced.mailbox = before.mailbox
        elif before is not None:
            before.mailbox.retire()
        self._open[path] = announced
        self._forget_oldest()
        return announced

    def withdraw(self, path: str) -> None:
        """The page is closed; nothing happens when nothing was said."""
        if (announced := self._open.pop(path, None)) is not None:
            announced.mailbox.retire()

    def find(self, path: str) -> Announced | None:
        """What was said about a contents path."""
        return self._open.get(path)

    def named(self, name: str) -> tuple[Announced, ...]:
        """Every announced notebook with this file name."""
        return tuple(announced for announced in self._open.values() if announced.name == name)

    def _forget_oldest(self) -> None:
        size = sum(announced.word.size for announced in self._open.values())
        while len(self._open) > self._limit or size > self._room:
            _, oldest = self._open.popitem(last=False)
            size -= oldest.word.size
            oldest.mailbox.retire()


def note_file(announced: Announced, root: Path) -> None:
    """Remember what the notebook's file is at this moment; one look at the disk, so not for the loop."""
    file = local_notebook(root, announced.path)
    announced.stamp = None if file is None else _stamp(file)


def find_posted(kernels: Any, session: str, session_name: str) -> tuple[Posted, ...]:
    """The open notebooks that a kernel could belong to: none, the one, or all that fit equally well.

    On a first start the server knows no path yet, only the `JPY_SESSION_NAME` that it makes from it, and in
    that the folder is wrong for a path with a drive's prefix. So it is the open notebook at the named path;
    else all those for which the server would have said this very name, and an unannounced file at the named
    path is one more.

    Args:
        kernels: The mapping kernel manager that starts the kernel.
        session: The path in the server's session, which is sure; empty before there is one.
        session_name: `JPY_SESSION_NAME`, absolute or relative to the server's root.
    """
    documents = shared(kernels, Documents)
    if documents is None:
        return ()
    root = Path(kernels.root_dir)
    if session:
        announced = documents.find(session.strip("/"))
        return () if announced is None else (posted(announced, root),)
    if not session_name:
        return ()
    named = _normal(root / session_name)
    candidates = documents.named(named.name)
    for announced in candidates:
        if _normal(root / announced.path) == named:
            return (posted(announced, root),)
    found = tuple(posted(one, root) for one in candidates if _told(kernels, one) == named)
    is_one_more = os.path.isfile(named) and named not in {one.path for one in found}  # noqa: PTH113
    return (*found, Posted(named.name, path=named)) if found and is_one_more else found


def _normal(path: Path) -> Path:
    return Path(os.path.normpath(path))


def _told(kernels: Any, announced: Announced) -> Path:
    """The name that the server would make of this notebook's path."""
    folder = announced.path.rpartition("/")[0]
    return _normal(Path(kernels.cwd_for_path(folder))) / announced.name


def posted(announced: Announced, root: Path) -> Posted:
    """An announcement beside what is on the disk at this moment."""
    file = local_notebook(root, announced.path)
    return Posted(
        announced.path,
        path=file,
        nixenv=announced.word.nixenv,
        # Whoever wrote the file after the page spoke had the last word: the page itself, most often,
        # which says so a moment later.
        leads=_leads(announced.word) and not _was_written(announced, file),
        lend=announced.mailbox.lend,
    )


def _leads(word: Word) -> bool:
    """Whether the file does not do: it says something else, or the lock for it has yet to be made."""
    return word.is_dirty or (isinstance(word.nixenv, dict) and word.nixenv.get("lock") is None)


def _was_written(announced: Announced, file: Path | None) -> bool:
    return file is not None and announced.stamp not in (None, _stamp(file))


def _stamp(file: Path) -> _Stamp | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
