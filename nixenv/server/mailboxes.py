"""Mailboxes of what a page has not saved: lent to kernels and builds, gone when nobody can want one again.

A lock that a build makes for unsaved requirements lies in the mailbox and nowhere else. Whoever starts
from the same unsaved value gets the same mailbox, so a restart does not resolve anew, and two who wait for
the same environment wait for one build.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nixenv.notebook.mailbox import Mailbox, open_mailbox


@dataclass(frozen=True, slots=True)
class Loan(Mailbox):
    """A mailbox that others may have at the same time; `remove` gives it back."""

    give_back: Callable[[], None]

    def remove(self) -> None:
        """Give it back; the file goes with the last who has it."""
        self.give_back()


class SharedMailbox:
    """The mailbox of one announced value; its file is made when somebody first wants it.

    Args:
        value: The announced value of `metadata.nixenv`.
        notebook: What to call the notebook in messages.
    """

    def __init__(self, value: Any, notebook: str) -> None:
        self._value = value
        self._notebook = notebook
        self._file: Mailbox | None = None
        self._loans = 0
        self._is_retired = False

    def lend(self) -> Mailbox:
        """The mailbox, for as long as `remove` has not been called on what is returned."""
        # Somebody who tidies /tmp may have taken the file while nobody used it.
        if self._file is None or not self._file.path.exists():
            self._file = open_mailbox(self._value, self._notebook)
        self._loans += 1
        is_out = [True]

        def give_back() -> None:
            if is_out:
                is_out.clear()
                self._loans -= 1
                self._tidy()

        return Loan(self._file.path, self._file.first, give_back)

    def retire(self) -> None:
        """Nobody will ask for it again: the page says something else now, or is gone."""
        self._is_retired = True
        self._tidy()

    def _tidy(self) -> None:
        if self._is_retired and not self._loans and self._file is not None:
            self._file.remove()
