"""Lines are given to whom they are for, and keep their places."""

from nixlib.requirements.sorting import read_lines, sort_lines


def test_each_ecosystem_gets_its_own_lines_with_the_places_that_they_have():
    found = sort_lines(
        read_lines(["pandas", "blas * mkl*", "nixpkgs#graphviz", "numpy >1", "conda-forge::six"])
    )
    assert [(line.number, line.text) for line in found.pypi] == [(1, "pandas"), (4, "numpy >1")]
    assert [(line.number, line.read.name) for line in found.conda] == [(2, "blas"), (5, "six")]
    assert [(line.number, line.read.name) for line in found.nixpkgs] == [(3, "graphviz")]
