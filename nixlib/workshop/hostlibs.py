"""Which file this machine's loader takes for a soname, and what that file needs in turn.

`ld.so(8)`: the cache first, then the default folders. The cache's format is glibc's own
(`sysdeps/generic/dl-cache.h`, since 2.2); a machine without one has its libraries in the folders.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from nixlib.binaries.elf import MAGIC, read_elf

_CACHE: Final = Path("/etc/ld.so.cache")
_CACHE_MAGIC: Final = b"glibc-ld.so.cache1.1"
_CACHE_HEADER: Final = 48
_ENTRY: Final = struct.Struct("<iIIIQ")
_FOLDERS: Final = ("lib/*-linux-gnu", "usr/lib/*-linux-gnu", "lib64", "usr/lib64", "lib", "usr/lib")
_IDENT: Final = 20  # up to and with e_machine


class HostLibraries:
    """The libraries of this machine that fit one program.

    Args:
        like: A program or library of the machine; only what has its class and machine fits.
        root: The file system to look in.
    """

    def __init__(self, like: Path, *, root: Path = Path("/")) -> None:
        self._kind = _kind(like)
        self._cached = dict(_read_cache(root / _CACHE.relative_to("/")))
        self._folders = [folder for pattern in _FOLDERS for folder in sorted(root.glob(pattern))]

    def find(self, soname: str) -> Path | None:
        """Where the loader would find it, links followed."""
        known = self._cached.get(soname, [])
        for path in (*map(Path, known), *(folder / soname for folder in self._folders)):
            if self._kind and _kind(path) == self._kind:
                return path.resolve()
        return None

    def closure(self, sonames: Iterable[str]) -> Mapping[str, Path]:
        """The files of `sonames` and of all that they need, by soname; what is not here is left out."""
        found: dict[str, Path] = {}
        waiting = set(sonames)
        seen: set[str] = set()
        while waiting:
            soname = waiting.pop()
            seen.add(soname)
            path = self.find(soname)
            if path is not None:
                found[soname] = path
                elf = read_elf(path.read_bytes())
                waiting.update(set(elf.needed) - seen if elf else ())
        return dict(sorted(found.items()))


def _kind(path: Path) -> bytes:
    """Class, byte order and machine of an ELF file; empty for any other."""
    try:
        with path.open("rb") as file:
            head = file.read(_IDENT)
    except OSError:
        return b""
    return head[4:6] + head[18:20] if head[:4] == MAGIC else b""


def _read_cache(path: Path) -> Iterator[tuple[str, list[str]]]:
    try:
        data = path.read_bytes()
    except OSError:
        return
    start = data.find(_CACHE_MAGIC)  # an older format may stand before it
    if start < 0:
        return
    found: dict[str, list[str]] = {}
    count = int.from_bytes(data[start + 20 : start + 24], "little")
    for number in range(count):
        try:
            entry = _ENTRY.unpack_from(data, start + _CACHE_HEADER + number * _ENTRY.size)
        except struct.error:
            break
        soname, place = (_text(data, start + offset) for offset in entry[1:3])
        if entry[4]:  # for some processors only; the plain one runs on all
            continue
        if soname and place.startswith("/"):
            found.setdefault(soname, []).append(place)
    yield from found.items()


def _text(data: bytes, start: int) -> str:
    return data[start : max(start, data.find(b"\0", start))].decode("utf-8", "replace")
