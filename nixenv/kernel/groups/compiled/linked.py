"""Which function a loaded ELF library calls under a name: its linkage table, read and set.

The dynamic linker binds each library's references (`PyImport_ImportModule`) by filling slots of that
library. Filling a slot anew changes what this one library calls, and nothing else in the process. What
is read here is what the linker reads, by the ELF specification and the psABI of x86-64:
https://refspecs.linuxfoundation.org/elf/gabi4+/ch5.dynamic.html
"""

from __future__ import annotations

import ctypes
import mmap
import os
import struct
import sys

from . import elf

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Container, Mapping

RTLD_DI_LINKMAP = 2
PROT_READ, PROT_WRITE, PROT_EXEC = 1, 2, 4
DT_PLTRELSZ, DT_STRTAB, DT_SYMTAB, DT_RELA, DT_RELASZ, DT_JMPREL = 2, 5, 6, 7, 8, 23
DT_STRSZ, DT_RELACOUNT = 10, 0x6FFFFFF9
ENTRIES = 8192  # twice as many as any dynamic section has; it ends earlier
# R_X86_64_64, _GLOB_DAT, _JUMP_SLOT: the slot holds the symbol's address, and nothing else.
SLOTS = frozenset({1, 6, 7})
RELA = struct.Struct("<QI")  # offset and kind
RELA_SIZE = 24
STEM = 9  # `PyImport_`: few searches find all names that begin so
SYMBOL_SIZE = 24


class LinkMap(ctypes.Structure):
    """One loaded library, as `<link.h>` declares it."""


LinkMap._fields_ = [
    ("base", ctypes.c_size_t),
    ("name", ctypes.c_char_p),
    ("dynamic", ctypes.c_size_t),
    ("next", ctypes.POINTER(LinkMap)),
    ("previous", ctypes.POINTER(LinkMap)),
]


