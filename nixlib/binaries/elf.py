"""What the dynamic loader reads of an ELF file: the libraries it needs and where it looks for them (pure).

Only program headers are used, as the loader does; section headers may be stripped or lie. Every offset
is checked, so a hostile file costs no more than an honest one. On 2 to 3 ELF files a millisecond
pyelftools spends what this spends on a hundred, and wheels with hundreds of them are common.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from mmap import mmap

MAGIC = b"\x7fELF"

_IDENT = 16  # bytes of e_ident
# e_ident[EI_CLASS] and e_ident[EI_DATA] of the header.
_WIDE = {1: False, 2: True}
_ORDER = {1: "<", 2: ">"}
_PT_LOAD, _PT_DYNAMIC, _PT_INTERP = 1, 2, 3
_ET_EXEC = 2
_DT_FLAGS_1, _DF_1_PIE = 0x6FFFFFFB, 0x08000000
_DT_NULL, _DT_NEEDED, _DT_STRTAB, _DT_STRSZ, _DT_SONAME, _DT_RPATH, _DT_RUNPATH = (
    0,
    1,
    5,
    10,
    14,
    15,
    29,
)
_DT_VERNEED, _DT_VERNEEDNUM = 0x6FFFFFFE, 0x6FFFFFFF
# Linux Standard Base, "Symbol Versioning": vn_version, vn_cnt, vn_file, vn_aux, vn_next; and vna_hash,
# vna_flags, vna_other, vna_name, vna_next. The same in 32 and 64 bits.
_NEED, _VERSION = "HHIII", "IHHII"
_MAX_ENTRIES = 4096  # of the dynamic section; the largest seen in the wild has some 600
_MAX_TEXT = 4096  # PATH_MAX, for one name; run-paths may be longer
_MAX_RUN_PATH = 1 << 16


@dataclass(frozen=True, slots=True)
class Elf:
    """The dynamic section of a program or a shared library.

    Attributes:
        needed: Sonames that it links to, in the order in which the loader looks for them.
        run_path: Directories where it looks first, `$ORIGIN` not expanded; DT_RPATH where there
            is no DT_RUNPATH, as `ld.so(8)` says.
        soname: Its own name, or an empty text.
        versions: Versions of symbols that it needs, such as `GLIBC_2.34`.
        loader: The program that loads it, where it is one that the kernel starts; else an empty text.
    """

    needed: tuple[str, ...] = ()
    run_path: tuple[str, ...] = ()
    soname: str = ""
    versions: frozenset[str] = frozenset()
    loader: str = ""


def read_elf(data: bytes | mmap | memoryview) -> Elf | None:
    """The dynamic section of an ELF file.

    Returns:
        None for what no loader would take: no ELF, no dynamic section, or one that lies about itself.
    """
    try:
        return _read(data)
    except (struct.error, ValueError, OverflowError):
        # Out of bounds somewhere: a loader refuses such a file, so its run-path moves nothing.
        return None


def is_program(data: bytes | mmap | memoryview) -> bool:
    """Whether the kernel would start it: it names its loader, lies at a fixed address, or is a static PIE.

    What is started finds itself through `/proc/self/exe`, which has no links in it.
    """
    try:
        return _is_program(data)
    except (struct.error, ValueError, OverflowError):
        return False


def _is_program(data: bytes | mmap | memoryview) -> bool:
    if not _is_elf(data):
        return False
    wide, order = _WIDE[data[4]], _ORDER[data[5]]
    if struct.unpack_from(order + "H", data, _IDENT)[0] == _ET_EXEC:
        return True
    segments = list(_segments(data, order, wide=wide))
    if any(segment[0] == _PT_INTERP for segment in segments):
        return True
    dynamic = [segment for segment in segments if segment[0] == _PT_DYNAMIC][:1]
    return any(
        tag == _DT_FLAGS_1 and value & _DF_1_PIE
        for _, offset, _, size in dynamic
        for tag, value in _entries(data, order, offset, size, wide=wide)
    )


def _is_elf(data: bytes | mmap | memoryview) -> bool:
    return (
        len(data) >= _IDENT and bytes(data[:4]) == MAGIC and data[4] in _WIDE and data[5] in _ORDER
    )


def _read(data: bytes | mmap | memoryview) -> Elf | None:
    if not _is_elf(data):
        return None
    wide, order = _WIDE[data[4]], _ORDER[data[5]]
    segments = list(_segments(data, order, wide=wide))
    dynamic = next((s for s in segments if s[0] == _PT_DYNAMIC), None)
    if dynamic is None:
        return None
    entries = _entries(data, order, dynamic[1], dynamic[3], wide=wide)
    values = dict(reversed(entries))  # the first of a tag wins, as in the loader
    if _DT_STRTAB not in values:
        return None
    start = _file_offset(segments, values[_DT_STRTAB])
    end = min(start + values.get(_DT_STRSZ, 0), len(data))

    def text(offset: int, limit: int = _MAX_TEXT) -> str:
        if offset >= end - start:
            raise ValueError(offset)
        raw = bytes(data[start + offset : min(start + offset + limit, end)])
        return raw[: raw.index(b"\0")].decode("utf-8", "surrogateescape")

    run_path = values.get(_DT_RUNPATH, values.get(_DT_RPATH))
    return Elf(
        needed=tuple(text(value) for tag, value in entries if tag == _DT_NEEDED),
        run_path=()
        if run_path is None
        else tuple(filter(None, text(run_path, _MAX_RUN_PATH).split(":"))),
        soname=text(values[_DT_SONAME]) if _DT_SONAME in values else "",
        versions=frozenset(text(at) for at in _version_names(data, order, segments, values)),
        loader=_loader(data, segments),
    )


def _version_names(
    data: bytes | mmap | memoryview,
    order: str,
    segments: list[tuple[int, int, int, int]],
    values: dict[int, int],
) -> Iterator[int]:
    """Where in the string table the names of the versions are that a file needs."""
    if _DT_VERNEED not in values:
        return
    need, version = struct.Struct(order + _NEED), struct.Struct(order + _VERSION)
    at, left = _file_offset(segments, values[_DT_VERNEED]), _MAX_ENTRIES
    for _ in range(min(values.get(_DT_VERNEEDNUM, 0), _MAX_ENTRIES)):
        _, count, _, first, step = need.unpack_from(data, at)
        left -= count
        if left < 0:
            raise ValueError(count)
        inside = at + first
        for _ in range(count):
            *_, name, further = version.unpack_from(data, inside)
            yield name
            inside += further
        at += step


def _loader(data: bytes | mmap | memoryview, segments: list[tuple[int, int, int, int]]) -> str:
    for kind, offset, _, size in segments:
        if kind == _PT_INTERP:
            raw = bytes(data[offset : offset + min(size, _MAX_TEXT)])
            return raw.partition(b"\0")[0].decode("utf-8", "surrogateescape")
    return ""


def _segments(
    data: bytes | mmap | memoryview, order: str, *, wide: bool
) -> Iterator[tuple[int, int, int, int]]:
    """Type, file offset, address and size in the file of each program header."""
    if wide:
        (offset,) = struct.unpack_from(order + "Q", data, 32)
        size, count = struct.unpack_from(order + "HH", data, 54)
        header = struct.Struct(order + "IIQQQQ")
    else:
        (offset,) = struct.unpack_from(order + "I", data, 28)
        size, count = struct.unpack_from(order + "HH", data, 42)
        header = struct.Struct(order + "IIIII")
    if size < header.size:
        return
    for number in range(count):
        found = header.unpack_from(data, offset + number * size)
        if wide:
            yield found[0], found[2], found[3], found[5]
        else:
            yield found[0], found[1], found[2], found[4]


def _entries(
    data: bytes | mmap | memoryview, order: str, offset: int, size: int, *, wide: bool
) -> list[tuple[int, int]]:
    pair = struct.Struct(order + ("QQ" if wide else "II"))
    end = min(offset + min(size, _MAX_ENTRIES * pair.size), len(data))
    found: list[tuple[int, int]] = []
    for position in range(offset, end - pair.size + 1, pair.size):
        tag, value = pair.unpack_from(data, position)
        if tag == _DT_NULL:
            break
        found.append((tag, value))
    return found


def _file_offset(segments: list[tuple[int, int, int, int]], address: int) -> int:
    for kind, offset, start, size in segments:
        if kind == _PT_LOAD and start <= address < start + size:
            return address - start + offset
    raise ValueError(address)
