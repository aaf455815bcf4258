"""Libraries that the system must have."""

import sys

import pytest

from nixlib.binaries.libraries import missing_libraries


def test_library_is_found_in_the_loaders_cache(tmp_path):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/ld.so.cache").write_bytes(
        b"ld.so-1.7.0\0\0/lib/x/libssl.so.3\0/lib/xlibz.so.1\0"
    )

    assert missing_libraries(["libz.so.1", "libssl.so.3"], root=tmp_path) == ("libz.so.1",)


def test_library_is_found_in_a_default_folder_without_a_cache(tmp_path):
    folder = tmp_path / "usr/lib/x86_64-linux-gnu"
    folder.mkdir(parents=True)
    (folder / "libz.so.1").write_bytes(b"")

    assert missing_libraries(["libz.so.1", "liba.so"], root=tmp_path) == ("liba.so",)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the loader of Linux")
def test_this_machine_has_a_c_library_and_no_invented_one():
    assert missing_libraries(["libc.so.6", "libnixenv-none.so.9"]) == ("libnixenv-none.so.9",)
