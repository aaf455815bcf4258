"""Who writes a changed spec and lock into the notebook, and what its reader is told about that.

The one place where this is decided. A page that shows the notebook is its writer: the engine gets a
mailbox with the page's own value, and what it makes of that is handed to the page. Otherwise the engine
writes the document itself: the notebook's file (atomically, and only if nobody else changed it
meanwhile), or the mailbox of a headless client, who takes it over.
"""

from __future__ import annotations

import json
import os
from contextlib import contextmanager

from .comms import page_of_request
from .failure import KernelSideError
from .mail import remove_letter, write_letter
from .page import pages
from .session import start_variables

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterator, Mapping

    from .page import Page
    from .session import Session

MAILBOX = "mailbox.json"


class FileDesk:
    """The engine writes the session's own document."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def hand_over(self, *, is_changed: bool) -> str:
        """What to tell the user about a document that the engine has written; empty when it has not."""
        return saved_notice(self.session) if is_changed else ""


class PageDesk:
    """The engine writes a mailbox, and a page gets what is in it then.

    Attributes:
        session: The kernel's, with the mailbox as its document.
    """

    def __init__(self, session: Session, page: Page, base: Any) -> None:
        self.session = session
        self._page = page
        self._base = base

    def hand_over(self, *, is_changed: bool) -> str:
        """Send the page what the engine has made, and say so; empty when that is what it has.

        Raises:
            KernelSideError: The page cannot be reached.
        """
        del is_changed  # The mailbox itself says it better.
        name = self.session.notebook_name
        try:
            with open(self.session.document, encoding="utf-8") as file:
                value = json.load(file).get("nixenv")
            if value == self._base:
                return ""
            fits = pages().hand_over(self._page, self._base, value)
        except Exception as error:  # Whatever the transport raises: the user's cell must say it.
            raise KernelSideError(
                "PageError",
                f"`{name}` cannot be changed in its page\n  {error}",
                hint="reload the page and run the cell again",
            ) from error
        if fits:
            return f"changed `{name}` in this page: save the notebook to keep it"
        return (
            f"`{name}` was edited in this page meanwhile, so it is left as it is:"
            " the page asks which of the two to keep"
        )


def offer_lock(page: Page | None, mailbox: str) -> None:
    """Give a page the lock that was made for what it says when this kernel started, if it has none yet.

    Args:
        page: The one that has just opened.
        mailbox: Where the engine has put the lock; empty where nothing was made for a page.
    """
    if page is None or not mailbox:
        return
    try:
        with open(mailbox, encoding="utf-8") as file:
            made = json.load(file).get("nixenv")
    except (OSError, ValueError):
        return  # Gone with the start that it was for: the next one makes it again.
    base = pages().value_of(page)
    if isinstance(made, dict) and made.get("lock") is not None and base == _unlocked(made):
        pages().hand_over(page, base, made)


def _unlocked(value: Mapping[str, Any]) -> dict[str, Any]:
    return {name: item for name, item in value.items() if name != "lock"}


def writing_page(shell: Any) -> Page | None:
    """The page that writes what the running cell changes; None where the engine writes.

    A notebook that says nothing about its environment has that of its project, whose `nixenv.toml` is a
    file.
    """
    page = page_of_request(shell)
    if page is None:
        return None
    is_projects = start_variables().get("NIXENV_DOCUMENT", "").endswith(".toml")
    return None if is_projects and pages().value_of(page) is None else page


@contextmanager
def desk(session: Session, page: Page | None) -> Iterator[FileDesk | PageDesk]:
    """Where the engine works for the length of the block; a mailbox is gone afterwards.

    Args:
        session: The kernel's.
        page: That of the running cell, if it is one.

    Raises:
        KernelSideError: The page's value cannot be written down.
    """
    if page is None:
        yield FileDesk(session)
        return
    try:
        base = pages().begin(page)
        content = {"notebook": session.name, **_user(page)}
        if base is not None:
            content["nixenv"] = base
        mailbox = write_letter(MAILBOX, json.dumps(content))
    except (OSError, ValueError, RecursionError) as error:
        raise KernelSideError(
            "MetadataError",
            f"the metadata of `{session.notebook_name}` cannot be given to the engine\n  {error}",
        ) from error
    try:
        yield PageDesk(session.on(mailbox), page, base)
    finally:
        remove_letter(mailbox)


def _user(page: Page) -> dict[str, Any]:
    """The notebook's file, as whose environment `nixenv gc` shall see what the engine makes."""
    file = start_variables().get("NIXENV_DOCUMENT", "")
    return {"user": file} if os.path.basename(file) == page.name else {}


def saved_notice(session: Session) -> str:
    """What to say after the engine wrote the session's document; Markdown's backticks for names."""
    name = session.notebook_name
    if session.variables.get("NIXENV_WRITER") == "mailbox":
        return f"goes into the notebook that this run writes, beside the outputs of `{name}`"
    if session.document.endswith(".ipynb"):
        # JupyterLab and Notebook do not notice a change on disk before they save; then they ask, and
        # `Overwrite` would bring the old metadata back. Reloading keeps the kernel and its variables.
        return (
            f"saved into `{name}` on disk; this page does not show it yet: File → Reload Notebook from "
            "Disk. If Jupyter asks when saving, `Revert` keeps the new requirements, `Overwrite` drops them"
        )
    return f"saved into `{name}`"
