"""Checks of Nix itself: is it there, does it let this user in, does it isolate builds."""

from __future__ import annotations

import grp
import os
import shutil
import socket
import subprocess
from pathlib import Path

from nixenv.doctor.finding import Finding, Surroundings
from nixenv.doctor.machine import has_namespaces
from nixlib.errors import NixError
from nixlib.storepath import StorePath

_PLACES = ("/nix/var/nix/profiles/default/bin", "/run/current-system/sw/bin")


def find_program(name: str, around: Surroundings) -> str | None:
    """A program of Nix, on PATH or where its installers put it."""
    home = Path(around.environ.get("HOME", "/")) / ".nix-profile/bin"
    path = os.pathsep.join((around.environ.get("PATH", os.defpath), *_PLACES, str(home)))
    return shutil.which(name, path=path)


def check_nix(around: Surroundings) -> tuple[Finding, ...]:
    """Whether there is a Nix, and which."""
    program = find_program("nix-daemon", around)
    if program is None:
        return (
            Finding(
                "nix",
                "problem",
                "there is no Nix on this machine",
                "environments are store objects, and only Nix keeps a store",
                _install_command(around),
            ),
        )
    answer = subprocess.run(  # noqa: PLW1510
        [program, "--version"], capture_output=True, text=True, timeout=20
    )
    version = answer.stdout.strip().rpartition(" ")[2]
    if answer.returncode or not version:
        why = (answer.stderr.strip().splitlines() or ["it printed nothing"])[-1]
        return (
            Finding(
                "nix", "problem", f"`{program}` does not run: {why}", "", _install_command(around)
            ),
        )
    return (Finding("nix", "ok", f"Nix {version}, `{program}`"),)


def _install_command(around: Surroundings) -> str:
    if shutil.which("apt-get", path=around.environ.get("PATH", os.defpath)):
        return "sudo apt-get install nix-bin"
    return "curl -L https://nixos.org/nix/install | sh -s -- --daemon"


def check_daemon(around: Surroundings) -> tuple[Finding, ...]:
    """Whether this user may talk to the daemon, where there is one and the settings mean it."""
    location = around.location
    if location.kind == "process":
        return (
            Finding(
                "daemon",
                "ok",
                f"no Nix daemon is needed: the store is in `{location.physical_dir}`",
            ),
        )
    refusal = _connect(location.socket)
    if refusal is None:
        return (Finding("daemon", "ok", f"the Nix daemon answers at `{location.socket}`"),)
    if isinstance(refusal, PermissionError):
        return (_closed_socket(Path(location.socket), around),)
    if location.kind == "auto" and os.access(location.state_dir, os.W_OK):
        return (Finding("daemon", "ok", "no Nix daemon is needed: this user may write the store"),)
    found = (
        "is not there" if isinstance(refusal, FileNotFoundError) else "is there, but nobody answers"
    )
    return (
        Finding(
            "daemon",
            "problem",
            f"the Nix daemon's socket `{location.socket}` {found}",
            "a user who may not write the store needs the daemon, or a store in a folder of their own:"
            " `NIXENV_STORE=$HOME/.local/share/nix/root`",
            "sudo systemctl start nix-daemon.socket",
        ),
    )


def _connect(path: str) -> OSError | None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        try:
            connection.connect(path)
        except OSError as error:
            return error
    return None


def _closed_socket(path: Path, around: Surroundings) -> Finding:
    group = _group_of(path)
    return Finding(
        "daemon",
        "problem",
        f"user `{around.user}` may not open the Nix daemon's socket `{path}`",
        f"it is for the group `{group}`; a new group counts from the next log-in on"
        " (and for a Jupyter server from its next start)",
        f"sudo usermod --append --groups {group} {around.user}",
    )


def _group_of(path: Path) -> str:
    """The group that may pass: the closed folder's on the way to the socket, else the socket's own."""
    for place in (path, *path.parents):
        try:
            status = place.stat()
        except OSError:
            continue
        try:
            return grp.getgrgid(status.st_gid).gr_name
        except KeyError:
            return str(status.st_gid)
    return "nix-users"


def check_store(around: Surroundings) -> tuple[Finding, ...]:
    """Whether the store answers when it is really asked."""
    from nixlib.store import open_store  # noqa: PLC0415 - only this check talks to it

    probe = StorePath("0" * 32, "nixenv-doctor")
    try:
        with open_store(around.settings.store, connections=1, env=around.environ) as store:
            store.query_valid_paths((probe,))
    except NixError as error:
        why = "; ".join(error.details)
        return (Finding("store", "problem", error.summary, why, error.hint.replace("`", "")),)
    return (Finding("store", "ok", f"the store in `{around.location.physical_dir}` answers"),)


def check_sandbox(around: Surroundings) -> tuple[Finding, ...]:
    """Whether builds from source are isolated; wheels need no build, so this can only warn.

    What is decisive is the probe that runs before the first of them; this only foretells it.
    """
    value = _setting("sandbox", around)
    if value is None:
        return (
            Finding(
                "sandbox", "ok", "whether Nix builds in a sandbox is unknown: this one does not say"
            ),
        )
    if value in ("true", "relaxed"):
        return (Finding("sandbox", "ok", f"Nix builds in a sandbox (`sandbox = {value}`)"),)
    if has_namespaces():
        what = f"builds from source make a sandbox of their own (Nix's is off: `sandbox = {value}`)"
        return (Finding("sandbox", "ok", what),)
    return (
        Finding(
            "sandbox",
            "warning",
            f"`sandbox = {value}` in Nix's settings",
            "and no user namespaces: whatever must be built from source would see this machine, and is"
            " not built; nothing is built for wheels",
            "echo 'sandbox = true' | sudo tee -a /etc/nix/nix.conf",
        ),
    )


def _setting(name: str, around: Surroundings) -> str | None:
    program = find_program("nix", around)
    if program is None:
        return None
    enable = ("--extra-experimental-features", "nix-command")
    # `config show` is `show-config` since Nix 2.19; the old name goes away in some forks.
    for words in (("config", "show"), ("show-config",)):
        answer = subprocess.run(  # noqa: PLW1510
            [program, *enable, *words],
            capture_output=True,
            text=True,
            timeout=20,
            env=dict(around.environ),
        )
        for line in answer.stdout.splitlines():
            key, _, value = line.partition(" = ")
            if key == name:
                return value.strip()
    return None
