import pytest

from nixlib.sources.diagnosis import diagnose, external_inputs

# As the tools print it: setuptools, gcc, clang, Meson, CMake, pkg-config, autoconf, make, maturin.
LINES = {
    "error: command 'gcc' failed: No such file or directory": "host#cc",
    "unable to execute 'x86_64-linux-gnu-gcc': No such file or directory": "host#cc",
    "error: [Errno 2] No such file or directory: 'cc'": "host#cc",
    "FileNotFoundError: [Errno 2] No such file or directory: '/bin/sh'": "host#cc",
    "../meson.build:1:0: ERROR: Unknown compiler(s): [['cc'], ['gcc'], ['clang']]": "host#cc",
    "  No CMAKE_C_COMPILER could be found.": "host#cc",
    "configure: error: no acceptable C compiler found in $PATH": "host#cc",
    "x.c:3:10: fatal error: openssl/ssl.h: No such file or directory": "nixpkgs#openssl",
    "x.c:3:10: fatal error: 'ffi.h' file not found": "nixpkgs#libffi",
    "x.c:3:10: fatal error: libpq-fe.h: No such file or directory": "nixpkgs#libpq",
    "Error: pg_config executable not found.": "nixpkgs#libpq.pg_config",
    "Package 'libffi', required by 'virtual:world', not found": "nixpkgs#libffi",
    "No package 'libxml-2.0' found": "nixpkgs#libxml2",
    "Run-time dependency cairo found: NO  (tried pkg-config)": "nixpkgs#cairo",
    "-- Could NOT find ZLIB (missing: ZLIB_LIBRARY ZLIB_INCLUDE_DIR)": "nixpkgs#zlib",
    "/usr/bin/ld: cannot find -lz: No such file or directory": "nixpkgs#zlib",
    "/bin/sh: 1: swig: not found": "nixpkgs#swig",
    "/bin/sh: line 1: bison: command not found": "nixpkgs#bison",
    "  Cargo, the Rust package manager, is not installed or is not on PATH.": "nixpkgs#cargo",
    "error: can't find Rust compiler": "nixpkgs#cargo",
    "No CMAKE_Fortran_COMPILER could be found.": "nixpkgs#gfortran",
}


@pytest.mark.parametrize(("line", "wanted"), LINES.items(), ids=LINES.keys())
def test_line_of_a_log_is_answered_with_what_adds_it(line, wanted):
    found = diagnose(["building", line, "error: failed"])
    assert found.inputs[0] == wanted
    assert found.found


def test_log_that_says_nothing_is_not_guessed_at():
    assert diagnose(["error: command failed", "AssertionError"]).inputs == ()


def test_what_was_given_is_not_asked_for_again():
    line = "x.c:1:1: fatal error: openssl/ssl.h: No such file or directory"
    assert diagnose([line], given=("nixpkgs#openssl",)).inputs == ()


def test_module_that_is_imported_without_being_asked_for_is_named():
    found = diagnose(["ModuleNotFoundError: No module named 'numpy'"])
    assert found.imports == ("numpy",)
    assert found.inputs == ()


def test_download_is_recognised():
    found = diagnose(["urlopen error [Errno -3] Temporary failure in name resolution"])
    assert "no network" in found.found[0]


def test_project_that_says_what_it_needs_is_believed():
    external = ("dep:virtual/compiler/c", "dep:generic/openssl")
    found = diagnose(["error: command 'gcc' failed: No such file or directory"], external)
    assert found.inputs == ("host#cc", "nixpkgs#openssl")


def test_external_urls_that_nixpkgs_cannot_have_are_left_out():
    assert external_inputs(["dep:pypi/numpy", "dep:virtual/interface/blas", "x"]) == ()


def test_hostile_log_costs_no_time():
    assert diagnose(["a" * 100_000, "fatal error: " + "x/" * 50_000] * 200).inputs == ()


@pytest.mark.parametrize("name", ["-rf", "a+b.h", "../x"])
def test_name_that_no_attribute_has_is_not_offered(name):
    assert diagnose([f"fatal error: {name}: No such file or directory"]).inputs == ()
