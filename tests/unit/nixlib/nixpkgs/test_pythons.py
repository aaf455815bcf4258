import pytest

from nixlib.errors import EvaluationError, InterpreterError
from nixlib.nixpkgs.pythons import BuiltFor, check_same, choose_python, named_python
from nixlib.nixpkgs.repository import Repository
from nixlib.nixpkgs.revisions import Revision

REVISION = Revision(Repository("NixOS/nixpkgs"), "0" * 40, "sha256-")
OFFERED = {
    "python3": "3.12.4",
    "python312": "3.12.4",
    "python311": "3.11.9",
    "python313": "3.13.0rc1",
}


def package(attribute: str, version: str) -> BuiltFor:
    return BuiltFor(REVISION, "main", attribute, version)


@pytest.mark.parametrize(
    ("asked", "attribute"),
    [
        (None, "python312"),
        ("3.11", "python311"),
        (">=3.9", "python312"),
        ("3.13.0rc1", "python313"),
    ],
)
def test_python_is_what_the_notebook_asks_for(asked, attribute):
    assert choose_python(REVISION, "main", OFFERED, asked).attribute == attribute


def test_python_that_is_not_there_names_those_that_are():
    with pytest.raises(InterpreterError) as caught:
        choose_python(REVISION, "main", OFFERED, "3.10")
    assert caught.value.wanted == "3.10"
    assert set(caught.value.found) == set(OFFERED.values())


def test_package_brings_the_python_it_is_built_for():
    first = check_same([package("python3Packages.a", "3.12.4")] * 2, "3.12", None)
    assert named_python(first, OFFERED).attribute == "python312"


def test_packages_for_two_pythons_are_refused_by_naming_both():
    with pytest.raises(EvaluationError) as caught:
        check_same([package("a", "3.12.4"), package("b", "3.11.9")], None, None)
    assert "`nixpkgs#a` and `nixpkgs#b`" in caught.value.summary


@pytest.mark.parametrize(("python", "interpreter"), [("3.11", None), (None, "host")])
def test_package_for_another_python_than_asked_for_is_refused(python, interpreter):
    with pytest.raises(InterpreterError) as caught:
        check_same([package("python3Packages.numpy", "3.12.4")], python, interpreter)
    assert caught.value.found == ("3.12.4",)
