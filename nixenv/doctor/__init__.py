"""What can be wrong on a machine, found by trying: one function per check, none of them changes anything."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from nixenv.doctor.disk import check_folders, check_store_disk
from nixenv.doctor.finding import Finding, Surroundings
from nixenv.doctor.jupyter import check_jupyter
from nixenv.doctor.machine import check_bytecode, check_namespaces
from nixenv.doctor.network import check_registries
from nixenv.doctor.nix import check_daemon, check_nix, check_sandbox, check_store

__all__ = ["CHECKS", "Finding", "Surroundings", "examine"]

Check = Callable[[Surroundings], tuple[Finding, ...]]

CHECKS: tuple[Check, ...] = (
    check_nix,
    check_daemon,
    check_store,
    check_store_disk,
    check_folders,
    check_sandbox,
    check_namespaces,
    check_jupyter,
    check_registries,
    check_bytecode,
)


def examine(around: Surroundings) -> Iterator[Finding]:
    """Every finding, in the order of `CHECKS`."""
    for check in CHECKS:
        yield from check(around)
