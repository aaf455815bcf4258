"""The loader, glibc and what else a Python of ours expects of the system, as one store object.

A dynamically linked builder does not start in Nix's sandbox: there is no `/lib64/ld-linux…`. So this
machine's own is copied into the store, and builders are started by it. In an enclosure of our own the
same tree is `/lib` and `/lib64`, so that programs out of wheels start there by themselves.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

from nixlib.errors import StoreError
from nixlib.tree import Directory, Regular, Symlink, tree_of
from nixlib.workshop.hostlibs import HostLibraries

LOADERS: Final = {
    "x86_64-linux": "ld-linux-x86-64.so.2",
    "aarch64-linux": "ld-linux-aarch64.so.1",
}
"""Each system's loader: the name that the psABI gives it, without its folder."""

# What PEP 599 and PEP 600 let a manylinux program expect beside glibc's own, graphics left out.
_USUAL: Final = (
    *("libc.so.6", "libdl.so.2", "libm.so.6", "libpthread.so.0", "libresolv.so.2", "librt.so.1"),
    *("libutil.so.1", "libgcc_s.so.1", "libstdc++.so.6", "libz.so.1", "libexpat.so.1"),
    *("libcrypt.so.1", "libnsl.so.1", "libnss_files.so.2", "libatomic.so.1"),
)


def runtime_files(system: str, libraries: Collection[str]) -> Mapping[str, Path]:
    """The files of this machine that a runtime is made of, by name.

    Args:
        system: Nix's name of the machine.
        libraries: Sonames that are wanted beside the usual ones; those that are not here are left out,
            for modules that lack theirs say so when they are imported.

    Raises:
        StoreError: Nothing can be built on such a system.
    """
    name = loader_name(system)
    loader = next(
        (path for path in map(Path, (f"/lib64/{name}", f"/lib/{name}")) if path.exists()), None
    )
    if loader is None:
        raise StoreError(
            "nothing can be built on this machine: it has no dynamic loader in the usual place",
            details=(f"`/lib64/{name}` does not exist",),
            reason="loader",
        )
    found = HostLibraries(loader.resolve()).closure((*_USUAL, *libraries))
    return {**found, name: loader.resolve()}


def loader_name(system: str) -> str:
    """The file name of the loader of `system`.

    Raises:
        StoreError: Nothing can be built on such a system.
    """
    if system not in LOADERS:
        raise StoreError(
            f"nothing can be built on `{system}`",
            details=tuple(f"`{known}` can" for known in LOADERS),
            reason="system",
        )
    return LOADERS[system]


def runtime_tree(files: Mapping[str, Path]) -> Directory:
    """`lib` with these files, and the other names under which loaders look for it."""
    nodes = {f"lib/{name}": _file(path, name) for name, path in files.items()}
    # Debian's loader looks in `/lib/x86_64-linux-gnu`, Fedora's in `/lib64`.
    multiarch = [f"lib/{machine}-linux-gnu" for machine in ("x86_64", "aarch64")]
    return tree_of({**nodes, **{name: Symlink(".") for name in multiarch}, "lib64": Symlink("lib")})


def fingerprint(files: Mapping[str, Path]) -> str:
    """A digest that changes when any of the files does; by sizes and times."""
    digest = hashlib.sha256()
    for name, path in sorted(files.items()):
        status = path.stat()
        digest.update(f"{name}\0{path}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _file(path: Path, name: str) -> Regular:
    return Regular(
        path.stat().st_size,
        lambda: (path.read_bytes(),),
        executable=name in LOADERS.values(),
    )
