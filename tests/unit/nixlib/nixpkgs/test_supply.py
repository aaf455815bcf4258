"""Real libraries, compiled here, and who supplies what they need."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nixlib.binaries.loader import Loader
from nixlib.binaries.needed import elf_at, needs_of
from nixlib.binaries.policy import attribute_of, is_sure
from nixlib.composition.compose import InterpreterPackage, compose
from nixlib.composition.package import StoreListing
from nixlib.errors import NativeLibraryError
from nixlib.lock import LockedAttribute
from nixlib.nixpkgs.realising import RealisedAttribute
from nixlib.nixpkgs.supply import supply
from nixlib.storepath import STORE_DIR, StorePath
from nixlib.testing.compiled import extension_module, newer_library, program, shared_library
from nixlib.testing.packages import package_of, write_object
from nixlib.tree import Regular, Symlink, tree_of

pytestmark = [
    pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler"),
    pytest.mark.skipif(sys.platform != "linux", reason="ELF files"),
]

GREET = "int greet(void) { return 42; }"


@pytest.fixture(scope="module")
def greet() -> bytes:
    return shared_library("libgreet.so.1", GREET)


class Folder:
    """A store that is a folder of objects."""

    store_dir = STORE_DIR

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def physical(self, path: StorePath) -> Path:
        return self.folder / str(path)

    def package(self, name, files, **more):
        package = package_of(name, files, **more)
        write_object(self.folder, package.path, package.listing.tree)
        return package

    def attribute(self, name, files, *, role="requirement", python=""):
        path = self.package(name, files).path
        locked = LockedAttribute(name, "nixpkgs", "0" * 40, "sha256-", role, "", python)
        return RealisedAttribute(locked, (path,))

    def interpreter(self, data: bytes):
        files = {"bin/python3.11": Regular.of(data, executable=True)}
        path = self.package("python", files).path
        return InterpreterPackage("3.11.7", path, StoreListing(self.physical(path)))


@pytest.fixture
def store(tmp_path):
    return Folder(tmp_path / "store")


@pytest.fixture
def python(store):
    return store.interpreter(program("int main(void) { return 0; }"))


@pytest.fixture
def native(store, greet):
    module = extension_module("native", greet)
    return store.package("native", {"site-packages/native.abi3.so": module})


def test_package_needs_what_its_modules_link_to(store, native, tmp_path):
    for _ in range(2):  # the second time out of what was kept
        found = needs_of(native.path, store.physical(native.path), tmp_path)
        assert found.imported["libgreet.so.1"] == "site-packages/native.abi3.so"


def test_package_needs_what_its_own_libraries_need(store, greet, tmp_path):
    middle = shared_library(
        "libmiddle.so",
        "extern int greet(void); int middle(void) { return greet(); }",
        needs=[greet],
    )
    plugin = shared_library(
        "libplugin.so",
        GREET,
        needs=[shared_library("libnobody.so.9", "int nobody(void) { return 0; }")],
    )
    package = store.package(
        "native",
        {
            "site-packages/native.so": extension_module("native", middle, "middle"),
            "site-packages/native.libs/libmiddle.so": middle,
            "site-packages/native/plugins/libplugin.so": plugin,
            "site-packages/native/notes.so": b"no library at all",
        },
    )
    found = needs_of(package.path, store.physical(package.path), tmp_path)
    assert found.imported["libgreet.so.1"] == "site-packages/native.libs/libmiddle.so"
    assert "libmiddle.so" in found.brought
    assert "libnobody.so.9" not in found.imported


def test_missing_library_is_named_with_who_needs_it_and_who_has_it(store, python, native, tmp_path):
    found = supply([native], python, (), store=store, cache=tmp_path)
    assert found.libraries == ()
    (warning,) = found.warnings
    assert "`native.abi3.so` of `native` 1.0 needs `libgreet.so.1`" in warning
    assert "`nixpkgs#libgreet`" in warning


def test_library_of_nixpkgs_is_loaded_for_who_needs_it(store, python, native, greet, tmp_path):
    both = store.attribute(
        "both", {"lib/libgreet.so.1": greet, "bin/greet": "", "lib/libx.so": greet}
    )
    found = supply([native], python, [both], store=store, cache=tmp_path)
    assert [library.soname for library in found.libraries] == ["libgreet.so.1"]
    assert found.warnings == ()


def test_attribute_that_is_only_a_library_is_loaded_in_any_case(store, python, greet, tmp_path):
    files = {
        "lib/libgreet.so.1.2": greet,
        "lib/libgreet.so.1": Symlink("libgreet.so.1.2"),
        "lib/libgreet.so": Symlink("libgreet.so.1"),
    }
    found = supply([], python, [store.attribute("libgreet", files)], store=store, cache=tmp_path)
    assert [library.inside for library in found.libraries] == ["lib/libgreet.so.1"]
    with_program = store.attribute("tools", {**files, "bin/tool": ""})
    for other in (
        with_program,
        store.attribute("module", files, python="3.11.7"),
        store.attribute("built", files, role="build"),
    ):
        assert supply([], python, [other], store=store, cache=tmp_path).libraries == ()


def test_library_of_another_wheel_is_enough(store, python, native, greet, tmp_path):
    other = store.package("greet", {"site-packages/greet.libs/libgreet.so.1": greet})
    assert supply([native, other], python, (), store=store, cache=tmp_path).warnings == ()


def test_library_of_a_newer_c_library_is_refused_by_naming_both(store, python, tmp_path):
    future = store.attribute(
        "libfuture", {"lib/libfuture.so.1": newer_library("libfuture.so.1", "GLIBC_2.99")}
    )
    with pytest.raises(NativeLibraryError) as caught:
        supply([], python, [future], store=store, cache=tmp_path)
    assert (caught.value.library, caught.value.package) == ("libfuture.so.1", "nixpkgs#libfuture")
    assert "needs glibc 2.99" in caught.value.summary
    assert '"interpreter": "nixpkgs"' in caught.value.hint


def test_loader_of_nixpkgs_finds_its_own_c_library_alone(store, native, greet, tmp_path):
    glibc = store.package(
        "glibc",
        {
            "lib/ld-linux.so.2": b"",
            "lib/libm.so.6": b"",
            "lib/libc.so.6": b"\0GLIBC_2.7\0GLIBC_2.41\0GLIBC_2.38\0",
        },
    )
    loader = f"{STORE_DIR}/{glibc.path}/lib/ld-linux.so.2"
    python = store.interpreter(
        program("int main(void) { return 0; }", f"-Wl,--dynamic-linker={loader}")
    )
    found = Loader(store.physical(python.path) / "bin/python3.11", STORE_DIR, store.folder)
    assert found.glibc == 41
    assert found.finds("libc.so.6")
    assert found.finds("libm.so.6")
    assert not found.finds("libz.so.1")  # which the system has
    policy = store.attribute("policy", {"lib/libgreet.so.1": greet}, role="library")
    asked = []

    def on_demand():
        asked.append(1)
        return [policy]

    supplied = supply([native], python, (), store=store, cache=tmp_path, on_demand=on_demand)
    assert [library.path for library in supplied.libraries] == list(policy.paths)
    assert asked == [1]
    assert supply([], python, (), store=store, cache=tmp_path, on_demand=on_demand).libraries == ()
    assert asked == [1]


def test_environment_leads_to_its_libraries_and_refers_to_them(
    store, python, native, greet, tmp_path
):
    libgreet = store.attribute("libgreet", {"lib/libgreet.so.1": greet})
    libraries = supply([native], python, [libgreet], store=store, cache=tmp_path).libraries
    without, made = compose([native], python), compose([native], python, libraries=libraries)
    assert set(made.references) - set(without.references) == set(libgreet.paths)
    folder = made.tree.entries["lib"].entries["nixenv-libraries"].entries
    (name,) = folder
    assert name == "000-libgreet.so.1"
    assert folder[name].target == f"../../../{libgreet.paths[0]}/lib/libgreet.so.1"
    assert "nixenv-libraries" not in without.tree.entries["lib"].entries


def test_libraries_reach_a_python_and_none_of_its_children(greet, tmp_path):
    module = extension_module("native", greet)
    tree = tree_of({"native.abi3.so": module, "lib/nixenv-libraries/000-libgreet.so.1": greet})
    del tree
    prefix = tmp_path / "prefix"
    (prefix / "lib/nixenv-libraries").mkdir(parents=True)
    (prefix / "lib/nixenv-libraries/000-libgreet.so.1").write_bytes(greet)
    (tmp_path / "native.abi3.so").write_bytes(module)
    builtin = Path(sys.modules["nixlib.composition.compose"].__file__).parent / "builtin"
    code = f"""
