"""Groups of private dependencies in a spec."""

import pytest

from nixlib.errors import SpecError
from nixlib.spec import PrivateGroup, Spec, parse_spec
from nixlib.spec.private import group_name, is_group_name

FULL = {
    "legacy": {"requirements": ["pydantic<2"], "mode": "process", "python": "3.8"},
    "old": ["pandas==2.0.3"],
    "somelib": {"for": "some-lib", "singleton": ["lxml"]},
}


def parsed(private):
    return parse_spec({"version": 1, "private": private})


def test_groups_round_trip():
    assert parsed(FULL).to_json()["private"] == FULL


def test_groups_stand_in_the_order_of_their_names():
    spec = parsed(dict(reversed(FULL.items())))
    assert [group.name for group in spec.private] == ["legacy", "old", "somelib"]
    assert spec.digest == parsed(FULL).digest


def test_list_and_object_of_requirements_are_one():
    assert parsed({"old": ["six"]}) == parsed({"old": {"requirements": ["six"]}})


def test_names_of_packages_are_normalised():
    group = parsed({"lib": {"for": "Some_Lib", "singleton": ["Py.Arrow"]}}).private[0]
    assert (group.package, group.singleton) == ("some-lib", ("py-arrow",))


@pytest.mark.parametrize(
    ("private", "key"),
    [
        ([], "private"),
        ({"Old": ["six"]}, "private"),
        ({"class": ["six"]}, "private"),
        ({"../old": ["six"]}, "private"),
        ({"_old": ["six"]}, "private"),
        ({"o" * 61: ["six"]}, "private"),
        ({"old": "six"}, "private.old"),
        ({"old": []}, "private.old.requirements"),
        ({"old": {}}, "private.old.requirements"),
        ({"old": ["a\nb"]}, "private.old.requirements[0]"),
        ({"old": {"requirement": ["six"]}}, "private.old.requirement"),
        ({"old": {"requirements": ["six"], "mode": "thread"}}, "private.old.mode"),
        ({"old": {"requirements": ["six"], "mode": []}}, "private.old.mode"),
        ({"old": {"requirements": ["six"], "python": "3.8"}}, "private.old.mode"),
        ({"old": {"for": "a b"}}, "private.old.for"),
        ({"old": {"for": ["six"]}}, "private.old.for"),
        ({"old": {"for": "six", "mode": "process"}}, "private.old.for"),
        (
            {"old": {"requirements": ["a"], "singleton": ["b"], "mode": "process"}},
            "private.old.singleton",
        ),
        ({"old": {"requirements": ["a"], "singleton": ["-"]}}, "private.old.singleton[0]"),
        ({"a": {"for": "six"}, "b": {"for": "Six"}}, "private.b.for"),
    ],
)
def test_group_is_refused_naming_the_key(private, key):
    with pytest.raises(SpecError) as caught:
        parsed(private)
    assert caught.value.key == f"nixenv.{key}"
    assert f"`nixenv.{key}`" in caught.value.summary


def test_spec_of_a_process_asks_for_what_the_group_does():
    spec = parse_spec(
        {"version": 1, "requirements": ["six"], "python": "3.11", "era": False, "private": FULL}
    )
    of_process = spec.of_process(spec.private[0])
    assert of_process == Spec(python="3.8", requirements=("pydantic<2",), era=False)
    plain = spec.of_process(PrivateGroup("x", ("attrs",), mode="process"))
    assert plain.python == "3.11"


@pytest.mark.parametrize("text", ["", "==", "Ünïcode", "9", "a" * 200, "for", "a.b-C", "__x__"])
def test_group_name_is_one_whatever_it_is_made_of(text):
    assert is_group_name(group_name(text))
