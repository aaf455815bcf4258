"""A request to stop, shared by everything that waits on behalf of one command."""

from __future__ import annotations

import threading

from nixlib.errors import RealisationCancelledError


class Cancel:
    """Set once, from any thread or signal handler; whoever waits looks at it.

    Examples:
        >>> cancel = Cancel()
        >>> cancel.is_set()
        False
    """

    def __init__(self) -> None:
        self._event = threading.Event()
        self._reason: BaseException | None = None

    def set(self, reason: BaseException | None = None) -> None:
        """Ask everybody who shares this to stop.

        Args:
            reason: What has failed, where that is why the rest is in vain; the first one counts.
        """
        self._reason = self._reason or reason
        self._event.set()

    def is_set(self) -> bool:
        """Whether somebody asked."""
        return self._event.is_set()

    def check(self) -> None:
        """Stop here if somebody asked.

        Raises:
            RealisationCancelledError: Somebody did, without another reason.
        """
        if self._event.is_set():
            raise self._reason or RealisationCancelledError("stopped on request")

    def wait(self, seconds: float) -> None:
        """Sleep that a cancel ends early.

        Raises:
            RealisationCancelledError: It did.
        """
        if self._event.wait(seconds):
            self.check()
