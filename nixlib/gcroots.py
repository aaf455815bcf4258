"""GC roots: links that keep a store object, and what it needs, from Nix's collector.

A root is two things at once: something the *collector* sees, which must name the logical store path,
and something *we* can look through on the disk, which must lead to the physical one. In an ordinary
store one link is both. In a chroot store the two differ, so there are two links.

`lstat` of a link says nothing: a home can outlive a store (containers), and a link then dangles.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_PREFIX = "nixenv-"


def is_live(link: Path, probe: str = "bin/python") -> bool:
    """Whether what `link` leads to is there; one `stat`, through every link on the way.

    Args:
        link: What `add_root` gave.
        probe: A file that the store object must hold.
    """
    return (link / probe).exists()


def direct_root(state_dir: Path, user: str, link: Path) -> Path:
    """Where the collector finds the root that stands for `link`; the same each time.

    Nix manual, "Garbage Collector Roots": `gcroots/per-user/<user>` is the user's own.
    """
    place = os.path.abspath(link)  # noqa: PTH100  # `resolve` would follow the link itself
    mark = hashlib.sha256(os.fsencode(place)).hexdigest()[:16]
    return state_dir / "gcroots" / "per-user" / user / f"{_PREFIX}{mark}"


def add_root(
    link: Path,
    *,
    physical: Path,
    logical: str,
    state_dir: Path,
    user: str,
    register: Callable[[str], None],
) -> Path:
    """Make `link` lead to a store object and keep the collector from it.

    Directly where this user may write to the store's own `gcroots`, because such a root outlives a
    home that is not mounted when the collector runs; else indirectly. Replaces what `link` was, and
    never leaves it without a target.

    Args:
        link: The link to make; its directory is made too.
        physical: Where the object lies on the disk.
        logical: Its store path as Nix spells it.
        state_dir: The store's state directory, on the disk.
        user: Whose roots these are.
        register: Tells the daemon of an indirect root, by the absolute path of its link.

    Returns:
        `link`, absolute.
    """
    link = Path(os.path.abspath(link))  # noqa: PTH100
    link.parent.mkdir(parents=True, exist_ok=True)
    root = direct_root(state_dir, user, link)
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        _point(root, logical)
    except OSError:
        _add_indirect(link, physical, logical, register)
    else:
        _indirect_link(link).unlink(missing_ok=True)
    _point(link, str(physical))
    return link


def remove_root(link: Path, *, state_dir: Path, user: str) -> None:
    """Let the collector have what `link` kept; removes every link that `add_root` made."""
    link.unlink(missing_ok=True)
    _indirect_link(link).unlink(missing_ok=True)
    # Not ours to write means that it is not ours to have been made.
    with contextlib.suppress(OSError):
        direct_root(state_dir, user, link).unlink(missing_ok=True)


def _add_indirect(
    link: Path, physical: Path, logical: str, register: Callable[[str], None]
) -> None:
    root = link if str(physical) == logical else _indirect_link(link)
    _point(root, logical)
    try:
        register(str(root))
    except BaseException:
        # A link without a root would be trusted until the collector has been.
        root.unlink(missing_ok=True)
        raise


def _indirect_link(link: Path) -> Path:
    return link.with_name(f".{link.name}.gcroot")


def _point(link: Path, target: str) -> None:
    """Make or change a symbolic link in one step, whoever else does the same."""
    if os.path.islink(link) and os.readlink(link) == target:  # noqa: PTH114, PTH115
        return
    fresh = link.with_name(f".{link.name}.{secrets.token_hex(6)}")
    fresh.symlink_to(target)
    try:
        fresh.replace(link)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise
