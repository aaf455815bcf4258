"""What stands in for the public channels and for nixpkgs where those are out of reach.

    with stand_ins() as variables:
        subprocess.run(["nixenv", "lock", "a.ipynb"], env={**os.environ, **variables})

A notebook that asks `conda-forge` and `nixpkgs` is locked and built as it is, with the same commands.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from nixlib.testing.conda_channel import local_channel
from nixlib.testing.fileserver import FileServer
from nixlib.testing.nixpkgs import local_nixpkgs

__all__ = ["CONDA_FORGE", "stand_ins"]

CONDA_FORGE = "https://conda.anaconda.org/conda-forge"


@contextmanager
def stand_ins() -> Iterator[dict[str, str]]:
    """Variables with which conda-forge is the tests' channel and nixpkgs their small tree."""
    nixpkgs = local_nixpkgs()
    with FileServer(local_channel().files()) as server:
        yield {
            "NIXENV_CONDA_MIRRORS": f"{CONDA_FORGE}={server.url('').rstrip('/')}",
            "NIXENV_CONDA_NAMES": "",
            "NIXENV_REPOSITORIES": nixpkgs.url,
            "NIXENV_NIXPKGS": nixpkgs.branch,
        }
