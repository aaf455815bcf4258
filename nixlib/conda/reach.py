"""Which folders of a conda package cannot be one link into its store object (pure).

A folder that one package alone brings is one link in the prefix, which is what makes prefixes cheap. It
must not be where something inside is a file of the prefix itself (patched, or a program), and not where
something inside looks for what lies outside of the folder: glibc expands `$ORIGIN` to the path that a
library was opened by, links kept, but the kernel then resolves `..` physically (`nixlib.wheels.origin`).
From a real folder of links to files, `$ORIGIN/../..` leads to the prefix; from a linked folder, to this one
package's store object, where the neighbour's library is not.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator

_ORIGINS = ("$ORIGIN", "${ORIGIN}")

PREFIX = ""
"""What is looked for by a file that has to be the prefix's own: the prefix, which no folder is."""


def inside(path: str, folder: str) -> bool:
    """Whether `path` is `folder` or below it; everything is below the empty path."""
    return not folder or path == folder or path.startswith(f"{folder}/")


def joined(folder: str, relative: str) -> str | None:
    """The normal form of `relative` seen from `folder`; None where it leads out of the prefix."""
    if relative.startswith("/"):
        return None
    found = posixpath.normpath(posixpath.join(folder, relative))
    if found == ".." or found.startswith("../"):
        return None
    return "" if found == "." else found


def looked_for(path: str, run_path: Iterable[str]) -> Iterator[str]:
    """Folders of the prefix where a library at `path` looks for others, by its run-path."""
    folder = posixpath.dirname(path)
    for entry in run_path:
        for origin in _ORIGINS:
            if entry == origin or entry.startswith(f"{origin}/"):
                # What leads out of the prefix is as far away as can be.
                yield joined(folder, entry[len(origin) + 1 :] or ".") or PREFIX


def real_folders(path: str, goals: Iterable[str]) -> Iterator[str]:
    """The folders above `path` that must be real, as something at `path` looks for `goals`."""
    wanted = tuple(goals)
    folder = posixpath.dirname(path)
    while folder and not all(goal and inside(goal, folder) for goal in wanted):
        yield folder
        folder = posixpath.dirname(folder)
