"""Work on another thread, which nobody waits for once it is not wanted any more."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from nixlib.cancel import Cancel

_Result = TypeVar("_Result")

_TICK = 0.1  # seconds between looks at the cancel


@dataclass
class Background(Generic[_Result]):
    """One piece of work under way.

    When it fails, everything else that `cancel` can stop is in vain and stops with its error: nobody
    downloads a hundred wheels for a Python that cannot be had.
    """

    work: Callable[[], _Result]
    cancel: Cancel
    _outcome: list[_Result] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._guarded, daemon=True)
        self._thread.start()

    def _guarded(self) -> None:
        try:
            self._outcome.append(self.work())
        except BaseException as error:  # noqa: BLE001 - `check` raises it where somebody waits
            self.cancel.set(error)

    def result(self) -> _Result:
        """What came out, when it is there; its error, if that is what came out."""
        while self._thread.is_alive():
            self._thread.join(_TICK)
            self.cancel.check()
        self.cancel.check()
        return self._outcome[0]