class Linkage:
    """The libraries of one process whose slots were set.

    Raises:
        OSError: The C library says that it cannot look a library up, or make its slots writable.
    """

    def __init__(self) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._open = libc.dlopen
        self._open.restype = ctypes.c_void_p
        self._open.argtypes = [ctypes.c_char_p, ctypes.c_int]
        self._information = libc.dlinfo
        self._information.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p]
        self._protect = libc.mprotect
        self._protect.argtypes = [ctypes.c_size_t, ctypes.c_size_t, ctypes.c_int]
        self._done: set[int] = set()  # addresses: what a group loads is never unloaded

    def open(self, path: str) -> int | None:
        """Load a library for good, as Python does; None if the dynamic linker cannot."""
        handle: int | None = self._open(os.fsencode(path), sys.getdlopenflags())
        return handle

    def redirect(self, handle: int, files: Container[str], targets: Mapping[bytes, int]) -> None:
        """Set the slots for `targets` in the library of this `dlopen` handle, and in what came with it.

        The libraries that a library needs follow it in the linker's list when they are loaded with it; so
        may others, which another thread loads. Only those in `files` are changed: real paths, and others.
        """
        found = ctypes.POINTER(LinkMap)()
        if self._information(handle, RTLD_DI_LINKMAP, ctypes.byref(found)):
            raise OSError(f"dlinfo does not know library {handle:#x}")
        while bool(found):
            library = found.contents
            name = os.fsdecode(library.name or b"")
            # The linker knows a library by the way to it, and a group's folder holds links to its packages.
            if library.base not in self._done and (
                name in files or os.path.realpath(name) in files
            ):
                self._redirect_one(library, name, targets)
            found = library.next

    def _redirect_one(self, library: LinkMap, path: str, targets: Mapping[bytes, int]) -> None:
        slots = list(_slots(library, targets))
        page = mmap.PAGESIZE
        pages = {address // page * page for address, _ in slots}
        # `-z notext` has slots in code, `-N` code among what is written: such pages stay executable.
        code = {
            place: PROT_READ | PROT_EXEC | (PROT_WRITE if is_written else 0)
            for start, size, is_written in (elf.code_parts(path) if slots else [])
            for place in pages
            if place - size < library.base + start < place + page
        }
        for start in pages:
            self._set_protection(start, page, PROT_READ | PROT_WRITE | code.get(start, 0))
        for address, target in slots:
            ctypes.c_size_t.from_address(address).value = target
        for start, protection in code.items():
            self._set_protection(start, page, protection)
        if slots:
            for start, size in elf.read_only_part(path):
                # Whole pages, as the linker protected them.
                first = (library.base + start) // page * page
                last = (library.base + start + size) // page * page
                if last > first:
                    self._set_protection(first, last - first, PROT_READ)
        self._done.add(library.base)

    def _set_protection(self, start: int, size: int, protection: int) -> None:
        if self._protect(start, size, protection):
            raise OSError(ctypes.get_errno(), "mprotect refused")


def _slots(library: LinkMap, targets: Mapping[bytes, int]) -> list[tuple[int, int]]:
    """Address of each slot that a target belongs into, and the target.

    Libraries have thousands of relocations, and the first import waits for this: so they are read as columns.
    """
    entries = _dynamic(library)
    if DT_SYMTAB not in entries or DT_STRTAB not in entries:
        return []
    names = ctypes.string_at(entries[DT_STRTAB], entries.get(DT_STRSZ, 0))
    by_name = _starts(names, targets)
    if not by_name:
        return []
    found = []
    for start, size in _relocations(entries):
        table = ctypes.string_at(start, size)
        # An entry is an offset, a kind, a symbol and what is added: of 8, 4, 4 and 8 bytes.
        symbols = memoryview(table).cast("I")[3::6].tolist()
        length = SYMBOL_SIZE * (max(symbols, default=0) + 1)
        # Where each symbol's name starts is the first thing in its entry.
        starts = memoryview(ctypes.string_at(entries[DT_SYMTAB], length)).cast("I")[0::6].tolist()
        wanted = {
            symbol: by_name[starts[symbol]] for symbol in set(symbols) if starts[symbol] in by_name
        }
        for index, symbol in enumerate(symbols):
            if symbol in wanted:
                offset, kind = RELA.unpack_from(table, RELA_SIZE * index)
                if kind in SLOTS:
                    found.append((library.base + offset, wanted[symbol]))
    return found


def _starts(names: bytes, targets: Mapping[bytes, int]) -> dict[int, int]:
    """The target of each name in a table of names, by where it starts; one may be the end of another."""
    found = {}
    for stem in {name[:STEM] for name in targets}:
        start = names.find(stem)
        while start >= 0:
            target = targets.get(names[start : names.index(b"\0", start)])
            if target is not None:
                found[start] = target
            start = names.find(stem, start + 1)
    return found


def _dynamic(library: LinkMap) -> dict[int, int]:
    """The library's dynamic section; addresses are absolute, also with a C library that leaves them."""
    found = {}
    table = (ctypes.c_size_t * ENTRIES).from_address(library.dynamic)
    for place in range(0, ENTRIES, 2):
        tag, value = table[place], table[place + 1]
        if tag == 0:
            break
        is_address = tag in (DT_STRTAB, DT_SYMTAB, DT_RELA, DT_JMPREL)
        found[tag] = value + library.base if is_address and value < library.base else value
    return found


def _relocations(entries: Mapping[int, int]) -> list[tuple[int, int]]:
    """Address and size of the tables of relocations that name symbols."""
    # The linker's editor puts those that name none first, and says how many: most of them.
    skip = entries.get(DT_RELACOUNT, 0) * RELA_SIZE
    found = [
        (entries.get(DT_RELA, 0) + skip, entries.get(DT_RELASZ, 0) - skip),
        (entries.get(DT_JMPREL, 0), entries.get(DT_PLTRELSZ, 0)),
    ]
    return [(start, size) for start, size in found if start and size > 0]
