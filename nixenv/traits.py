"""Every setting as a trait: its type, its help, and what it may be in a file or a variable."""

from __future__ import annotations

import difflib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from traitlets import CInt, Float, List, TraitError, Unicode
from traitlets.config import Config, Configurable

from nixenv.errors import UsageError

if TYPE_CHECKING:
    from nixenv.config import Setting

_FOLDERS = ("cache_dir", "state_dir")


class Nixenv(Configurable):
    """Settings of the engine and of the kernels' start; the fields of `nixenv.config.Configuration`."""

    cache_dir = Unicode(help="Folder for what can be made again: bytecode, metadata.").tag(
        config=True
    )
    state_dir = Unicode(help="Folder for what must be kept: roots, the ledger.").tag(config=True)
    store = Unicode(
        None,
        allow_none=True,
        help="Nix store: a folder (chroot store), `daemon` or `unix://SOCKET`; else as `NIX_REMOTE` says.",
    ).tag(config=True)
    connections = CInt(
        2, min=1, max=64, help="Daemon connections that import at the same time."
    ).tag(config=True)
    downloads = CInt(32, min=1, max=256, help="Downloads at the same time.").tag(config=True)
    memory = CInt(
        1 << 30, min=1 << 20, help="Bytes of downloaded files held in memory at most."
    ).tag(config=True)
    python_mirror = Unicode(help="URL of a mirror of python-build-standalone's releases.").tag(
        config=True
    )
    conda_alias = Unicode(help="URL below which conda channels are that only have a name.").tag(
        config=True
    )
    conda_mirrors = List(
        Unicode(), help="`URL=MIRROR` for conda channels that are to be had elsewhere."
    ).tag(config=True)
    conda_names = Unicode(
        help="URL of the JSON that says what PyPI calls the packages of conda-forge; empty for none."
    ).tag(config=True)
    torch_indexes = Unicode(
        help="URL below which PyTorch's indexes of wheels are, one for each choice of CUDA."
    ).tag(config=True)
    caches = List(Unicode(), help="Binary caches that nixenv reads itself, by URL.").tag(
        config=True
    )
    trusted_notebooks = List(
        Unicode(), help="Folders and notebooks whose store hashes you believe."
    ).tag(config=True)
    grace_days = CInt(
        180,
        min=0,
        max=36500,
        help="Days after a pin's upload that its dependencies may still be of.",
    ).tag(config=True)
    timeout = Float(
        30.0, min=0.1, max=3600.0, help="Seconds without a byte until a server counts as silent."
    ).tag(config=True)
    repositories = Unicode(
        help="URL below which `OWNER/REPOSITORY/archive/REVISION.tar.gz` is, for nixpkgs and others."
    ).tag(config=True)
    nixpkgs = Unicode(
        help="`OWNER/REPOSITORY/BRANCH` that `nixpkgs#…` means; empty for the newest that Nix here evaluates."
    ).tag(config=True)
    patience = Float(
        30.0,
        min=0.0,
        max=86400.0,
        help="Seconds that a server's kernel start waits for a build; after that the kernel is there at once "
        "and its first cell shows the build.",
    ).tag(config=True)


def checked_value(found: Setting, names: Sequence[str]) -> Any:
    """The value of `found` as `Settings` wants it.

    Raises:
        UsageError: There is no such setting, or it cannot have this value; names the file or variable.
    """
    if found.name not in names:
        near = difflib.get_close_matches(found.name, names, n=1)
        raise UsageError(
            f"`{found.name}` in `{found.source}` is not a setting",
            details=(f"settings: {', '.join(names)}",),
            hint=f"did you mean `{near[0]}`?" if near else "",
            key=found.name,
        )
    try:
        value = getattr(Nixenv(**{found.name: _native(found)}), found.name)
    except (TraitError, ValueError) as error:
        raise UsageError(
            f"`{found.name}` cannot be {found.value!r}, as `{found.source}` says",
            details=(Nixenv.class_traits()[found.name].help, *_range(found.name)),
            key=found.name,
            found=found.value,
        ) from error
    if found.name in _FOLDERS:
        return _absolute(found, value)
    return tuple(value) if isinstance(value, list) else value


def _range(name: str) -> tuple[str, ...]:
    """From where to where a number may be, for a message."""
    trait = Nixenv.class_traits()[name]
    least, most = getattr(trait, "min", None), getattr(trait, "max", None)
    if least is None:
        return ()
    return (f"from {least} to {most}" if most is not None else f"{least} or more",)


def _native(found: Setting) -> Any:
    """A variable's text as the trait's type: lists as JSON, or separated by spaces; numbers as typed."""
    trait, value = Nixenv.class_traits()[found.name], found.value
    if not isinstance(value, str):
        return value
    if isinstance(trait, List):
        return json.loads(value) if value.startswith("[") else value.split()
    return float(value) if isinstance(trait, Float) else value


def _absolute(found: Setting, value: str) -> Path:
    path = Path(value).expanduser()
    if not path.is_absolute():
        raise UsageError(
            f"`{found.name}` must be an absolute path, not `{value}`, as `{found.source}` says",
            key=found.name,
            found=value,
        )
    return path


def set_traits(config: Config) -> dict[str, Any]:
    """What a Jupyter application's configuration says about nixenv, for `NIXENV_TRAITS`."""
    return dict(config.get("Nixenv", {}))
