"""The dynamic section of ELF files."""

import struct
import sys
from pathlib import Path

import pytest

from nixlib.binaries.elf import Elf, read_elf
from nixlib.testing.wheels import make_elf

FULL = {
    "run_path": "$ORIGIN/../x:/opt",
    "needed": ("libc.so.6", "liba.so"),
    "soname": "libdemo.so.1",
}


def test_dynamic_section_is_read():
    assert read_elf(make_elf(**FULL)) == Elf(
        ("libc.so.6", "liba.so"), ("$ORIGIN/../x", "/opt"), "libdemo.so.1"
    )


def test_rpath_counts_only_without_runpath():
    assert read_elf(make_elf(rpath="$ORIGIN/a")).run_path == ("$ORIGIN/a",)
    assert read_elf(make_elf(rpath="$ORIGIN/a", run_path="$ORIGIN/b")).run_path == ("$ORIGIN/b",)


def test_library_without_anything_is_empty():
    assert read_elf(make_elf()) == Elf()


def test_memoryview_is_as_good_as_bytes():
    assert read_elf(memoryview(make_elf(**FULL))) == read_elf(make_elf(**FULL))


@pytest.mark.skipif(sys.platform != "linux", reason="no ELF on this system")
def test_own_interpreter_needs_the_c_library():
    elf = read_elf(Path(sys.executable).read_bytes())
    assert elf is not None
    assert any(name.startswith("libc.") for name in elf.needed)


def test_32_bit_big_endian_is_read():
    texts = b"\0$ORIGIN/x\0"
    dynamic = 52 + 2 * 32
    start = dynamic + 4 * 8
    table = b"".join(
        struct.pack(">II", *pair) for pair in [(29, 1), (5, start), (10, len(texts)), (0, 0)]
    )
    size = start + len(texts)
    header = struct.pack(
        ">4sBBBB8xHHIIIIIHHHHHH", b"\x7fELF", 1, 2, 1, 0, 3, 20, 1, 0, 52, 0, 0, 52, 32, 2, 0, 0, 0
    )
    load = struct.pack(">8I", 1, 0, 0, 0, size, size, 5, 4096)
    segment = struct.pack(">8I", 2, dynamic, dynamic, dynamic, len(table), len(table), 6, 4)
    assert read_elf(header + load + segment + table + texts) == Elf(run_path=("$ORIGIN/x",))


NONE = {
    "nothing": b"",
    "magic only": b"\x7fELF",
    "text": b"#!/bin/sh\n",
    "unknown class": b"\x7fELF\x03\x01" + bytes(100),
    "no headers": make_elf()[:64],
    "no dynamic section": make_elf()[:64] + bytes(112),
}


@pytest.mark.parametrize("data", NONE.values(), ids=NONE)
def test_what_no_loader_takes_is_none(data):
    assert read_elf(data) is None


def test_text_outside_of_the_table_is_none():
    data = bytearray(make_elf(run_path="$ORIGIN"))
    struct.pack_into("<Q", data, 64 + 2 * 56 + 8, 1 << 40)
    assert read_elf(bytes(data)) is None


def test_count_of_headers_that_lies_is_none():
    data = bytearray(make_elf(run_path="$ORIGIN"))
    struct.pack_into("<H", data, 56, 0xFFFF)
    assert read_elf(bytes(data)) is None
