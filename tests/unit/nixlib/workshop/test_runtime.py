"""The libraries of a machine: found as its loader finds them, laid out as other loaders expect."""

import struct
import sys

import pytest

from nixlib.binaries.elf import read_elf
from nixlib.errors import StoreError
from nixlib.platforms import current_system
from nixlib.tree import Symlink, walk
from nixlib.workshop.hostlibs import HostLibraries
from nixlib.workshop.runtime import fingerprint, loader_name, runtime_files, runtime_tree

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="ELF and glibc")
ELF = b"\x7fELF\2\1\1" + bytes(9) + b"\3\0" + b"\x3e\0" + bytes(44)
OTHER = ELF[:18] + b"\xb7\0" + ELF[20:]


def cache(*entries, hwcap=0):
    """`/etc/ld.so.cache` with these sonames and paths."""
    texts, table = b"", b""
    start = 48 + 24 * len(entries)
    for soname, path in entries:
        name, place = start + len(texts), start + len(texts) + len(soname) + 1
        table += struct.pack("<iIIIQ", 0x303, name, place, 0, hwcap)
        texts += soname.encode() + b"\0" + path.encode() + b"\0"
    return b"glibc-ld.so.cache1.1" + struct.pack("<I", len(entries)) + bytes(24) + table + texts


@pytest.fixture
def machine(tmp_path):
    """A file system with a program, a cache and two folders of libraries."""
    for path in ("etc", "opt", "usr/lib/x86_64-linux-gnu"):
        (tmp_path / path).mkdir(parents=True)
    (tmp_path / "program").write_bytes(ELF)
    return tmp_path


def test_library_of_the_cache_is_found_there(machine):
    (machine / "opt/libx.so.1").write_bytes(ELF)
    (machine / "etc/ld.so.cache").write_bytes(cache(("libx.so.1", f"{machine}/opt/libx.so.1")))
    found = HostLibraries(machine / "program", root=machine)
    assert found.find("libx.so.1") == machine / "opt/libx.so.1"
    assert found.find("liby.so.1") is None


def test_library_of_another_machine_is_passed_over(machine):
    (machine / "opt/libx.so.1").write_bytes(OTHER)
    (machine / "usr/lib/x86_64-linux-gnu/libx.so.1").write_bytes(ELF)
    (machine / "etc/ld.so.cache").write_bytes(cache(("libx.so.1", f"{machine}/opt/libx.so.1")))
    found = HostLibraries(machine / "program", root=machine)
    assert found.find("libx.so.1") == machine / "usr/lib/x86_64-linux-gnu/libx.so.1"


def test_library_for_some_processors_only_is_passed_over(machine):
    (machine / "opt/libx.so.1").write_bytes(ELF)
    data = cache(("libx.so.1", f"{machine}/opt/libx.so.1"), hwcap=1 << 62)
    (machine / "etc/ld.so.cache").write_bytes(data)
    assert HostLibraries(machine / "program", root=machine).find("libx.so.1") is None


@pytest.mark.parametrize("data", [b"", b"junk" * 100, cache(("a", "/b"))[:60]])
def test_damaged_cache_is_as_good_as_none(machine, data):
    (machine / "usr/lib/x86_64-linux-gnu/libx.so.1").write_bytes(ELF)
    (machine / "etc/ld.so.cache").write_bytes(data)
    assert HostLibraries(machine / "program", root=machine).find("libx.so.1") is not None


def test_runtime_has_what_each_of_its_files_needs():
    files = runtime_files(current_system(), ())
    for path in files.values():
        elf = read_elf(path.read_bytes())
        assert elf is None or set(elf.needed) <= set(files)


def test_runtime_has_the_wanted_libraries_that_are_here():
    files = runtime_files(current_system(), ("libc.so.6", "libabsent.so.7"))
    assert "libc.so.6" in files
    assert "libabsent.so.7" not in files


def test_runtime_tree_leads_every_loader_to_its_libraries():
    files = runtime_files(current_system(), ())
    nodes = dict(walk(runtime_tree(files)))
    assert nodes[f"lib/{loader_name(current_system())}"].executable
    assert nodes["lib64"] == Symlink("lib")
    assert nodes["lib/x86_64-linux-gnu"] == Symlink(".")


def test_fingerprint_changes_with_a_file(tmp_path):
    (tmp_path / "a").write_text("a")
    before = fingerprint({"a": tmp_path / "a"})
    (tmp_path / "a").write_text("ab")
    assert fingerprint({"a": tmp_path / "a"}) != before


def test_system_that_nothing_can_be_built_on_is_named():
    with pytest.raises(StoreError, match="aarch64-darwin"):
        runtime_files("aarch64-darwin", ())
