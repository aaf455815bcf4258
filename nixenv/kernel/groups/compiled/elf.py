"""What an ELF file says of itself: its SONAME, and which part of it the linker makes read-only."""

from __future__ import annotations

import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

PT_LOAD, PT_DYNAMIC, PT_GNU_RELRO = 1, 2, 0x6474E552
PF_X, PF_W = 1, 2
DT_STRTAB, DT_SONAME = 5, 14
SEGMENT = struct.Struct("<IIQQQQQ")
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
    return [(start, size) for kind, _, start, size in _in_memory(path) if kind == PT_GNU_RELRO]


def code_parts(path: str) -> list[tuple[int, int, bool]]:
    """Address and size of what is executed, and whether it is written to as well; few have slots in it."""
    return [
        (start, size, bool(flags & PF_W))
        for kind, flags, start, size in _in_memory(path)
        if kind == PT_LOAD and flags & PF_X
    ]


def _in_memory(path: str) -> list[tuple[int, int, int, int]]:
    """Kind, flags, address and size of each segment; none of a damaged file."""
    try:
        with open(path, "rb") as file:
            return [
                (kind, flags, start, size) for kind, flags, _, start, _, size in _segments(file)
            ]
    except BEYOND:
        return []


def _segments(file: BinaryIO) -> list[tuple[int, int, int, int, int, int]]:
    """Kind, flags, offset, address, size in the file and size in memory of each segment."""
    header = file.read(64)
    if header[:6] != b"\x7fELF\x02\x01":
        return []
    (table,) = struct.unpack_from("<Q", header, 32)
    size, count = struct.unpack_from("<HH", header, 54)
    file.seek(table)
    whole = file.read(size * count)
    found = []
    for index in range(count):
        kind, flags, offset, address, _, length, memory = SEGMENT.unpack_from(whole, index * size)
        found.append((kind, flags, offset, address, length, memory))
    return found


def _soname(file: BinaryIO) -> str | None:
    segments = _segments(file)
    dynamic = [(offset, length) for kind, _, offset, _, length, _ in segments if kind == PT_DYNAMIC]
    if not dynamic:
        return None
    offset, length = dynamic[-1]
    file.seek(offset)
    section = file.read(min(length // 16, ENTRIES) * 16)
    entries = dict(struct.iter_unpack("<QQ", section[: len(section) // 16 * 16]))
    if DT_SONAME not in entries or DT_STRTAB not in entries:
        return None
    place = entries[DT_STRTAB] + entries[DT_SONAME]
    for kind, _, offset, address, length, _ in segments:
        if kind == PT_LOAD and address <= place < address + length:
            file.seek(offset + place - address)
            return file.read(NAME).partition(b"\0")[0].decode()
    return None
