"""`host#cc`: this machine's compiler in the store, alone."""

import shutil
import subprocess

import pytest
from daemons import chroot_store, needs_nix, open_dir  # noqa: F401

from nixlib.errors import StoreError
from nixlib.interpreters.precompile import write_tree
from nixlib.settings import Settings
from nixlib.store import open_store
from nixlib.toolchain import host_cc as module
from nixlib.toolchain.host_cc import host_cc, toolchain_files, toolchain_tree

needs_cc = pytest.mark.skipif(shutil.which("gcc", path="/usr/bin") is None, reason="no gcc here")


@pytest.fixture(scope="module")
def files():
    return toolchain_files()


@needs_cc
def test_toolchain_has_the_compiler_and_only_the_c_librarys_headers(files):
    assert {"usr/bin/gcc", "usr/bin/g++", "usr/bin/ld", "usr/bin/make", "bin/sh"} <= set(files)
    assert any(path.endswith("/cc1plus") for path in files)
    headers = {path.rpartition("/")[2] for path in files if path.startswith("usr/include/")}
    assert {"stdio.h", "vector", "types.h"} <= headers
    assert not headers & {"ssl.h", "zlib.h", "Python.h", "curses.h"}


@needs_cc
def test_links_of_the_toolchain_lead_to_its_own_files(files):
    for path, found in files.items():
        if isinstance(found, str):
            folder = path.rpartition("/")[0]
            target = f"{folder}/{found}" if "/" not in found else found.removeprefix("../")
            assert target in files, path


@needs_cc
def test_compiler_finds_its_own_parts_where_it_is(files, tmp_path):
    write_tree(toolchain_tree(files), tmp_path)
    gcc = tmp_path / "usr/bin/gcc"
    said = subprocess.run([gcc, "-print-prog-name=cc1"], capture_output=True, text=True, check=True)
    assert said.stdout.startswith(str(tmp_path))


@needs_cc
@needs_nix
@pytest.mark.daemon
def test_toolchain_is_copied_once(chroot_store, tmp_path, monkeypatch):  # noqa: F811
    settings = Settings(tmp_path / "cache", tmp_path / "state")
    with open_store(str(chroot_store)) as store:
        path = host_cc(store, settings)
        assert (store.physical(path) / "usr/bin/gcc").exists()
        monkeypatch.setattr(module, "toolchain_tree", None)  # not made again
        assert host_cc(store, settings) == path


def test_machine_without_a_compiler_says_what_to_do(monkeypatch):
    monkeypatch.setattr(module, "_PATH", "/nowhere")
    with pytest.raises(StoreError, match="no C compiler") as caught:
        toolchain_files()
    assert "nixpkgs#gcc" in caught.value.hint
