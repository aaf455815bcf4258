from dataclasses import replace

import pytest

from nixlib.errors import RequirementError, SpecError
from nixlib.lock import LockedPackage
from nixlib.lock.packages import LockedSource
from nixlib.sources.inputs import BuildInputs, build_variables
from nixlib.sources.realising import built_with
from nixlib.sources.site import nixpkgs_inputs
from nixlib.storepath import StorePath

SSL = StorePath("0" * 32, "openssl")
GCC = StorePath("1" * 32, "gcc")


@pytest.fixture
def physical(tmp_path):
    for folder in (f"{SSL}/include", f"{SSL}/lib/pkgconfig", f"{GCC}/bin"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / f"{GCC}/bin/gcc").touch()
    return lambda path: tmp_path / str(path)


def test_library_is_told_to_compilers_and_linker_and_to_nobody_else(physical):
    path, variables = build_variables(BuildInputs(paths=(SSL,)), "/nix/store", physical)
    place = f"/nix/store/{SSL}"
    assert path == ()
    assert variables == {
        "C_INCLUDE_PATH": f"{place}/include",
        "CMAKE_PREFIX_PATH": place,
        "CPLUS_INCLUDE_PATH": f"{place}/include",
        "LDFLAGS": f"-Wl,-rpath,{place}/lib",
        "LIBRARY_PATH": f"{place}/lib",
        "PKG_CONFIG_PATH": f"{place}/lib/pkgconfig",
    }


def test_compiler_is_named_wherever_it_comes_from(physical):
    _, of_nixpkgs = build_variables(BuildInputs(paths=(GCC,)), "/nix/store", physical)
    _, of_host = build_variables(BuildInputs(has_compiler=True), "/nix/store", physical)
    assert (
        (of_nixpkgs["CC"], of_nixpkgs["CXX"]) == (of_host["CC"], of_host["CXX"]) == ("gcc", "g++")
    )


def test_nothing_given_is_nothing_said(physical):
    assert build_variables(BuildInputs(), "/nix/store", physical) == ((), {})


def test_inputs_are_attributes_or_the_hosts_compiler():
    (found,) = nixpkgs_inputs(("host#cc", "nixpkgs#openssl"))
    assert found.name == "openssl"


@pytest.mark.parametrize("line", ["numpy", "host#gcc", "conda-forge::gcc", "nixpkgs#a;b"])
def test_other_inputs_are_refused(line):
    with pytest.raises((SpecError, RequirementError)):
        nixpkgs_inputs((line,))


def test_what_a_build_requirement_is_built_with_comes_along():
    def locked(name, *build):
        return LockedPackage(name, "1", source=LockedSource("sdist", build=build))

    plain = LockedPackage("plain", "1")
    packages = (plain, locked("tool", "plain 1", "loop 1"), locked("loop", "tool 1"), locked("no"))
    found = built_with(locked("thing", "tool 1"), packages)
    assert [package.name for package in found] == ["loop", "plain", "tool"]
    assert built_with(replace(plain), packages) == ()
