"""The cache hit: from a spec and its lock to a running environment's Python, on every start.

Nothing here opens a socket, starts a process or asks the network, and nothing heavy is imported: two
digests, one stat through a GC root, one lock on a file.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from nixenv.environments import hold, record_use
from nixlib.environment import environment_key, find_environment
from nixlib.lock import Lock, check_fresh, parse_lock
from nixlib.settings import Settings
from nixlib.spec import Spec, parse_spec


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a document asks for: its spec, and its lock if it has one that answers the spec."""

    spec: Spec
    lock: Lock | None


@dataclass(frozen=True, slots=True)
class Hit:
    """An environment that is there.

    Attributes:
        environment: Its files, as this machine reaches them.
        lock: Digest of the lock that it answers.
        hold: Open descriptor that keeps it from `nixenv gc`, for the kernel to inherit; None when the
            state directory cannot be written.
    """

    environment: Path
    lock: str
    hold: int | None

    @property
    def python(self) -> Path:
        """The interpreter to start."""
        return self.environment / "bin" / "python"

    @property
    def descriptors(self) -> tuple[int, ...]:
        """What the kernel's process must inherit."""
        return () if self.hold is None else (self.hold,)

    def release(self) -> None:
        """Close this process's share of the hold."""
        if self.hold is not None:
            os.close(self.hold)


def parse_wanted(value: object, *, notebook: str = "") -> Wanted:
    """Spec and lock out of the value of `metadata["nixenv"]`.

    Raises:
        SpecError: It is not a spec.
        LockError: Its lock is damaged, of a newer format, or answers another spec.
    """
    spec = parse_spec(value)
    found = value.get("lock") if isinstance(value, dict) else None
    if found is None:
        return Wanted(spec, None)
    lock = parse_lock(found)
    check_fresh(lock, spec, notebook=notebook)
    return Wanted(spec, lock)


def find_hit(lock: Lock, settings: Settings, user: Path | None) -> Hit | None:
    """The environment of `lock` when it is there already; recorded as used by notebook `user` now.

    Takes the hold before it looks, so that a collector cannot remove what was just seen.
    """
    root = environment_key(lock, settings)
    try:
        descriptor = hold(settings.state_dir, root)
    except OSError:
        descriptor = None
    environment = find_environment(lock, settings)
    if environment is None:
        if descriptor is not None:
            os.close(descriptor)
        return None
    if user is not None:
        record_use(settings.state_dir, root, user)
    return Hit(environment.path, lock.digest, descriptor)
