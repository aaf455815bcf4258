"""Checks of the disks that the store, the state and the cache are on."""

from __future__ import annotations

import errno
import os
import shlex
import tempfile
from pathlib import Path

from nixenv.doctor.finding import Finding, Surroundings
from nixenv.notebook.formatting import format_bytes

FULL = 100_000_000
"""Bytes: less free space than this does not hold a small environment (Python alone is 80 MB)."""

LOW = 2_000_000_000
"""Bytes: a scientific environment is about half of this, and its downloads pass through memory or here."""


def check_store_disk(around: Surroundings) -> tuple[Finding, ...]:
    """Whether there is room for store objects, and whether the disk can be written."""
    location = around.location
    # A mounted `/nix/store` is read-only by design on NixOS; Nix's database beside it never is.
    if _is_read_only(location.state_dir):
        return (
            Finding(
                "store-disk",
                "problem",
                f"the disk of `{location.state_dir}` is mounted read-only",
                "nothing can be added to the store; environments that are there still start",
                f"sudo mount -o remount,rw {shlex.quote(str(_mount_point(location.state_dir)))}",
            ),
        )
    return (_room("store-disk", location.physical_dir, "nixenv gc && nix-collect-garbage"),)


def check_folders(around: Surroundings) -> tuple[Finding, ...]:
    """Whether the folders for state and cache can be written; a file is made in each, and removed."""
    settings = around.settings
    return (
        _check_folder("state-folder", settings.state_dir, "NIXENV_STATE_DIR"),
        _check_folder("cache-folder", settings.cache_dir, "NIXENV_CACHE_DIR"),
    )


def _check_folder(name: str, folder: Path, variable: str) -> Finding:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"x" * 4096)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return Finding(
                name,
                "problem",
                f"there is no room for `{folder}`",
                "roots and bytecode are kept there",
                f"df -h {shlex.quote(str(_existing(folder)))}",
            )
        return Finding(
            name,
            "problem",
            f"`{folder}` cannot be written: {(error.strerror or str(error)).lower()}",
            "roots and bytecode are kept there",
            f"export {variable}=$HOME/.nixenv",
        )
    return _room(name, folder, "nixenv gc --older-than 30d")


def _room(name: str, place: Path, command: str) -> Finding:
    status = os.statvfs(_existing(place))
    free = status.f_bavail * status.f_frsize
    # A file system that counts no inodes (btrfs) says 0 of 0.
    no_inodes = status.f_files > 0 and status.f_favail == 0
    if free < FULL or no_inodes:
        what = "no inodes are" if no_inodes else f"{format_bytes(free)} are"
        return Finding(name, "problem", f"the disk of `{place}` is full: {what} free", "", command)
    if free < LOW:
        return Finding(
            name,
            "warning",
            f"{format_bytes(free)} are free for `{place}`",
            "an environment for data science takes about 1 GB",
            command,
        )
    return Finding(name, "ok", f"{format_bytes(free)} are free for `{place}`")


def _is_read_only(path: Path) -> bool:
    return bool(os.statvfs(_existing(path)).f_flag & os.ST_RDONLY)


def _existing(path: Path) -> Path:
    """`path`, or the nearest folder above it that is there."""
    return next(place for place in (path, *path.parents) if place.exists())


def _mount_point(path: Path) -> Path:
    return next(place for place in (_existing(path), *_existing(path).parents) if place.is_mount())
