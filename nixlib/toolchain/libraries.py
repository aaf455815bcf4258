"""Libraries of this machine that an interpreter expects of the system, as a layer of an enclosed build."""

from __future__ import annotations

import sys
from collections.abc import Collection
from pathlib import Path

from nixlib.store import Store
from nixlib.storepath import StorePath
from nixlib.toolchain.parts import GLIBC
from nixlib.tree import Regular, tree_of
from nixlib.workshop.hostlibs import HostLibraries

__all__ = ["library_layer"]


def library_layer(store: Store, sonames: Collection[str]) -> StorePath | None:
    """`lib` with `sonames` and what they need, as far as they are here; None where that is nothing.

    The C library's own stay out: the runtime has them, and two of them do not go together.
    """
    if not sonames:
        return None
    found = HostLibraries(Path(sys.executable).resolve()).closure(sonames)
    files = {
        f"lib/{soname}": Regular.of(path.read_bytes())
        for soname, path in found.items()
        if not soname.startswith(GLIBC)
    }
    if not files:
        return None
    path = store.add_tree("libraries", tree_of(files)).path
    store.add_temp_root((path,))
    return path
