"""Namespaces of Linux, in which a test fills, hides or locks folders that nobody else sees."""

from __future__ import annotations

import os
import subprocess
from functools import cache

import pytest


def in_namespace(script: str, *, own_users: bool | None = None) -> list[str]:
    """A command prefix: `script` with mounts of its own, then the command.

    Args:
        script: Run by `sh -eu` first.
        own_users: In a user namespace, too; by default only where root is not at hand.

    The test is skipped where the machine allows no such namespace, as inside some containers.
    """
    own_users = os.geteuid() != 0 if own_users is None else own_users
    unshare = ["unshare", *(["--user", "--map-root-user"] if own_users else []), "--mount"]
    if told := _refusal(tuple(unshare)):
        pytest.skip(f"no namespaces here: {told}")
    return [*unshare, "sh", "-euc", f'{script}\nexec "$@"', "sh"]


@cache
def _refusal(unshare: tuple[str, ...]) -> str:
    # A mount, because some containers allow namespaces and forbid what makes them useful.
    argv = [*unshare, "mount", "-t", "tmpfs", "none", "/mnt"]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
    except OSError as error:
        return str(error)
    return "" if done.returncode == 0 else done.stderr.strip() or "unshare failed"
