import re

import pytest

from nixlib.variants import (
    build_choice,
    conda_constraints,
    recorded,
    torch_backend,
    virtual_overrides,
)

LINUX, DARWIN = "x86_64-linux", "aarch64-darwin"
MKL, CUDA = {"blas": "mkl"}, {"cuda": "12.4"}


def kept(variants, *builds):
    pattern = build_choice(variants, builds)
    return [build for build in builds if pattern is None or re.search(pattern, build)]


@pytest.mark.parametrize(
    ("variants", "builds", "fitting"),
    [
        (MKL, ["mkl", "openblas"], ["mkl"]),
        (MKL, ["20_linux64_mkl", "20_linux64_openblas"], ["20_linux64_mkl"]),
        (MKL, ["mklpy36_1", "openblaspy36_1"], ["mklpy36_1"]),
        (MKL, ["cpu_mkl_py311_100", "cpu_generic_py311_0"], ["cpu_mkl_py311_100"]),
        (MKL, ["nomkl_0", "openblas_0"], ["nomkl_0", "openblas_0"]),
        (MKL, ["py311_0", "py312_0"], ["py311_0", "py312_0"]),
        (MKL, ["mkl_py311_0", "mkl_py312_0"], ["mkl_py311_0", "mkl_py312_0"]),
        (CUDA, ["cuda124_py311_1", "cuda118_py311_1", "cpu_py311_0"], ["cuda124_py311_1"]),
        (CUDA, ["cuda120_py311_1", "cuda126_py311_1", "cpu_py311_0"], ["cuda120_py311_1"]),
        (CUDA, ["cuda12.4_0", "cuda12.6_0"], ["cuda12.4_0"]),
        (CUDA, ["cuda112py39h9_0", "cuda120py39h9_0", "cpu_py39_0"], ["cuda120py39h9_0"]),
        (CUDA, ["gpu_py38_0", "eigen_py38_0"], ["gpu_py38_0"]),
        (CUDA, ["cuda_mpi_0", "nompi_0"], ["cuda_mpi_0"]),
        (CUDA, ["cuda126_0", "cpu_0"], []),
        (CUDA, ["py311_0", "py312_0"], ["py311_0", "py312_0"]),
        ({"cuda": "12"}, ["cuda129_0", "cuda118_0"], ["cuda129_0"]),
        ({"cuda": None}, ["cuda124_0", "cpu_0"], ["cpu_0"]),
        ({"mpi": "mpich"}, ["mpi_mpich_0", "mpi_openmpi_0", "nompi_0"], ["mpi_mpich_0"]),
        ({"mpi": None}, ["mpi_mpich_0", "nompi_0"], ["nompi_0"]),
        ({**MKL, "cuda": None}, ["cpu_mkl_0", "cpu_generic_0", "cuda12_mkl_0"], ["cpu_mkl_0"]),
        ({"glibc": "2.17", "archspec": "x86_64_v3"}, ["x86_64_v3", "h0"], ["x86_64_v3", "h0"]),
    ],
)
def test_build_strings_are_chosen_by_their_words(variants, builds, fitting):
    assert kept(variants, *builds) == fitting


def test_constraints_name_every_mutex_of_a_choice():
    names = [rule.partition("[")[0] for rule in conda_constraints(MKL, LINUX)]
    assert names == ["blas", "libblas", "libcblas", "liblapack", "liblapacke"]


@pytest.mark.parametrize(
    ("variants", "system", "rules"),
    [
        (CUDA, LINUX, ("cuda-version >=12,<=12.4", "cudatoolkit >=12,<=12.4")),
        ({"cuda": "12"}, LINUX, ("cuda-version 12.*", "cudatoolkit 12.*")),
        ({"cuda": None}, LINUX, ("cuda-version <0", "cudatoolkit <0")),
        (CUDA, DARWIN, ("cuda-version <0", "cudatoolkit <0")),
        ({"mpi": None}, LINUX, ("mpi <0",)),
        ({"glibc": "2.17"}, LINUX, ()),
    ],
)
def test_constraints_are_those_of_the_ecosystem(variants, system, rules):
    assert conda_constraints(variants, system) == rules


def test_every_constraint_is_a_match_spec():
    from rattler import MatchSpec

    for variants in (MKL, CUDA, {"cuda": None}, {"mpi": "mpich"}, {"mpi": None}, {"x": "a.b+c"}):
        for rule in conda_constraints(variants, LINUX):
            assert MatchSpec(rule).name.normalized == re.match(r"[a-z-]+", rule)[0]


def test_virtual_packages_are_decided_where_they_can_be():
    variants = {"cuda": "12.4", "glibc": "2.17", "osx": "13.0", "blas": "mkl"}
    assert virtual_overrides(variants, LINUX) == {"__cuda": "12.4", "__glibc": "2.17"}
    assert virtual_overrides(variants, DARWIN) == {"__osx": "13.0"}
    assert virtual_overrides({"cuda": None}, LINUX) == {"__cuda": None}


@pytest.mark.parametrize(
    ("choice", "backend"),
    [
        ("12.4", "cu124"),
        ("12.5", "cu124"),
        ("12", "cu129"),
        ("11.2", "cu111"),
        ("11.8", "cu118"),
        ("12.4.1", "cu124"),
        ("10.2", "cu102"),
        ("13.0", "cu130"),
        (None, "cpu"),
        ("word", "cpu"),
    ],
)
def test_torch_backend_is_the_newest_that_the_driver_serves(choice, backend):
    assert torch_backend({"cuda": choice}) == backend


def test_torch_backend_is_nobodys_business_without_a_variant():
    assert torch_backend(MKL) is None


def test_substitutions_are_recorded_as_words():
    assert recorded({"cuda": None, "archspec": "x86_64_v2"}) == {
        "archspec": "x86_64_v2",
        "cuda": "none",
    }
