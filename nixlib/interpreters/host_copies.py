"""Copies of this machine's Pythons by their NAR hash, which is how a lock names them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from nixlib.errors import InterpreterError
from nixlib.interpreters.host_memory import HostMemory
from nixlib.interpreters.host_python import HostPython, find_hosts
from nixlib.interpreters.host_tree import HostCopy, fingerprint, host_tree
from nixlib.nar import nar_hash
from nixlib.settings import Settings
from nixlib.sri import sri
from nixlib.tree import Directory


@dataclass(frozen=True, slots=True)
class KnownCopy:
    """A Python of this machine, and what its copy is.

    Attributes:
        host: The original.
        nar: The SRI NAR hash of the copy.
        libraries: Sonames that the copy needs from the system.
    """

    host: HostPython
    nar: str
    libraries: tuple[str, ...]


def known_hosts(settings: Settings) -> list[HostPython]:
    """Every Python of this machine that can be copied, newest first."""
    return find_hosts(memory=_memory(settings))


def copies_of(
    version: str, settings: Settings, hosts: Collection[HostPython] | None = None
) -> list[KnownCopy]:
    """What the copy of each host of `version` is; those on PATH first.

    One that was hashed before, and whose files have not changed since, costs 20 ms; else 2 s.

    Raises:
        InterpreterError: There are hosts of `version`, and none can be copied.
    """
    found: list[KnownCopy] = []
    failures: list[InterpreterError] = []
    for host in known_hosts(settings) if hosts is None else hosts:
        if host.version == version:
            try:
                found.append(_known(host, settings))
            except InterpreterError as error:
                failures.append(error)
    if failures and not found:
        raise failures[0]
    return found


def tree_with_hash(version: str, nar: str, settings: Settings) -> Directory | None:
    """The copy of a host of `version` whose NAR hash is `nar`, when this machine has one."""
    try:
        copies = copies_of(version, settings)
    except InterpreterError:
        return None
    for host in [copy.host for copy in copies if copy.nar == nar]:
        # What is remembered may be wrong, after a change to us that forgot `RECIPE`. Hashing the tree
        # costs 60 ms, and then the user reads of another build and of the way out.
        key = fingerprint(host)
        tree = _copy(host, key, settings.cache_dir).tree
        if _remember(host, key, settings).nar == nar:
            return tree
    return None


def _known(host: HostPython, settings: Settings) -> KnownCopy:
    key = fingerprint(host)
    known = _memory(settings).recall(key)
    if known is None:
        return _remember(host, key, settings)
    return KnownCopy(host, known["nar"], tuple(known["libraries"]))


def _remember(host: HostPython, key: str, settings: Settings) -> KnownCopy:
    copy = _copy(host, key, settings.cache_dir)
    known = KnownCopy(host, sri(nar_hash(copy.tree)[0]), copy.libraries)
    _memory(settings).keep({key: {"nar": known.nar, "libraries": list(known.libraries)}})
    return known


@lru_cache(maxsize=1)
def _copy(host: HostPython, key: str, scratch: Path) -> HostCopy:
    """A copy of `host` as its files were at fingerprint `key`: locking and realising share one."""
    del key
    return host_tree(host, scratch=scratch)


def _memory(settings: Settings) -> HostMemory:
    return HostMemory(settings.state_dir / "hosts.json")
