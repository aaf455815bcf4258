"""A store on disk with a conda prefix in it, as the builder of prefixes leaves one."""

import sys
from dataclasses import dataclass
from pathlib import Path

from nixlib.composition.prefix import prefix_package
from nixlib.storepath import StorePath
from nixlib.testing.packages import write_object
from nixlib.tree import Regular, Symlink, tree_of

MINOR = f"{sys.version_info[0]}.{sys.version_info[1]}"
SITE = f"lib/python{MINOR}/site-packages"
PYTHON = StorePath("1" * 32, f"python-{MINOR}.0-h0")
TOOL = StorePath("2" * 32, "tool-1.0-h0")


def prefix_path(digit: str) -> StorePath:
    return StorePath(digit * 32, "conda-prefix")


@dataclass(frozen=True)
class CondaStore:
    """A folder with packages of conda, and prefixes of links to them."""

    folder: Path

    def __post_init__(self):
        library = f"lib/python{MINOR}"
        write_object(
            self.folder,
            PYTHON,
            tree_of({f"{library}/os.py": "", f"{library}/json/__init__.py": ""}),
        )
        files = {f"{SITE}/tool/__init__.py": "", f"{SITE}/tool/sub/a.py": "", "share/tool/x": "x"}
        write_object(self.folder, TOOL, tree_of(files))

    def prefix(self, digit: str, **more: object) -> StorePath:
        """A prefix of both; its own files are commands, and a module with its path in it."""
        path = prefix_path(digit)
        physical = self.folder / str(path)
        library = f"lib/python{MINOR}"
        script = Regular.of(f"#!{physical}/bin/python{MINOR}\nprint(1)\n".encode(), executable=True)
        files = {
            f"bin/python{MINOR}": Regular.of(b"\x7fELF", executable=True),
            "bin/python": Symlink(f"python{MINOR}"),
            "bin/run": script,
            "bin/also": Symlink("run"),
            "bin/shell": Regular.of(b"#!/bin/sh\n", executable=True),
            f"{library}/os.py": Symlink(f"../../../{PYTHON}/{library}/os.py"),
            f"{library}/json": Symlink(f"../../../{PYTHON}/{library}/json"),
            f"{library}/_sysconfigdata.py": f"prefix = {str(physical)!r}",
            f"{SITE}/tool/__init__.py": Symlink(f"../../../../../{TOOL}/{SITE}/tool/__init__.py"),
            f"{SITE}/tool/sub": Symlink(f"../../../../../{TOOL}/{SITE}/tool/sub"),
            "lib/libtool.so": Symlink("libtool.so.1"),
            "lib/libtool.so.1": "",
            f"lib/python{MINOR[:3]}": Symlink(f"python{MINOR}"),
            f"include/python{MINOR}/Python.h": "",
            "include/tool.h": "",
            "share/tool": Symlink(f"../../{TOOL}/share/tool"),
            **more,
        }
        write_object(self.folder, path, tree_of(files))
        return path

    def package(self, path: StorePath, version: str = f"{MINOR}.0"):
        """A prefix as composing takes it."""
        return prefix_package(
            path,
            self.folder / str(path),
            version=version,
            members=["python", "tool"],
            owner=lambda inside: "tool" if "tool" in inside else "python",
        )
