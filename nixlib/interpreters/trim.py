"""Which of an interpreter's files a notebook's environment has a use for (pure).

Dropped: what only tests Python or embeds it, what a package manager put beside it, and what holds the
path of one machine. The environment brings its own packages and scripts.
"""

from __future__ import annotations

import re
from typing import Final

_FOLDERS: Final = {"__pycache__", "idle_test", "site-packages", "dist-packages", "test", "tests"}
_FILES: Final = {
    "EXTERNALLY-MANAGED",  # PEP 668 is about the place that it was copied from
    "build-details.json",  # PEP 739: absolute paths of that place
    "sitecustomize.py",  # Debian's leads to /etc
    "usercustomize.py",
}
# `turtledemo` and `idlelib` stay: they are documented; `config-3.11-…` has the static library.
_CONFIG: Final = re.compile(r"config-\d")
_TESTING: Final = re.compile(r"(_test|_ctypes_test|_xxtestfuzz|xxlimited).*\.so")


def is_kept(path: str) -> bool:
    """Whether the file or folder at `path`, relative to `lib/python3.X`, belongs to the tree."""
    folder, _, name = path.rpartition("/")
    if name in _FOLDERS or _CONFIG.match(name) or name.endswith((".pyc", ".pyo")):
        return False
    if folder == "lib-dynload":
        return not _TESTING.fullmatch(name)
    return bool(folder) or name not in _FILES


def minor_of(version: str) -> str:
    """`3.11` of `3.11.7`, without loading anything."""
    return ".".join(version.split(".")[:2])
