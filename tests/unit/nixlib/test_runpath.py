"""Run-paths of made and of real ELF files, read back by `nixlib.binaries.elf`, which shares no code with it."""

import struct
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixlib.binaries.elf import read_elf
from nixlib.binaries.runpath import is_elf, rewrite_run_path
from nixlib.errors import InterpreterError

BASE = 0x400000
PROGRAM = Path(sys.executable).resolve()


def elf(*, run_path=None, tag=29, spare=1, note=True, symbol=None):
    """A 64-bit ELF file that needs `libx.so`: a loadable segment, a note, a dynamic section."""
    strings = b"\0libx.so\0"
    entries = [(1, 1)]
    if run_path is not None:
        entries.append((tag, len(strings)))
        strings += run_path.encode() + b"\0"
    headers = 64 + 56 * 3
    symbols = struct.pack("<I20x", strings.index(symbol) if symbol else 0)
    symbol_at, string_at = headers, headers + len(symbols)
    dynamic_at = -(-(string_at + len(strings)) // 16) * 16
    entries += [(5, BASE + string_at), (6, BASE + symbol_at), (10, len(strings))]
    dynamic = b"".join(struct.pack("<qQ", *entry) for entry in entries) + bytes(16 * spare)
    size = dynamic_at + len(dynamic)

    def header(kind, offset, length):
        return struct.pack(
            "<IIQQQQQQ", kind, 4, offset, BASE + offset, BASE + offset, length, length, 4096
        )

    table = header(1, 0, size) + header(2, dynamic_at, len(dynamic))
    table += header(4, 0, 4) if note else header(0x6474E551, 0, 0)
    start = b"\x7fELF\x02\x01\x01" + bytes(9)
    start += struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 64, 0, 0, 64, 56, 3, 64, 0, 0)
    return (start + table + symbols + strings).ljust(dynamic_at, b"\0") + dynamic


def test_run_path_is_replaced_in_place_when_the_new_one_fits():
    before = elf(run_path="/home/ana/.pyenv/versions/3.11.7/lib")
    after = rewrite_run_path(before, ["$ORIGIN/../lib"])

    assert read_elf(after).run_path == ("$ORIGIN/../lib",)
    assert read_elf(after).needed == ("libx.so",)
    assert len(after) == len(before)
    assert b"ana" not in after


def test_run_path_moves_the_strings_when_the_new_one_is_longer():
    after = rewrite_run_path(elf(run_path="/p"), ["$ORIGIN/../lib", "/somewhere/else"])

    assert read_elf(after).run_path == ("$ORIGIN/../lib", "/somewhere/else")
    assert read_elf(after).needed == ("libx.so",)


def test_run_path_is_added_when_there_was_none():
    after = rewrite_run_path(elf(spare=2), ["$ORIGIN"])

    assert read_elf(after).run_path == ("$ORIGIN",)


def test_run_path_is_removed_when_nothing_is_wanted():
    after = rewrite_run_path(elf(run_path="/home/ana/lib"), [])

    assert read_elf(after).run_path == ()
    assert read_elf(after).needed == ("libx.so",)
    assert b"/home" not in after


def test_rpath_becomes_a_runpath():
    after = rewrite_run_path(elf(run_path="/home/ana/lib", tag=15), ["$ORIGIN"])

    assert struct.pack("<q", 29) in after
    assert struct.pack("<qQ", 15, 9) not in after


def test_strings_that_a_symbol_shares_are_left_alone():
    after = rewrite_run_path(elf(run_path="/home/ana/lib", symbol=b"lib\0"), ["$ORIGIN"])

    assert read_elf(after).run_path == ("$ORIGIN",)
    assert b"/home/ana/lib\0" in after


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(elf(spare=1), id="no spare entry"),
        pytest.param(elf(spare=2, note=False), id="no note segment"),
        pytest.param(b"\x7fELF\x02\x01", id="cut off"),
        pytest.param(b"MZ" + bytes(100), id="not ELF"),
    ],
)
def test_a_file_without_room_is_an_error(broken):
    with pytest.raises(InterpreterError):
        rewrite_run_path(broken, ["$ORIGIN"])


def test_is_elf_needs_the_64_bit_little_endian_kind():
    assert is_elf(elf())
    assert not is_elf(b"\x7fELF\x01\x01" + bytes(100))
    assert not is_elf(b"#!/bin/sh\n")


@given(st.data())
def test_damage_is_an_error_or_harmless_never_a_crash(data):
    image = bytearray(elf(run_path="/home/ana/lib", spare=2))
    for _ in range(data.draw(st.integers(1, 4))):
        image[data.draw(st.integers(0, len(image) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(image)))
    try:
        rewrite_run_path(bytes(image[:cut]), ["$ORIGIN/../lib"])
    except InterpreterError:
        return


def test_table_at_an_offset_beyond_what_python_counts_is_an_error():
    image = bytearray(elf(run_path="/home/ana/lib"))
    image[39] = 128
    with pytest.raises(InterpreterError):
        rewrite_run_path(bytes(image), ["$ORIGIN/../lib"])


def test_absurd_size_of_the_dynamic_section_is_refused_before_it_is_filled_up():
    image = bytearray(elf(run_path="/home/ana/lib"))
    header = struct.unpack_from("<Q", image, 32)[0]
    for number in range(struct.unpack_from("<H", image, 56)[0]):
        at = header + 56 * number
        if struct.unpack_from("<I", image, at)[0] == 2:  # PT_DYNAMIC
            struct.pack_into("<Q", image, at + 32, 1 << 40)
    with pytest.raises(InterpreterError, match="ends before its dynamic section"):
        rewrite_run_path(bytes(image), ["$ORIGIN"])


def test_absurd_alignment_is_refused_before_the_file_is_filled_up_to_it():
    image = bytearray(elf(run_path="/home/ana/lib"))
    header = struct.unpack_from("<Q", image, 32)[0]
    for number in range(struct.unpack_from("<H", image, 56)[0]):
        struct.pack_into("<Q", image, header + number * 56 + 48, 1 << 40)
    with pytest.raises(InterpreterError):
        rewrite_run_path(bytes(image), ["$ORIGIN/" + "x" * 100])


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="programs of macOS are no ELF files"
)
@pytest.mark.parametrize("length", [1, 40, 3000])
def test_a_real_program_runs_with_a_longer_run_path(tmp_path, length):
    original = PROGRAM.read_bytes()
    libraries = str(PROGRAM.parent.parent / "lib")
    copy = tmp_path / "python"
    copy.write_bytes(rewrite_run_path(original, ["/" + "x" * length, libraries]))
    copy.chmod(0o755)
    done = subprocess.run(
        [copy, "-S", "-c", "import zlib; print(zlib.crc32(b'a'))"],
        env={"PYTHONHOME": sys.base_prefix},
        capture_output=True,
        check=True,
        text=True,
    )

    assert read_elf(copy.read_bytes()).run_path == ("/" + "x" * length, libraries)
    assert done.stdout == "3904355907\n"
