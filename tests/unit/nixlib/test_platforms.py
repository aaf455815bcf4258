"""Names of platforms, against what `packaging` says of the machine that runs this."""

import pytest
from packaging import tags
from packaging.markers import Marker, default_environment

from nixlib import spec
from nixlib.errors import LockError
from nixlib.platforms import (
    SYSTEMS,
    current_system,
    here_first,
    host_glibc,
    marker_environment,
    python_minor,
    python_version_key,
    standalone_triple,
    wheel_tags,
)


def names(system, minor, **more):
    return [str(tag) for tag in wheel_tags(system, minor, **more)]


def test_wheel_tags_equal_those_of_packaging_on_this_machine():
    version = default_environment()["python_version"]
    expected = [str(tag) for tag in tags.sys_tags() if "musllinux" not in tag.platform]

    assert names(current_system(), version, glibc=host_glibc()) == expected


def test_marker_environment_equals_that_of_packaging_on_this_machine():
    expected = default_environment() | {"platform_release": "", "platform_version": ""}

    assert marker_environment(current_system(), expected["python_full_version"]) == expected


@pytest.mark.parametrize(
    ("system", "marker"),
    [
        ("x86_64-linux", "sys_platform == 'linux' and platform_machine == 'x86_64'"),
        ("aarch64-linux", "platform_system == 'Linux' and platform_machine == 'aarch64'"),
        ("aarch64-darwin", "sys_platform == 'darwin' and platform_machine == 'arm64'"),
        ("x86_64-darwin", "platform_system == 'Darwin' and platform_machine == 'x86_64'"),
    ],
)
def test_marker_environment_holds_for_one_system_only(system, marker):
    holding = [s for s in SYSTEMS if Marker(marker).evaluate(marker_environment(s, "3.11.7"))]

    assert holding == [system]


def test_wheel_tags_name_no_newer_glibc_than_given():
    found = names("x86_64-linux", "3.11", glibc=(2, 17))

    assert "cp311-cp311-manylinux_2_17_x86_64" in found
    assert "cp311-cp311-manylinux2014_x86_64" in found
    assert "cp311-abi3-manylinux1_x86_64" in found
    assert not any("manylinux_2_18_" in tag for tag in found)


def test_wheel_tags_are_without_manylinux_when_there_is_no_glibc():
    found = names("x86_64-linux", "3.11", glibc=None)

    assert not any("manylinux" in tag for tag in found)
    assert {"cp311-cp311-linux_x86_64", "py3-none-any"} <= set(found)


def test_wheel_tags_of_aarch64_begin_with_manylinux2014():
    found = names("aarch64-linux", "3.11")

    assert "cp311-cp311-manylinux2014_aarch64" in found
    assert not any("manylinux2010" in tag or "x86_64" in tag for tag in found)


@pytest.mark.parametrize("machine", ["arm64", "x86_64"])
def test_wheel_tags_of_macos_have_universal2(machine):
    system = {"arm64": "aarch64-darwin", "x86_64": "x86_64-darwin"}[machine]
    found = names(system, "3.12", macos=(13, 0))

    assert found.index(f"cp312-cp312-macosx_13_0_{machine}") < found.index(
        "cp312-cp312-macosx_13_0_universal2"
    )
    assert not any("macosx_14_0" in tag for tag in found)


def test_wheel_tags_prefer_own_abi_then_abi3_then_any():
    found = names("x86_64-linux", "3.11")
    order = ["cp311-cp311-manylinux_2_28_x86_64", "cp311-abi3-manylinux_2_28_x86_64"]
    order += ["cp310-abi3-manylinux_2_28_x86_64", "py3-none-manylinux_2_28_x86_64", "py3-none-any"]

    assert [found.index(tag) for tag in order] == sorted(found.index(tag) for tag in order)


def test_python_version_key_sorts_prereleases_before_the_release():
    versions = ["3.14.0", "3.9.18", "3.14.0rc1", "3.14.0a7", "3.10.0"]

    assert sorted(versions, key=python_version_key) == [
        "3.9.18",
        "3.10.0",
        "3.14.0a7",
        "3.14.0rc1",
        "3.14.0",
    ]


def test_python_minor_of_a_prerelease_has_two_numbers():
    assert python_minor("3.14.0rc1") == "3.14"


@pytest.mark.parametrize("text", ["", "3", "three", "3.11.7.1", "3.11-dev"])
def test_python_version_key_refuses_what_is_no_version(text):
    with pytest.raises(LockError):
        python_version_key(text)


def test_systems_are_those_of_a_spec():
    assert sorted(SYSTEMS) == sorted(spec.SYSTEMS)


def test_unknown_system_is_an_error_that_names_the_known_ones():
    with pytest.raises(LockError) as error:
        standalone_triple("riscv64-linux")

    assert "riscv64-linux" in error.value.summary
    assert len(error.value.details) == len(SYSTEMS)


def test_running_system_comes_first_and_each_once():
    here = current_system()
    others = [system for system in SYSTEMS if system != here]
    assert here_first([*others, here, others[0]]) == [here, *sorted(others)]
    assert here_first(others[::-1]) == sorted(others)


def test_no_system_at_all_is_refused():
    with pytest.raises(LockError, match="at least one system"):
        here_first([])
