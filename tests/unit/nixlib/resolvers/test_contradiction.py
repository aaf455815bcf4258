"""Requirements out of each other's time, on a small registry made up here."""

from dataclasses import astuple

import pytest
from packaging.version import Version
from recorded_world import RecordedWorld, graph_of

from nixlib.resolvers.contradiction import contradictions, untimely
from nixlib.resolvers.era import Question
from nixlib.resolvers.requirements import parse_requirements


def released(*versions):
    return [[version, f"{when}T00:00:00+00:00", True] for version, when in versions]


WORLD = RecordedWorld(
    {
        "app": released(("1.0", "2020-01-01"), ("2.0", "2026-01-01")),
        "lib": released(("1.0", "2019-06-01"), ("1.0.2", "2020-03-01"), ("2.0", "2026-01-01")),
        "new": released(("3.0", "2026-01-01")),
        "certifi": released(("2019.1", "2019-01-01"), ("2026.1", "2026-01-01")),
    },
    {
        "app 1.0": ["lib>=1", "certifi"],
        "app 2.0": ["lib>=2"],
        "new 3.0": ["lib>=2"],
        "lib 2.0": [],
        "lib 1.0.2": [],
    },
    {},
)


def said(*requirements, lib="2.0", app="1.0", **fields):
    chosen = {name: (version, "") for name, version in {"app": app, "lib": lib}.items()}
    graph = graph_of({**chosen, "certifi": ("2026.1", "")}, {"app": ["lib"]})
    fresh = {"app": "2.0", "lib": "2.0", "certifi": "2026.1"}
    return contradictions(Question(graph, fresh, parse_requirements(requirements), **fields), WORLD)


@pytest.mark.parametrize("line", ["lib>=2", "lib==2.0", "lib>1.5"])
def test_requirement_that_is_newer_than_an_old_pin_was_made_for_is_named(line):
    (sentence,) = said("app==1.0", line)

    assert f"requirement 2 `{line}`" in sentence
    assert "app 1.0 of 2020-01" in sentence
    assert "lib 1.0.2 is of its time" in sentence


@pytest.mark.parametrize(
    ("requirements", "chosen"),
    [
        (("app==1.0",), {}),
        (("app==1.0", "lib"), {"lib": "1.0.2"}),
        (("app==1.0", "lib<2"), {"lib": "1.0.2"}),
        (("app>=1", "lib>=2"), {"app": "2.0"}),
        (("app==1.0", "certifi>=2026"), {"lib": "1.0.2"}),
        # `new` is what wants the newer one; a line that would allow the older is not at fault.
        (("app==1.0", "lib", "new"), {}),
    ],
    ids=["not named", "held", "capped", "nothing old", "timeless", "somebody else's"],
)
def test_what_fits_is_not_named(requirements, chosen):
    assert said(*requirements, **chosen) == ()


def test_grace_counts():
    assert Version("1.0.2") > Version("1.0")
    assert said("app==1.0", "lib==1.0.2", lib="1.0.2") == ()


@pytest.mark.parametrize(
    ("names", "lib", "told"),
    [
        ({"lib"}, "2.0", [("lib", "2.0", "1.0.2", "app", "1.0", "2020-01")]),
        ({"lib"}, "1.0.2", []),
        ({"lib"}, "1.9", []),
        ({"other"}, "2.0", []),
        ({"certifi"}, "2.0", []),
    ],
)
def test_what_is_of_a_later_major_version_than_an_old_pin_knows_is_told(names, lib, told):
    graph = graph_of({"app": ("1.0", ""), "lib": (lib, "")}, {"app": ["lib"]})
    question = Question(
        graph, {"app": "2.0", "lib": lib}, parse_requirements(["app==1.0"]), frozenset({"lib"})
    )
    found = untimely(question, WORLD, names)
    assert [astuple(one) for one in found] == told


def test_major_version_that_was_there_already_is_none_too_late():
    world = RecordedWorld(
        {
            "app": released(("1.0", "2024-04-01"), ("2.0", "2026-01-01")),
            "lib": released(("1.0", "2023-01-01"), ("2.0b1", "2024-03-11"), ("2.1", "2025-01-01")),
        },
        {"app 1.0": ["lib"], "app 2.0": ["lib"]},
        {},
    )
    graph = graph_of({"app": ("1.0", ""), "lib": ("2.1", "")}, {"app": ["lib"]})
    question = Question(graph, {"app": "2.0", "lib": "2.1"}, parse_requirements(["app==1.0"]))
    assert untimely(question, world, {"lib"}) == ()
