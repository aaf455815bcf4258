"""A request to stop, heard by who waits for a server."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nixlib.cancel import Cancel
    from nixlib.network.httpclient import HttpClient

__all__ = ["ended_by"]

_TICK = 0.05


@contextmanager
def ended_by(cancel: Cancel, client: HttpClient) -> Iterator[None]:
    """Cut the connections of `client` when `cancel` is set: a server may be silent for long.

    Whoever reads gets an `OSError` or an `HTTPException` then, and looks at `cancel` before believing it.
    """
    over = threading.Event()

    def watch() -> None:
        while not over.wait(_TICK):
            if cancel.is_set():
                client.close()
                return

    watcher = threading.Thread(target=watch, name="nixenv-ending", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
