"""The environment: one store path that a kernel starts from, found again by a link that a stat looks through."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from nixlib.composition.places import GROUPS, GROUPS_FILE
from nixlib.lock import Lock
from nixlib.platforms import current_system, host_glibc
from nixlib.settings import Settings


@dataclass(frozen=True)
class Environment:
    """A finished environment on this machine.

    Attributes:
        path: Where its files are: the store path itself, or below a chroot store's root.
        warnings: What the user should know of it; only from the realisation that made it.
    """

    path: Path
    warnings: tuple[str, ...] = ()

    @property
    def python(self) -> Path:
        """The program that a kernel is started with."""
        return self.path / "bin" / "python"


def groups_folder(environment: Path) -> Path | None:
    """Where an environment describes its private groups; None for one without, which costs a `stat`.

    A package may bring files of that name. They are links, as all that packages bring, or behind one.
    """
    file = environment / GROUPS / GROUPS_FILE
    try:
        is_own = file.resolve(strict=True) == environment.resolve() / GROUPS / GROUPS_FILE
    except OSError:
        return None
    return file.parent if is_own else None


def process_environments(environment: Path) -> dict[str, Path]:
    """The environments of private groups that have a process of their own, by the groups' names."""
    folder = groups_folder(environment)
    links = sorted(folder.iterdir()) if folder else []
    return {
        link.name: environment.parent / link.readlink().name
        for link in links
        if link.is_symlink() and (link / "pyvenv.cfg").is_file()
    }


def environment_key(lock: Lock, settings: Settings) -> str:
    """What decides which environment a lock gives here: the lock, this machine, the store.

    glibc is part of it because the best wheel depends on it, and one home may serve several machines.
    """
    facts = (lock.digest, current_system(), repr(host_glibc()), store_uri(settings))
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:32]


def store_uri(settings: Settings) -> str:
    """The store that is meant: the setting, else `NIX_REMOTE`, else empty for the machine's own."""
    return settings.store or os.environ.get("NIX_REMOTE", "")


def environment_link(lock: Lock, settings: Settings) -> Path:
    """The link of this lock's environment, whether it exists or not."""
    return settings.environments_dir / environment_key(lock, settings)


def find_environment(lock: Lock, settings: Settings) -> Environment | None:
    """The environment if it is there already: one `stat` and one `readlink`, nothing else.

    The stat looks through the link to the interpreter itself, because a link alone may dangle: the
    store can have been collected, or replaced under a home that outlives it.
    """
    link = environment_link(lock, settings)
    try:
        (link / "bin" / "python").stat()
        return Environment(link.readlink())
    except OSError:
        return None
