"""What a user or an administrator may set, as the engine sees it: one value, passed to who needs it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

CONDA_ALIAS = "https://conda.anaconda.org"
CONDA_NAMES = (
    "https://raw.githubusercontent.com/prefix-dev/parselmouth/main/files/compressed_mapping.json"
)
STANDALONE_MIRROR = "https://github.com/astral-sh/python-build-standalone/releases/download"
REPOSITORIES = "https://github.com"
TORCH_INDEXES = "https://download.pytorch.org/whl"


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
        conda_alias: Where channels are that are given by name only.
        conda_mirrors: `URL=MIRROR` for channels, or prefixes of their URLs, that are to be had elsewhere.
        conda_names: JSON of what PyPI calls the packages of conda-forge; empty for never asking.
        torch_indexes: Where PyTorch's indexes of wheels are, one for each choice of CUDA.
        caches: Binary caches that we read ourselves, beside those that the daemon asks.
        trusted_notebooks: Folders and notebooks whose hints their user believes.
        grace_days: Days after a pin's upload that its dependencies may still be of.
        timeout: Seconds without a byte after which a server counts as not answering.
        repositories: Where revisions of nixpkgs and other repositories are, as archives with GitHub's
            paths (`OWNER/REPOSITORY/archive/REVISION.tar.gz`); a `file://` URL is a folder of such.
        nixpkgs: `OWNER/REPOSITORY/BRANCH` that `nixpkgs#…` means; empty for the newest branch of
            `NixOS/nixpkgs` that this machine's Nix evaluates.
    """

    cache_dir: Path
    state_dir: Path
    store: str | None = None
    connections: int = 2
    downloads: int = 32
    memory: int = 1 << 30
    python_mirror: str = STANDALONE_MIRROR
    conda_alias: str = CONDA_ALIAS
    conda_mirrors: tuple[str, ...] = ()
    conda_names: str = CONDA_NAMES
    torch_indexes: str = TORCH_INDEXES
    caches: tuple[str, ...] = ()
    trusted_notebooks: tuple[str, ...] = ()
    grace_days: int = 180
    timeout: float = 30.0
    repositories: str = REPOSITORIES
    nixpkgs: str = ""

    @property
    def environments_dir(self) -> Path:
        """One link per environment key; a stat through it is the whole cache lookup."""
        return self.state_dir / "environments"
