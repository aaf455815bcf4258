"""Which distributions differ between two environments, and which loaded modules stand in the way.

A module that is loaded keeps its code; putting another version of its package on `sys.path` would mix
the two in one process. So the running kernel moves into another environment only if every distribution
that differs is one that nothing was imported from.
"""

from __future__ import annotations

import csv
import os
import re
from dataclasses import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterable, Mapping, Sequence

METADATA_SUFFIX = ".dist-info"
STARTUP_IMPORT = re.compile(r"""(?:\bimport\s+|__import__\(\s*['"])(_\w+)""")


@dataclass(frozen=True)
class Distribution:
    """One installed distribution.

    Attributes:
        name: As in its metadata folder's name, with `_` as `-`, lower case.
        version: From there, too.
        folder: Its metadata folder's name.
        home: Where that folder really is: another store object is another distribution, even of the
            same version.
    """

    name: str
    version: str
    folder: str
    home: str


@dataclass(frozen=True)
class Difference:
    """A distribution that the new environment has in another version, in another build, or not at all.

    Attributes:
        before: The distribution in the old environment.
        after: The version in the new one; empty when it is gone.
    """

    before: Distribution
    after: str

    def __str__(self) -> str:
        old = f"`{self.before.name}` {self.before.version}"
        if not self.after:
            return f"{old} is removed"
        is_rebuilt = self.after == self.before.version
        return f"{old} becomes {'another build of ' if is_rebuilt else ''}{self.after}"


@dataclass(frozen=True)
class Obstacle:
    """A loaded module of a distribution that differs."""

    module: str
    difference: Difference


def distributions(site_packages: str) -> dict[str, Distribution]:
    """Every distribution in a site-packages folder, by name; about 20 µs each."""
    found = {}
    for entry in os.listdir(site_packages):
        if entry.endswith(METADATA_SUFFIX):
            name, _, version = entry[: -len(METADATA_SUFFIX)].rpartition("-")
            home = os.path.dirname(os.path.realpath(os.path.join(site_packages, entry, "METADATA")))
            key = name.replace("_", "-").lower()
            found[key] = Distribution(key, version, entry, home)
    return found


def differences(
    before: Mapping[str, Distribution], after: Mapping[str, Distribution]
) -> list[Difference]:
    """What is not the same distribution any more; new ones are no difference."""
    return [
        Difference(old, after[name].version if name in after else "")
        for name, old in sorted(before.items())
        if name not in after or after[name].home != old.home
    ]


def obstacles(
    found: Iterable[Difference],
    site_packages: str,
    roots: Sequence[str],
    modules: Mapping[str, object],
) -> list[Obstacle]:
    """For each distribution that differs, the shortest name of a module loaded from it.

    Args:
        found: From `differences`.
        site_packages: The old environment's, where the file lists are read.
        roots: Every site-packages folder that this process imported from: after it moved into another
            environment, modules from the first are still there.
        modules: `sys.modules`.
    """
    changed = list(found)
    if not changed:
        return []
    loaded = _loaded_files(roots, modules)
    stand = []
    for difference in changed:
        files = _files(os.path.join(site_packages, difference.before.folder))
        hooks = _hooks(site_packages, files)
        names = [name for name, file in loaded.items() if file in files and name not in hooks]
        if names:
            stand.append(Obstacle(min(names, key=lambda name: (name.count("."), name)), difference))
    return stand


def _loaded_files(roots: Sequence[str], modules: Mapping[str, object]) -> dict[str, str]:
    """Module name → path relative to the site-packages folder that it was loaded from."""
    prefixes = tuple(root + os.sep for root in roots)
    found = {}
    for name, module in list(modules.items()):
        file = _file_of(module)
        for prefix in prefixes:
            if file.startswith(prefix):
                found[name] = file[len(prefix) :].replace(os.sep, "/")
                break
    return found


def _file_of(module: object) -> str:
    # Not getattr: modules that load themselves on first touch (importlib.util.LazyLoader, six.moves)
    # would do so.
    try:
        file = object.__getattribute__(module, "__dict__").get("__file__")
    except AttributeError:
        return ""
    return file if isinstance(file, str) else ""


def _hooks(site_packages: str, files: Iterable[str]) -> set[str]:
    """Private modules that a distribution's own `.pth` files load when Python starts.

    `_distutils_hack` is in every process whose environment has setuptools, whether or not anybody uses
    it: such a shim looks its package up when it is needed, and must not forbid every change of it.
    """
    found: set[str] = set()
    for file in files:
        if file.endswith(".pth") and "/" not in file:
            try:
                with open(os.path.join(site_packages, file), encoding="utf-8") as stream:
                    found.update(STARTUP_IMPORT.findall(stream.read()))
            except (OSError, UnicodeDecodeError):
                continue
    return found


def _files(metadata_folder: str) -> set[str]:
    """Paths of a distribution's files relative to site-packages, out of its RECORD."""
    try:
        with open(os.path.join(metadata_folder, "RECORD"), encoding="utf-8", newline="") as lines:
            return {row[0] for row in csv.reader(lines) if row}
    except FileNotFoundError:
        return set()
