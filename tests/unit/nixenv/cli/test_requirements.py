"""Editing requirement lines."""

import pytest

from nixenv.cli.requirements import with_added, with_removed, without_secrets
from nixlib.errors import RequirementError
from nixlib.spec import Spec


def test_add_appends_what_is_new():
    assert with_added(("pandas",), ["seaborn"]) == ("pandas", "seaborn")


def test_add_replaces_in_place_when_the_name_is_there():
    assert with_added(("Pandas==1.5", "numpy"), ["pandas >= 2"]) == ("pandas >= 2", "numpy")


def test_add_takes_the_place_of_several_lines_of_one_name():
    existing = ("a; python_version<'3.9'", "b", "a>2; python_version>='3.9'")
    assert with_added(existing, ["A==3"]) == ("A==3", "b")


def test_add_keeps_every_line_of_one_name_that_is_typed_at_once():
    assert with_added((), ["a<1", "b", "a>2", "a<1"]) == ("a<1", "a>2", "b")
    assert with_added(("x", "a==3", "y"), ["a<1", "a>2"]) == ("x", "a<1", "a>2", "y")


def test_add_writes_no_secret():
    (line,) = with_added((), ["x @ https://me:secret@host.example/x-1-py3-none-any.whl?token=t"])
    assert "secret" not in line
    assert "token" not in line


@pytest.mark.parametrize(
    "text", ["pandas==", "numpy[test] 1.2", "==1", "", "-r file", "git+https://x/y"]
)
def test_add_refuses_what_is_no_requirement(text):
    with pytest.raises(RequirementError) as caught:
        with_added((), [text])
    assert caught.value.key == "requirements"
    assert "\n" not in caught.value.summary


def test_remove_takes_every_line_of_the_name():
    existing = ("a; python_version<'3.9'", "B.b", "a>2")
    assert with_removed(existing, ["A", "b-B"]) == ()


def test_remove_names_the_nearest_when_there_is_none():
    with pytest.raises(RequirementError) as caught:
        with_removed(("pandas", "seaborn"), ["pandsa"])
    assert caught.value.hint == "did you mean `pandas`?"
    assert caught.value.requirement == "pandsa"


def test_line_of_another_syntax_is_about_another_thing():
    existing = ("graphviz>=0.20", "nixpkgs#graphviz")
    typed = ["conda-forge::graphviz >=9"]
    assert with_added(existing, typed) == (*existing, *typed)
    assert with_added(existing, ["nixpkgs/release#graphviz"])[1] == "nixpkgs/release#graphviz"


def test_match_spec_replaces_the_match_spec_of_its_name():
    assert with_added(("blas * mkl", "numpy"), ["blas * openblas"]) == ("blas * openblas", "numpy")


@pytest.mark.parametrize(
    ("name", "left"),
    [
        ("graphviz", ()),
        ("graphviz *", ("graphviz>=0.20", "nixpkgs#graphviz")),
        ("nixpkgs#graphviz", ("graphviz>=0.20", "graphviz =9")),
        ("graphviz>=0.20", ("graphviz =9", "nixpkgs#graphviz")),
    ],
)
def test_remove_takes_a_name_of_any_syntax_and_a_line_of_its_own(name, left):
    existing = ("graphviz>=0.20", "graphviz =9", "nixpkgs#graphviz")
    assert with_removed(existing, [name]) == left


def test_hand_written_secrets_do_not_stay():
    spec = Spec(
        requirements=(
            "six @ https://me:hush@example.org/six-1-py3-none-any.whl?token=hush",
            "numpy",
        ),
        indexes=("https://me:hush@example.org/simple",),
    )
    clean = without_secrets(spec)
    assert "hush" not in str(clean.to_json())
    assert clean.indexes == ("https://example.org/simple",)
    assert clean.requirements[1] == "numpy"
    assert without_secrets(clean) == clean
