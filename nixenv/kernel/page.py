"""The pages that show this kernel's notebook, and what each of them says the notebook's `nixenv` is.

While a notebook is open in JupyterLab, the page is the only writer of the document: it tells us the newest
value of `metadata.nixenv`, saved or not, and we tell it what it shall be. Nothing here knows Jupyter: a
message is a dict, a way to send one is a function. Messages may arrive on another thread than the one
that runs a cell (ipykernel's subshells).
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Iterable

    Send = Callable[[dict[str, Any]], None]

# Pages that are remembered: a page that is reloaded or loses its network does not say good-bye.
PAGES_AT_MOST = 32
# Seconds; a page that is there answers within one.
PATIENCE = 5.0


@dataclass(frozen=True)
class Change:
    """A new value on its way into a document.

    Attributes:
        serial: By which the page answers.
        path: The document's path, as its page named it.
        base: The value that the change was made from: a page that has another one asks its user.
        value: The new one.
    """

    serial: int
    path: str
    base: Any
    value: Any

    def message(self) -> dict[str, Any]:
        """What the page is sent."""
        return {"serial": self.serial, "base": self.base, "nixenv": self.value}


@dataclass(frozen=True)
class Page:
    """One open page.

    Attributes:
        comm: Identity of its comm.
        session: The client session of its messages, cells included.
        path: The document's path in the server.
        value: The document's `nixenv` as the page last said it; None for none.
        send: Sends it a message.
        is_open: It has not closed its comm.
    """

    comm: str
    session: str
    path: str
    value: Any
    send: Send
    is_open: bool = True

    @property
    def name(self) -> str:
        """The document's file name, without a drive such as `RTC:`."""
        return self.path.rpartition("/")[2].rpartition(":")[2] or "this notebook"


def expected(value: Any, changes: Iterable[Change]) -> Any:
    """What a page that said `value` has when the changes have reached it: it takes each that fits (pure).

    Two cells that were sent one after the other run before their page can answer the first.
    """
    for change in changes:
        if value in (change.base, change.value):
            value = change.value
    return value


class Pages:
    """Every page of one kernel, and the changes that none of them has answered.

    Args:
        patience: Seconds that a page has for its answer, when a newer one shows the same document: it may
            be gone, and the newer one is itself, reloaded.
    """

    def __init__(self, patience: float = PATIENCE) -> None:
        self._patience = patience
        self._lock = threading.Lock()
        self._pages: dict[str, Page] = {}
        self._unanswered: list[Change] = []
        # Which comms each of them was sent to, by serial.
        self._sent: dict[int, set[str]] = {}
        self._serial = 0

    def opened(self, comm: str, session: str, data: object, send: Send) -> None:
        """A page has opened its comm; it is sent what is still unanswered for its document."""
        said = data if isinstance(data, dict) else {}
        path = said.get("path")
        page = Page(comm, session, path if isinstance(path, str) else "", said.get("nixenv"), send)
        with self._lock:
            # A page that opens again has lost its connection, or its document has another name now.
            for before in [one for one in self._pages.values() if one.session == session]:
                del self._pages[before.comm]
                self._unanswered = [
                    replace(change, path=page.path) if change.path == before.path else change
                    for change in self._unanswered
                ]
            self._pages[comm] = page
            while len(self._pages) > PAGES_AT_MOST:
                del self._pages[next(iter(self._pages))]
        self._catch_up(page)

    def told(self, comm: str, data: object) -> None:
        """A page has said something; what cannot be understood is ignored."""
        if not isinstance(data, dict):
            return
        with self._lock:
            page = self._pages.get(comm)
            if page is not None and "nixenv" in data:
                self._pages[comm] = replace(page, value=data["nixenv"])
                self._settle(page.path, data["nixenv"])
            answered = [data.get("applied"), data.get("refused")]
            self._forget([one for one in self._unanswered if one.serial in answered])

    def closed(self, comm: str) -> None:
        """A page has closed its comm; it may open another one."""
        with self._lock:
            if comm in self._pages:
                self._pages[comm] = replace(self._pages[comm], is_open=False)

    def of_session(self, session: object) -> Page | None:
        """The page whose cells come with this session; None for every other client."""
        with self._lock:
            return self._of_session(session)

    def value_of(self, page: Page) -> Any:
        """The document's `nixenv`: what the page said last, and what is on its way there."""
        with self._lock:
            return self._value_of(page)

    def begin(self, page: Page) -> Any:
        """`value_of`, for work whose outcome goes to this page: it is sent what only others have been."""
        self._catch_up(page)
        return self.value_of(page)

    def hand_over(self, page: Page, base: Any, value: Any) -> bool:
        """Give a new value to the page that asked for it; others of the same document see it there.

        Args:
            page: Whose cell it was.
            base: The value that the work began with.
            value: The new one.

        Returns:
            Whether the page still has `base`, so that it takes the value without asking its user.

        Raises:
            Exception: It cannot be sent; then it never was.
        """
        with self._lock:
            page = self._of_session(page.session) or page
            fits = self._value_of(page) in (base, value)
            self._serial += 1
            change = Change(self._serial, page.path, base, value)
            self._unanswered.append(change)
            is_newest = self._newest(page.path) in (None, page.comm)
        try:
            self._catch_up(page)
        except BaseException:
            with self._lock:
                self._forget([change])
            raise
        if not is_newest:
            timer = threading.Timer(self._patience, self._try_the_newest, [page.path])
            timer.daemon = True
            timer.start()
        return fits

    def _try_the_newest(self, path: str) -> None:
        with self._lock:
            page = self._pages.get(self._newest(path) or "")
        if page is not None:
            self._catch_up(page)

    def _catch_up(self, page: Page) -> None:
        """Send a page what is unanswered for its document and was not sent to it yet."""
        with self._lock:
            waiting = [
                change
                for change in self._changes_of(page.path)
                if page.comm not in self._sent.setdefault(change.serial, set())
            ]
            for change in waiting:
                self._sent[change.serial].add(page.comm)
        for change in waiting:
            page.send(change.message())

    def _of_session(self, session: object) -> Page | None:
        found = (page for page in self._pages.values() if page.session == session and page.is_open)
        return next(found, None) if session else None

    def _value_of(self, page: Page) -> Any:
        newest = self._pages.get(page.comm, page)
        return expected(newest.value, self._changes_of(page.path))

    def _newest(self, path: str) -> str | None:
        """The comm of the page that opened this document last."""
        comms = [page.comm for page in self._pages.values() if page.path == path and page.is_open]
        return comms[-1] if comms else None

    def _changes_of(self, path: str) -> list[Change]:
        return [change for change in self._unanswered if change.path == path]

    def _settle(self, path: str, value: Any) -> None:
        """Forget the changes up to the one that led to `value`: the page has it, and may go on from there."""
        changes = self._changes_of(path)
        reached = [change.serial for change in changes if change.value == value]
        if reached:
            self._forget([change for change in changes if change.serial <= reached[-1]])

    def _forget(self, answered: Iterable[Change]) -> None:
        for change in answered:
            self._unanswered.remove(change)
            self._sent.pop(change.serial, None)


_pages: list[Pages] = []


def pages() -> Pages:
    """Those of this process."""
    if not _pages:
        _pages.append(Pages())
    return _pages[0]
