"""What the dynamic loader of one Python finds by itself, and which C library it has.

A Python of a distribution, a standalone one and conda's are all loaded by the system's loader, which searches
the system's folders. One of nixpkgs is loaded by its own, which searches nothing but its own C library's.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from nixlib.binaries.libraries import missing_libraries
from nixlib.binaries.needed import elf_at
from nixlib.platforms import host_glibc
from nixlib.storepath import STORE_DIR

_VERSION = re.compile(rb"\0GLIBC_2\.(\d{1,3})(?=\0)")
_NEEDED = re.compile(r"GLIBC_2\.(\d{1,3})(\.\d+)?")
_MAX_LIBRARIES = 400


@dataclass(frozen=True)
class Loader:
    """The loader of one interpreter.

    Attributes:
        program: The interpreter's program.
        store_dir: The logical store directory.
        physical_dir: Where store objects lie on this machine.
    """

    program: Path
    store_dir: str = STORE_DIR
    physical_dir: Path = Path(STORE_DIR)

    @cached_property
    def folder(self) -> Path | None:
        """The one folder that it searches; None for the system's loader, which has a cache of many."""
        elf = elf_at(self.program)
        if elf is None or not elf.loader.startswith(f"{self.store_dir}/"):
            return None
        return self.place(elf.loader).resolve().parent

    def place(self, path: str) -> Path:
        """Where a path of the store is on this machine."""
        prefix = f"{self.store_dir}/"
        return (
            self.physical_dir / path.removeprefix(prefix) if path.startswith(prefix) else Path(path)
        )

    def finds(self, soname: str) -> bool:
        """Whether a package that needs `soname` gets it without anybody's help."""
        if (
            soname in self.loaded
            or (self.program.resolve().parent.parent / "lib" / soname).exists()
        ):
            return True
        if self.folder is not None:
            return (self.folder / soname).exists()
        return not missing_libraries([soname])

    @cached_property
    def loaded(self) -> frozenset[str]:
        """Sonames that are in every process of the interpreter: its own, and what they need."""
        return frozenset(self._closure(self.program))

    @cached_property
    def glibc(self) -> int | None:
        """The second number of its C library's version; None where it is not glibc, or not known."""
        if self.folder is None:
            version = host_glibc()
            return version[1] if version else None
        try:
            data = (self.folder / "libc.so.6").read_bytes()
        except OSError:
            return None
        return max((int(number) for number in _VERSION.findall(data)), default=None)

    def needed_glibc(self, library: Path) -> tuple[int, str]:
        """The newest glibc that a library or anything that it needs asks for, and which file does."""
        asked = [(0, library.name)]
        for path in [library, *self._closure(library).values()]:
            elf = elf_at(path)
            versions = (_NEEDED.fullmatch(version) for version in (elf.versions if elf else ()))
            asked += [(int(found[1]), path.name) for found in versions if found]
        return max(asked)

    def _closure(self, start: Path) -> dict[str, Path]:
        """What a file needs and its run-path finds, what that needs in turn, and so on."""
        found: dict[str, Path] = {}
        waiting = [start]
        while waiting and len(found) < _MAX_LIBRARIES:
            path = waiting.pop()
            elf = elf_at(path)
            for soname in elf.needed if elf else ():
                folders = [self._expand(entry, path) for entry in (elf.run_path if elf else ())]
                at = next((f / soname for f in folders if (f / soname).is_file()), None)
                if at is not None and soname not in found:
                    found[soname] = at.resolve()
                    waiting.append(found[soname])
        return found

    def _expand(self, entry: str, path: Path) -> Path:
        origin = entry.replace("${ORIGIN}", "$ORIGIN").replace(
            "$ORIGIN", str(path.resolve().parent)
        )
        return self.place(os.path.normpath(origin))
