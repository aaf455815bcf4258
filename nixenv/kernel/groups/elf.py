"""What an ELF file says of itself: its SONAME, and which part of it the linker makes read-only."""

from __future__ import annotations

import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

PT_LOAD, PT_DYNAMIC, PT_GNU_RELRO = 1, 2, 0x6474E552
DT_STRTAB, DT_SONAME = 5, 14
ENTRIES = 4096  # of a dynamic section; real ones have about 30
NAME = 256
BEYOND = (OSError, OverflowError, struct.error, UnicodeDecodeError)  # what damaged files lead to


def soname(path: str) -> str | None:
    """The name under which the dynamic linker knows a library; None if it has none.

    Files that are no 64-bit little-endian ELF libraries have none, nor have damaged ones.
    """
    try:
        with open(path, "rb") as file:
            return _soname(file)
    except BEYOND:
        return None


def read_only_part(path: str) -> list[tuple[int, int]]:
    """Address and size of what is read-only once a library's slots are filled."""
    try:
        with open(path, "rb") as file:
            return [
                (address, size)
                for kind, _, address, _, size in _segments(file)
                if kind == PT_GNU_RELRO
            ]
    except BEYOND:
        return []


def _segments(file: BinaryIO) -> list[tuple[int, int, int, int, int]]:
    """Kind, offset, address, size in the file and size in memory of each segment."""
    header = file.read(64)
    if header[:6] != b"\x7fELF\x02\x01":
        return []
    (table,) = struct.unpack_from("<Q", header, 32)
    size, count = struct.unpack_from("<HH", header, 54)
    found = []
    for index in range(count):
        file.seek(table + index * size)
        kind, _, offset, address, _, length, memory = struct.unpack("<IIQQQQQ", file.read(48))
        found.append((kind, offset, address, length, memory))
    return found


def _soname(file: BinaryIO) -> str | None:
    segments = _segments(file)
    dynamic = [(offset, length) for kind, offset, _, length, _ in segments if kind == PT_DYNAMIC]
    if not dynamic:
        return None
    offset, length = dynamic[-1]
    file.seek(offset)
    section = file.read(min(length // 16, ENTRIES) * 16)
    entries = dict(struct.iter_unpack("<QQ", section[: len(section) // 16 * 16]))
    if DT_SONAME not in entries or DT_STRTAB not in entries:
        return None
    place = entries[DT_STRTAB] + entries[DT_SONAME]
    for kind, offset, address, length, _ in segments:
        if kind == PT_LOAD and address <= place < address + length:
            file.seek(offset + place - address)
            return file.read(NAME).partition(b"\0")[0].decode()
    return None
