"""Checks of the machine: namespaces, and variables that would slow every kernel down."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from nixenv.doctor.finding import Finding, Surroundings

# CLONE_NEWUSER and CLONE_NEWNS (linux/sched.h), MS_REC and MS_PRIVATE (linux/mount.h): Ubuntu's AppArmor
# allows the first and then takes from it what it is good for. In a child: nobody comes back from it.
_UNSHARE = """
import ctypes, sys
libc = ctypes.CDLL(None)
sys.exit(libc.unshare(0x10020000) or libc.mount(b"none", b"/", None, 0x44000, None))
"""

_SWITCHES = (
    # (file, value that forbids, command that allows)
    ("/proc/sys/user/max_user_namespaces", "0", "sudo sysctl -w user.max_user_namespaces=15000"),
    (
        "/proc/sys/kernel/unprivileged_userns_clone",
        "0",
        "sudo sysctl -w kernel.unprivileged_userns_clone=1",
    ),
    (
        "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
        "1",
        "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
    ),
)


def check_namespaces(around: Surroundings) -> tuple[Finding, ...]:
    """Whether a process may make a user namespace, which Nix needs for its sandbox and `nix run`."""
    del around
    if not sys.platform.startswith("linux"):
        return ()
    if has_namespaces():
        return (Finding("namespaces", "ok", "user namespaces can be made"),)
    command = next((fix for file, bad, fix in _SWITCHES if _content(file) == bad), "")
    return (
        Finding(
            "namespaces",
            "warning",
            "unprivileged user namespaces are off",
            "kernels do not need them; whatever is built from source does, unless Nix's own sandbox is on"
            " (containers often forbid them: that is set where the container is started)",
            command,
        ),
    )


def has_namespaces() -> bool:
    """Whether this user's processes may make user namespaces and mount something in them."""
    answer = subprocess.run(  # noqa: PLW1510
        [sys.executable, "-I", "-S", "-c", _UNSHARE], capture_output=True, timeout=20
    )
    return answer.returncode == 0


def _content(file: str) -> str:
    try:
        return Path(file).read_text().strip()
    except OSError:
        return ""


def check_bytecode(around: Surroundings) -> tuple[Finding, ...]:
    """Whether the environment forbids Python to keep bytecode."""
    if not around.environ.get("PYTHONDONTWRITEBYTECODE"):
        return (Finding("bytecode", "ok", "Python may keep bytecode"),)
    return (
        Finding(
            "bytecode",
            "warning",
            "`PYTHONDONTWRITEBYTECODE` is set",
            "nixenv's kernels ignore it; every other Python compiles what it imports again, each time",
            "unset PYTHONDONTWRITEBYTECODE",
        ),
    )