import sys, subprocess, os
sys.path[:0] = [{str(builtin)!r}, {str(tmp_path)!r}]
sys.prefix = {str(prefix)!r}
import _nixenv_libraries
_nixenv_libraries.load(); _nixenv_libraries.load()
import native
print(native.answer)
print("LD_LIBRARY_PATH" in os.environ)
print("greet" in subprocess.run(["cat", "/proc/self/maps"], capture_output=True, text=True).stdout)
"""
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, check=False
    )
    assert (done.stdout.split(), done.stderr) == (["42", "False", "False"], "")


def test_damaged_library_does_not_stop_a_python(tmp_path):
    (tmp_path / "lib/nixenv-libraries").mkdir(parents=True)
    (tmp_path / "lib/nixenv-libraries/000-libx.so").write_bytes(b"no library")
    builtin = Path(sys.modules["nixlib.composition.compose"].__file__).parent / "builtin"
    code = f"import sys; sys.path.insert(0, {str(builtin)!r}); sys.prefix = {str(tmp_path)!r}; import _nixenv_libraries; _nixenv_libraries.load(); print('on')"
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, check=False
    )
    assert done.stdout == "on\n"
    assert done.stderr.startswith("nixenv: ")


@pytest.mark.parametrize(
    ("soname", "attribute", "sure"),
    [
        ("libGL.so.1", "libGL", True),
        ("libsndfile.so.1", "libsndfile", False),
        ("libpython3.11.so.1.0", "libpython", False),
        ("strange", "", False),
    ],
)
def test_library_leads_to_an_attribute(soname, attribute, sure):
    assert (attribute_of(soname), is_sure(soname)) == (attribute, sure)


def test_versions_of_symbols_are_read(tmp_path):
    (tmp_path / "x").write_bytes(newer_library("libfuture.so.1", "GLIBC_2.99"))
    assert "GLIBC_2.99" in elf_at(tmp_path / "x").versions
