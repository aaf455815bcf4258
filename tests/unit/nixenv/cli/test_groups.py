"""Editing groups of private dependencies."""

import pytest

from nixenv.cli.groups import check_public, with_group, without_group
from nixenv.cli.requirements import without_secrets
from nixenv.errors import UsageError
from nixlib.errors import RequirementError, SpecError
from nixlib.spec import PrivateGroup, Spec
from nixlib.spec.private import group_name, is_group_name

OLD = Spec(requirements=("pandas",), private=(PrivateGroup("old", ("pandas==2.0.3",)),))


def group_of(spec):
    (group,) = spec.private
    return group


def test_group_is_made_of_what_is_typed():
    made = group_of(with_group(Spec(), "old", ["pandas==2.0.3", "six"]))
    assert made == PrivateGroup("old", ("pandas==2.0.3", "six"))


def test_line_of_a_name_that_the_group_has_takes_its_place():
    made = group_of(with_group(OLD, "old", ["six", "Pandas==2.1"]))
    assert made.requirements == ("Pandas==2.1", "six")


def test_line_leaves_the_notebooks_own_requirements_alone():
    assert with_group(OLD, "old", ["pandas==2.1"]).requirements == ("pandas",)


def test_groups_stand_in_the_order_of_their_names():
    names = [group.name for group in with_group(OLD, "older", ["six"]).private]
    assert names == ["old", "older"]
    assert [group.name for group in with_group(OLD, "a", ["six"]).private] == ["a", "old"]


def test_group_for_a_package_needs_no_line():
    made = group_of(with_group(Spec(), "somelib", [], package="Some.Lib"))
    assert made == PrivateGroup("somelib", package="some-lib")


def test_line_that_the_notebook_has_is_not_said_again_for_its_package():
    spec = Spec(requirements=("six", "somelib==1"))
    made = group_of(with_group(spec, "somelib", ["somelib==1", "six"], package="somelib"))
    assert made == PrivateGroup("somelib", ("six",), package="somelib")
    made = group_of(with_group(spec, "somelib", ["somelib==2"], package="somelib"))
    assert made.requirements == ("somelib==2",)


def test_options_stay_when_they_are_not_said_again():
    spec = with_group(Spec(), "old", ["six"], is_process=True, python="3.8")
    spec = with_group(spec, "old", ["attrs"])
    assert group_of(spec) == PrivateGroup("old", ("six", "attrs"), mode="process", python="3.8")


def test_singletons_are_added_to_those_that_are_there():
    spec = with_group(Spec(), "old", ["six"], singleton=["Py_Arrow"])
    spec = with_group(spec, "old", [], singleton=["lxml", "py-arrow"])
    assert group_of(spec).singleton == ("py-arrow", "lxml")


@pytest.mark.parametrize("name", ["Old", "1st", "a-b", "class", "", "../x", "a" * 61, "a b"])
def test_name_that_no_module_can_have_is_refused_with_one_that_it_can(name):
    with pytest.raises(UsageError) as caught:
        with_group(Spec(), name, ["six"])
    assert caught.value.key == "--private"
    assert is_group_name(caught.value.hint.split()[-1].rstrip("`"))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("pandas==2.0.3", "pandas_2_0_3"),
        ("Some.Lib", "some_lib"),
        ("3to2", "p_3to2"),
        ("import", "p_import"),
        ("_x_", "x"),
    ],
)
def test_group_name_is_made_of_any_text(text, name):
    assert group_name(text) == name


def test_group_with_nothing_to_have_is_refused():
    with pytest.raises(UsageError):
        with_group(Spec(), "old", [], is_process=True)


def test_python_of_its_own_needs_a_process_of_its_own():
    with pytest.raises(UsageError) as caught:
        with_group(Spec(), "old", ["six"], python="3.8")
    assert caught.value.key == "--python"


@pytest.mark.parametrize("options", [{"package": "six"}, {"singleton": ["numpy"]}])
def test_process_shares_nothing(options):
    with pytest.raises(SpecError) as caught:
        with_group(Spec(), "old", ["six"], is_process=True, **options)
    assert caught.value.key.startswith("nixenv.private.old.")


def test_package_has_one_group_of_its_own():
    spec = with_group(Spec(), "lib", [], package="somelib")
    with pytest.raises(SpecError) as caught:
        with_group(spec, "other", [], package="SomeLib")
    assert caught.value.key == "nixenv.private.other.for"
    assert "`lib`" in caught.value.summary


def test_package_that_is_none_is_refused():
    with pytest.raises(SpecError) as caught:
        with_group(Spec(), "old", [], package="six; import os")
    assert caught.value.key == "nixenv.private.old.for"


def test_line_that_cannot_be_read_is_refused():
    with pytest.raises(RequirementError):
        with_group(OLD, "old", ["pandas=="])


def test_remove_takes_lines_and_leaves_the_group():
    spec = with_group(OLD, "old", ["six"])
    assert group_of(without_group(spec, "old", ["Pandas"])).requirements == ("six",)


@pytest.mark.parametrize("names", [[], ["pandas"], ["pandas==2.0.3"]])
def test_remove_takes_the_group_when_nothing_is_left(names):
    assert without_group(OLD, "old", names) == Spec(requirements=("pandas",))


def test_remove_takes_the_group_with_the_package_that_it_is_for():
    spec = with_group(Spec(), "lib", ["six"], package="somelib")
    assert without_group(spec, "lib", ["Somelib"]).private == ()


def test_remove_of_a_line_of_its_package_leaves_the_group():
    spec = with_group(Spec(), "lib", ["somelib==1", "six"], package="somelib")
    group = group_of(without_group(spec, "lib", ["somelib"]))
    assert (group.requirements, group.package) == (("six",), "somelib")


def test_remove_from_an_unknown_group_names_the_known_ones():
    with pytest.raises(UsageError) as caught:
        without_group(OLD, "odl")
    assert caught.value.details == ("there are `old`",)
    assert caught.value.hint == "did you mean `old`?"


def test_remove_of_what_the_group_has_not_is_refused():
    with pytest.raises(RequirementError):
        without_group(OLD, "old", ["six"])


def test_what_only_a_group_has_is_said_to_be_there():
    spec = with_group(OLD, "old", ["six"])
    check_public(spec, ["pandas"])
    with pytest.raises(UsageError) as caught:
        check_public(spec, ["Six"])
    assert caught.value.hint == "`%nixenv remove --private old Six`"


def test_no_secret_of_a_group_is_written():
    url = "https://me:secret@host.example/x-1-py3-none-any.whl?token=t"
    typed = with_group(Spec(), "old", [f"x @ {url}"])
    by_hand = without_secrets(Spec(private=(PrivateGroup("old", (f"x @ {url}",)),)))
    assert "secret" not in str(typed) + str(by_hand)
    assert "token" not in str(typed) + str(by_hand)
