"""What an environment has for native libraries that its Python must load itself (pure).

Links in `lib/nixenv-libraries`, in the order of loading, and the module that loads them. An environment without
such libraries has none of this, so its bytes are what they always were.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nixlib.composition.builtin import builtin_source
from nixlib.storepath import StorePath
from nixlib.tree import Node, Regular, Symlink

__all__ = ["FOLDER", "Library", "library_links", "library_loader"]

FOLDER = "nixenv-libraries"
"""Below `lib`."""

# After the file that settles where bytecode goes, before those of packages, which may import what needs these.
_HOOK = Regular.of(b"import _nixenv_libraries; _nixenv_libraries.load()\n")


@dataclass(frozen=True, slots=True, order=True)
class Library:
    """A native library in the store.

    Attributes:
        soname: What others need it as, `libGL.so.1`.
        path: The store object that has it.
        inside: Where in that, `lib/libGL.so.1`.
    """

    soname: str
    path: StorePath
    inside: str


def library_links(libraries: Sequence[Library]) -> dict[str, Node]:
    """The entries of the folder."""
    return {
        f"{number:03}-{library.soname}": Symlink(f"../../../{library.path}/{library.inside}")
        for number, library in enumerate(libraries)
    }


def library_loader() -> dict[str, Node]:
    """What makes a Python load them; for `site-packages`."""
    return {
        "_nixenv_libraries.py": Regular.of(builtin_source("_nixenv_libraries.py")),
        "001_nixenv_libraries.pth": _HOOK,
    }
