"""What a user or an administrator may set, as the engine sees it: one value, passed to who needs it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

STANDALONE_MIRROR = "https://github.com/astral-sh/python-build-standalone/releases/download"


@dataclass(frozen=True)
class Settings:
    """Every knob of the engine.

    Attributes:
        cache_dir: What can be made again: downloads' metadata, bytecode.
        state_dir: What must be kept: roots, the ledger, what did not answer.
        store: A Nix store URI; None follows `NIX_REMOTE`, then the daemon, then a store of our own.
        connections: Daemon connections that import at the same time.
        downloads: Downloads at the same time.
        memory: Bytes of downloaded files held in memory at most.
        python_mirror: Where releases of standalone Pythons are, laid out as upstream does.
        caches: Binary caches that we read ourselves, beside those that the daemon asks.
        trusted_notebooks: Folders and notebooks whose hints their user believes.
        grace_days: Days after a pin's upload that its dependencies may still be of.
        timeout: Seconds without a byte after which a server counts as not answering.
    """

    cache_dir: Path
    state_dir: Path
    store: str | None = None
    connections: int = 2
    downloads: int = 32
    memory: int = 1 << 30
    python_mirror: str = STANDALONE_MIRROR
    caches: tuple[str, ...] = ()
    trusted_notebooks: tuple[str, ...] = ()
    grace_days: int = 180
    timeout: float = 30.0

    @property
    def environments_dir(self) -> Path:
        """One link per environment key; a stat through it is the whole cache lookup."""
        return self.state_dir / "environments"
