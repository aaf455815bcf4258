"""What every step of one realisation needs, and what one says of a leaf."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nixlib.plan import Leaf, Plan
from nixlib.storepath import StorePath

if TYPE_CHECKING:
    from nixlib.cancel import Cancel
    from nixlib.ledger import Ledger
    from nixlib.network.httpclient import Auth
    from nixlib.progress import EventSink
    from nixlib.settings import Settings
    from nixlib.store import Store


@dataclass(frozen=True)
class Context:
    """One realisation.

    Attributes:
        plan: What is to become valid.
        store: Where.
        ledger: Told what is made out of what.
        settings: How many at a time, how much memory, which caches.
        on_event: Called on the thread that realises.
        cancel: Stops it.
        auth: Credentials of downloads; None reads the user's own settings.
        folder: The notebook's, at which relative channels and projects begin.
    """

    plan: Plan
    store: Store
    ledger: Ledger
    settings: Settings
    on_event: EventSink
    cancel: Cancel
    auth: Auth | None
    folder: Path


@dataclass(frozen=True)
class Valid:
    """A leaf that is valid: its store path, the SRI hash of its tree, what is wrong with it."""

    leaf: Leaf
    path: StorePath
    nar: str
    warnings: tuple[str, ...] = ()
