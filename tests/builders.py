"""A builder for tests that runs in any sandbox: this machine's `sh`, its loader and its libraries, as a store object."""

import os
import time
from collections.abc import Collection
from functools import cache
from pathlib import Path

from nixlib.binaries.elf import read_elf
from nixlib.derivation import Derivation
from nixlib.platforms import current_system
from nixlib.store import Store
from nixlib.storepath import StorePath
from nixlib.tree import Directory, Regular, tree_of
from nixlib.workshop.hostlibs import HostLibraries
from nixlib.workshop.runtime import loader_name, runtime_files


@cache
def shell_tree() -> Directory:
    """`sh` and what it needs."""
    sh = Path("/bin/sh").resolve()
    loader = loader_name(current_system())
    files = HostLibraries(sh).closure(read_elf(sh.read_bytes()).needed)
    files = {**files, loader: runtime_files(current_system(), ())[loader], "sh": sh}
    return tree_of({n: Regular.of(p.read_bytes(), executable=True) for n, p in files.items()})


def shell_build(
    store: Store, script: str, *, name: str = "built", sources: Collection[StorePath] = ()
) -> Derivation:
    """A derivation that runs `script`, which has `$out` and no programs but what `sh` has built in."""
    shell = store.add_tree("sh", shell_tree()).path
    place = shell.in_dir(store.store_dir)
    return Derivation(
        name=name,
        system=current_system(),
        builder=f"{place}/{loader_name(current_system())}",
        args=("--library-path", place, f"{place}/sh", "-euc", script),
        sources=frozenset((shell, *sources)),
    )


def running(word: str) -> list[int]:
    """The processes of this machine that have `word` in their command line, ours left out."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            try:
                line = (folder / "cmdline").read_bytes()
            except OSError:
                continue
            if word.encode() in line:
                found.append(int(folder.name))
    return found


def gone(word: str, seconds: float = 10) -> bool:
    """Whether none of those is left, soon."""
    deadline = time.monotonic() + seconds
    while running(word):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
