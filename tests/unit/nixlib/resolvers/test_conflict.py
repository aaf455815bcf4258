"""A refusal of uv in the notebook's terms."""

import pytest

from nixlib.resolvers.conflict import Asker, explain, is_contradiction
from nixlib.resolvers.requirements import parse_requirements
from nixlib.resolvers.simple import IndexFile
from nixlib.resolvers.uv import Problem, Refusal

PROBLEM = Problem((), "3.11.7", "x86_64-linux")
CLASH = """error: No solution found when resolving dependencies
  cause: Because pandas>=2.2.3,<=2.3.3 depends on numpy>=1.23.2 and pandas==3.0.4 has no usable wheels, we can
  conclude that pandas>=2.2.3 depends on numpy>=1.23.2."""
WANTED = parse_requirements(("numpy<1.23", "pandas>=2.2.3"))


def asker(*filenames):
    files = [IndexFile(name, f"https://host.example/{name}") for name in filenames]
    return Asker("n.ipynb", WANTED, lambda _: files)


def test_wheel_that_is_there_is_not_said_to_be_missing():
    error = explain(
        Refusal(PROBLEM, CLASH), asker("pandas-3.0.4-cp311-cp311-manylinux_2_24_x86_64.whl")
    )
    assert "has no wheel" not in error.summary
    assert "does not fit together with" in error.summary


def test_wheel_that_is_missing_is_said_to_be():
    error = explain(
        Refusal(PROBLEM, CLASH), asker("pandas-3.0.4-cp38-cp38-manylinux_2_24_x86_64.whl")
    )
    assert error.summary.endswith("`pandas 3.0.4` has no wheel for Python 3.11.7 on x86_64-linux")
    known = explain(Refusal(PROBLEM, CLASH), asker(), is_together=True)
    assert "does not fit together with" in known.summary


@pytest.mark.parametrize(
    ("said", "is_one"),
    [
        (CLASH, True),
        ("error: x\n  cause: Because pandsa was not found in the package registry, we can", False),
        ("error: x\n  cause: Because a==1 depends on Python>=3.12, we can conclude", False),
        ("error: Failed to fetch: `https://host.example/simple/a/`", False),
    ],
)
def test_contradiction_is_told_from_what_is_not_there(said, is_one):
    assert is_contradiction(Refusal(PROBLEM, said)) is is_one
