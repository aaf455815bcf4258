"""The rule for old pins, on registries that were recorded and on small ones made up here."""

from dataclasses import replace

import pytest
from packaging.version import Version
from recorded_world import FOLDER, RecordedWorld, graph_of, recorded

from nixlib.resolvers.era import Question, find_holds, old_packages, without_bounds
from nixlib.resolvers.requirements import parse_requirements

RECORDINGS = sorted(path.stem for path in FOLDER.glob("*.json"))


@pytest.mark.parametrize("name", RECORDINGS)
def test_rule_holds_what_it_held_when_the_pin_was_seen_to_work(name):
    question, world, holds = recorded(name)
    found = find_holds(question, world)
    assert {name: [str(hold.upper), hold.nearest] for name, hold in found.items()} == holds


@pytest.mark.parametrize("name", RECORDINGS)
def test_nothing_is_out_of_its_time_once_holds_are_obeyed(name):
    question, world, _ = recorded(name)
    holds = find_holds(question, world)
    nodes = {
        name: replace(node, version=str(min(Version(node.version), holds[name].upper)))
        if name in holds
        else node
        for name, node in question.graph.nodes.items()
    }
    obeyed = replace(question, graph=replace(question.graph, nodes=nodes))
    again = find_holds(obeyed, world)
    binding = [
        name
        for name, hold in again.items()
        if name in nodes and Version(nodes[name].version) > hold.upper
    ]
    assert binding == []


@pytest.mark.parametrize(
    ("recording", "name", "upper"),
    [
        ("pandas-1.5", "numpy", "1.23.5"),  # 1.24 has no `np.float`, 2 another ABI
        ("jinja2-2.11", "markupsafe", "2.0.1"),  # 2.1 has no `soft_unicode`
        ("black-22.1", "click", "8.0.4"),  # 8.1 has no `_unicodefun`
        ("flask-2.2", "werkzeug", "2.2.3"),  # 3 has no `url_quote`
        ("networkx-2.5", "decorator", "4.4.2"),  # 5 changed what networkx relies on
        ("alembic-1.6", "sqlalchemy", "1.4.54"),  # 2 has no `Engine.execute`
    ],
)
def test_known_breakage_is_avoided(recording, name, upper):
    question, world, _ = recorded(recording)
    assert find_holds(question, world)[name].upper <= Version(upper)


def test_what_is_asked_for_by_name_wins_over_its_time():
    question, world, _ = recorded("numpy-asked-for")
    assert find_holds(question, world)["numpy"].upper >= Version("1.24")


WORLD = RecordedWorld(
    {
        "extra-lib": [["1.0", "2019-01-01T00:00:00+00:00", True], ["9.0", "2026-01-01T00:00:00+00:00", True]],
        "app": [["1.0", "2020-01-01T00:00:00+00:00", True], ["2.0", "2026-01-01T00:00:00+00:00", True]],
        "lib": [
            ["1.0", "2019-06-01T00:00:00+00:00", True],
            ["1.0.1", "2020-03-01T00:00:00+00:00", True],
            ["1.1", "2020-04-01T00:00:00+00:00", True],
            ["1.0.2", "2021-01-01T00:00:00+00:00", True],
            ["2.0", "2026-01-01T00:00:00+00:00", True],
        ],
        "base": [["1.0", "2019-01-01T00:00:00+00:00", False], ["1.5", "2022-01-01T00:00:00+00:00", True],
                 ["1.5.1", "2022-02-01T00:00:00+00:00", True], ["3.0", "2026-01-01T00:00:00+00:00", True]],
        "pytz": [["2019.1", "2019-01-01T00:00:00+00:00", True], ["2026.1", "2026-01-01T00:00:00+00:00", True]],
        "capped": [["1.0", "2019-01-01T00:00:00+00:00", True], ["1.9", "2025-01-01T00:00:00+00:00", True]],
    },
    {
        "app 1.0": ["lib>=1", "pytz", "capped<2"],
        "app 2.0": ["lib>=2"],
        "lib 1.0.1": ["base"],
        "lib 1.1": ["base"],
        "lib 2.0": ["base"],
        "base 1.5.1": [],
        "extra-lib 1.0": [],
        "extra-lib 9.0": [],
        "base 3.0": [],
        "capped 1.9": [],
    },
    {"app 1.0": ["extra-lib ; extra == 'x'"]},
)  # fmt: skip
CHOSEN = {
    "app": ("1.0", "2020-01-01"),
    "lib": ("2.0", "2026-01-01"),
    "base": ("3.0", ""),
    "capped": ("1.9", ""),
}
FRESH = {"app": "2.0", "lib": "2.0", "base": "3.0", "capped": "1.9"}


def ask(*requirements, chosen=CHOSEN, fresh=FRESH, **fields):
    graph = graph_of(chosen, {"app": ["lib"], "lib": ["base"]})
    return Question(graph, fresh, parse_requirements(requirements), **fields)


def uppers(question):
    return {name: str(hold.upper) for name, hold in find_holds(question, WORLD).items()}


def test_only_bug_fixes_count_within_the_grace():
    assert uppers(ask("app==1.0")) == {"lib": "1.0.1", "base": "1.5.1"}


def test_package_without_a_wheel_in_time_is_held_to_the_nearest_that_has_one():
    hold = find_holds(ask("app==1.0"), WORLD)["base"]
    assert hold.nearest
    assert (
        hold.reason("1.5.1")
        == "base 1.5.1, the nearest to 2020-08 that fits: lib 1.0.1 is of 2020-03"
    )


def test_data_and_bounded_dependencies_are_left_alone():
    assert not {"pytz", "capped"} & uppers(ask("app==1.0")).keys()


def test_fresh_requirements_are_not_touched():
    newest = {**CHOSEN, "app": ("2.0", "2026-01-01")}
    assert uppers(ask("app", chosen=newest)) == {}
    assert uppers(ask("app<3", chosen=newest)) == {}


def test_pin_of_a_dependency_is_never_held():
    assert "lib" not in uppers(ask("app==1.0", "lib==2.0"))


def test_kernel_is_never_held():
    assert uppers(ask("app==1.0", kernel=frozenset({"lib"}))) == {}


def test_every_pin_is_old_when_there_is_no_fresh_resolution():
    assert old_packages(ask("app==1.0", fresh=None)) == {"app"}


def test_hold_is_loosened_by_the_least():
    hold = find_holds(ask("app==1.0"), WORLD)["lib"]
    steps = [hold]
    for _ in range(3):
        steps.append(steps[-1].looser())
    assert [step.constraint for step in steps] == ["lib<=1.0.1", "lib<1.1", "lib<2", ""]


def test_bounds_are_taken_away_and_the_rest_stays():
    wanted = parse_requirements(
        [
            "a[x]>=1,<2; python_version>'3'",
            "b==1",
            "c~=1.2",
            "d!=3",
            "e @ https://h.example/e-1-py3-none-any.whl",
        ]
    )
    assert without_bounds(wanted) == (
        'a[x]>=1; python_version > "3"',
        "b",
        "c",
        "d!=3",
        "e @ https://h.example/e-1-py3-none-any.whl",
    )


def test_optional_dependency_is_held_only_where_it_is_installed():
    assert "extra-lib" not in uppers(ask("app==1.0"))
    with_it = {**CHOSEN, "extra-lib": ("9.0", "")}
    assert uppers(ask("app==1.0", "extra-lib", chosen=with_it))["extra-lib"] == "1.0"
