"""Rewriting where an ELF file looks for its libraries (pure, bytes to bytes).

`DT_RUNPATH` is changed in place where the new text fits over the old one. Where it does not, or where
there was none, the string table moves into a segment of its own at the end of the file, and a note
segment's header gives up its place to describe it; no other byte of the program moves, so no address in
it changes. Only 64-bit little-endian files exist on the systems that we know.

Format: System V ABI, chapters 4 and 5 ("Object Files", "Program Loading and Dynamic Linking").
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from nixlib.errors import InterpreterError

_PT_LOAD, _PT_DYNAMIC, _PT_NOTE = 1, 2, 4
_LARGEST_PAGE: Final = 2 << 20  # no architecture aligns loadable segments to more
_DT_NULL, _DT_STRTAB, _DT_SYMTAB, _DT_STRSZ, _DT_RPATH, _DT_RUNPATH = 0, 5, 6, 10, 15, 29
_SHT_STRTAB: Final = 3
_PHDR: Final = struct.Struct("<IIQQQQQQ")
_DYN: Final = struct.Struct("<qQ")
_SHDR: Final = struct.Struct("<IIQQQQIIQQ")
_SYMBOL: Final = struct.Struct("<I20x")
_IDENT: Final = b"\x7fELF\x02\x01"


@dataclass(frozen=True, slots=True)
class _Segment:
    """A program header, and where in the file it is."""

    header: int
    kind: int
    flags: int
    offset: int
    address: int
    file_size: int
    memory_size: int
    align: int


def is_elf(data: bytes) -> bool:
    """Whether these are the first bytes of a 64-bit little-endian ELF file."""
    return data[:6] == _IDENT


def rewrite_run_path(elf: bytes, directories: Sequence[str]) -> bytes:
    """`elf` with exactly `directories` as its `DT_RUNPATH`; none at all where they are empty.

    The old text is overwritten, so that the bytes tell nothing of where the file came from.

    Raises:
        InterpreterError: It is not a dynamically linked ELF file, or it has no room to change.
    """
    with _reading():
        image = _Image.of(elf)
        if image is None:
            if directories:
                raise InterpreterError("an ELF file without a dynamic section has no run-path")
            return elf
        return _rewritten(image, ":".join(directories).encode())


def _rewritten(image: _Image, wanted: bytes) -> bytes:
    data = bytearray(image.elf)
    spans = [image.span(value) for tag, value in image.entries if tag in (_DT_RPATH, _DT_RUNPATH)]
    spans = [span for span in spans if not image.is_shared(span)]
    for start, end in spans:
        data[start:end] = bytes(end - start)
    entries = [entry for entry in image.entries if entry[0] not in (_DT_RPATH, _DT_RUNPATH)]
    if not wanted:
        image.put_entries(data, entries)
        return bytes(data)
    room = next((span for span in spans if span[1] - span[0] >= len(wanted)), None)
    if room is None:
        return _with_moved_strings(image, data, entries, wanted)
    data[room[0] : room[0] + len(wanted)] = wanted
    image.put_entries(data, [*entries, (_DT_RUNPATH, room[0] - image.strings)])
    return bytes(data)


def _with_moved_strings(
    image: _Image, data: bytearray, entries: list[tuple[int, int]], wanted: bytes
) -> bytes:
    """Move the string table, longer by `wanted`, into a new segment behind everything."""
    loads = [segment for segment in image.segments if segment.kind == _PT_LOAD]
    notes = [s for s in image.segments if s.kind == _PT_NOTE and s.header > loads[-1].header]
    if not notes:  # the loader wants loadable segments in the order of their addresses
        raise InterpreterError("an ELF file has no room for a run-path: it has no note segment")
    page = max(segment.align for segment in loads)
    if page > _LARGEST_PAGE:  # the file would be filled up to it
        raise InterpreterError(f"an ELF file asks for pages of {page} bytes")
    address = _round_up(max(s.address + s.memory_size for s in loads), page)
    offset = _round_up(len(data), page)
    table = bytes(data[image.strings : image.strings + image.strings_size]) + wanted + b"\0"
    data += bytes(offset - len(data)) + table
    _PHDR.pack_into(
        data, notes[-1].header, _PT_LOAD, 4, offset, address, address, len(table), len(table), page
    )
    moved = {_DT_STRTAB: address, _DT_STRSZ: len(table)}
    entries = [(tag, moved.get(tag, value)) for tag, value in entries]
    image.put_entries(data, [*entries, (_DT_RUNPATH, image.strings_size)])
    _move_section(data, image, (address, offset, len(table)))
    return bytes(data)


def _move_section(data: bytearray, image: _Image, place: tuple[int, int, int]) -> None:
    """Tell linkers, which read sections and not segments, where the string table is now."""
    (table,) = struct.unpack_from("<Q", data, 40)
    size, count = struct.unpack_from("<HH", data, 58)
    if table == 0 or size != _SHDR.size:
        return
    for at in range(table, table + count * size, size):
        name, kind, flags, address, _, _, *rest = _SHDR.unpack_from(data, at)
        if kind == _SHT_STRTAB and address == image.strings_address:
            _SHDR.pack_into(data, at, name, kind, flags, *place, *rest)


def _round_up(number: int, step: int) -> int:
    return -(-number // step) * step


@dataclass(frozen=True)
class _Image:
    """An ELF file with its tables found."""

    elf: bytes
    segments: tuple[_Segment, ...]
    dynamic: _Segment
    entries: tuple[tuple[int, int], ...]  # tag and value, up to the first DT_NULL
    strings: int  # offset of the string table in the file
    strings_address: int
    strings_size: int

    @classmethod
    def of(cls, elf: bytes) -> _Image | None:
        if not is_elf(elf):
            raise InterpreterError("not a 64-bit little-endian ELF file")
        segments = tuple(_segments(elf))
        dynamic = next((s for s in segments if s.kind == _PT_DYNAMIC), None)
        if dynamic is None:
            return None
        if dynamic.offset + dynamic.file_size > len(
            elf
        ):  # what is written there is filled up to it
            raise InterpreterError("an ELF file ends before its dynamic section does")
        table = elf[dynamic.offset : dynamic.offset + dynamic.file_size]
        entries = []
        for tag, value in _DYN.iter_unpack(table):
            if tag == _DT_NULL:
                break
            entries.append((tag, value))
        known = dict(entries)
        address = known[_DT_STRTAB]
        strings = _file_offset(segments, address)
        return cls(elf, segments, dynamic, tuple(entries), strings, address, known[_DT_STRSZ])

    def span(self, start: int) -> tuple[int, int]:
        """Where in the file the string is that starts `start` bytes into the string table."""
        if start >= self.strings_size:
            raise IndexError(start)
        begin = self.strings + start
        return begin, self.elf.index(b"\0", begin)

    def is_shared(self, span: tuple[int, int]) -> bool:
        """Whether a symbol's name is the tail of the string at `span`: linkers merge such strings.

        Linkers lay the strings out behind the symbols, in one segment; what else lies between can only
        make this answer yes where no would do. Strings in another segment were moved there by a
        tool like this one, which merges none.
        """
        symbols = _file_offset(self.segments, dict(self.entries)[_DT_SYMTAB])
        size = max(0, self.strings - symbols) // _SYMBOL.size * _SYMBOL.size
        if _segment_at(self.segments, symbols) != _segment_at(self.segments, self.strings):
            return False
        first, last = span[0] - self.strings, span[1] - self.strings
        names = _SYMBOL.iter_unpack(self.elf[symbols : symbols + size])
        return any(first <= name < last for (name,) in names)

    def put_entries(self, data: bytearray, entries: Sequence[tuple[int, int]]) -> None:
        """Write the dynamic section anew, filled up with `DT_NULL`."""
        if (len(entries) + 1) * _DYN.size > self.dynamic.file_size:
            raise InterpreterError("an ELF file has no room for a run-path in its dynamic section")
        table = b"".join(_DYN.pack(tag, value) for tag, value in entries)
        start, size = self.dynamic.offset, self.dynamic.file_size
        data[start : start + size] = table.ljust(size, b"\0")


def _segments(elf: bytes) -> Iterator[_Segment]:
    (table,) = struct.unpack_from("<Q", elf, 32)
    size, count = struct.unpack_from("<HH", elf, 54)
    for header in range(table, table + size * count, size):
        kind, flags, offset, address, _, file_size, memory_size, align = _PHDR.unpack_from(
            elf, header
        )
        yield _Segment(header, kind, flags, offset, address, file_size, memory_size, align)


def _file_offset(segments: Sequence[_Segment], address: int) -> int:
    for segment in segments:
        if segment.kind == _PT_LOAD and 0 <= address - segment.address < segment.file_size:
            return address - segment.address + segment.offset
    raise IndexError(address)


def _segment_at(segments: Sequence[_Segment], offset: int) -> _Segment | None:
    loads = (
        s for s in segments if s.kind == _PT_LOAD and s.offset <= offset < s.offset + s.file_size
    )
    return next(loads, None)


class _reading:  # noqa: N801 - used as a statement
    """Turn what a malformed file does to its reader into one sentence."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        # Offsets have 64 bits, and Python counts in one less.
        malformed = (struct.error, IndexError, KeyError, OverflowError, ValueError)
        if isinstance(error, malformed) and not isinstance(error, InterpreterError):
            raise InterpreterError("an ELF file is cut off or malformed") from error
