"""The verbs that only look: differences and trees of locks, as values."""

from nixenv.cli.changes import changes_between, held_lines
from nixenv.cli.diff import spec_differences
from nixenv.cli.members import Member
from nixenv.cli.status import _rows
from nixenv.cli.tree import _drawn, _leading_to, grow
from nixlib.lock import Lock, LockedInterpreter, LockedPackage


def lock_of(*packages: LockedPackage) -> Lock:
    return Lock(
        spec="0" * 64,
        interpreter=LockedInterpreter("3.11.7", "host"),
        packages=packages,
        systems=("x86_64-linux",),
    )


def test_changes_name_what_came_went_and_moved():
    before = lock_of(LockedPackage("a", "1"), LockedPackage("b", "1"))
    after = lock_of(LockedPackage("b", "2"), LockedPackage("c", "1"))
    changes = changes_between(before, after)
    assert changes.added == (("c", "1"),)
    assert changes.removed == (("a", "1"),)
    assert changes.changed == (("b", "1", "2"),)
    assert changes.lines() == ("- a 1", "~ b 1 → 2", "+ c 1")


def test_changes_are_none_when_the_locks_are_equal():
    lock = lock_of(LockedPackage("a", "1"))
    assert changes_between(lock, lock).lines() == ()


def test_changes_show_the_versions_of_several_systems_together():
    before = lock_of(LockedPackage("a", "1"))
    after = lock_of(
        LockedPackage("a", "1", systems=("x86_64-linux",)),
        LockedPackage("a", "2", systems=("aarch64-darwin",)),
    )
    assert changes_between(before, after).changed == (("a", "1", "1, 2"),)


def test_held_lines_give_the_reason():
    reason = "numpy 1.23.5, held to 2023-03: pandas 1.5.0 is of 2022-09"
    lock = lock_of(LockedPackage("numpy", "1.23.5", held=reason), LockedPackage("pandas", "1.5.0"))
    assert held_lines(lock) == held_lines(lock, {"numpy"}) == (reason,)
    assert held_lines(lock, {"pandas"}) == ()


def test_status_gives_each_reason_a_line_of_its_own():
    rows = [row for key, value in FACTS.items() for row in _rows(key, value)]
    assert rows == [
        ("requirements", "pandas==1.5, numpy"),
        ("held", "numpy 1.23.5, held to 2023-03: pandas 1.5.0 is of 2022-09"),
        ("", "six 1.16.0, held to 2023-03: pandas 1.5.0 is of 2022-09"),
        ("running", "no"),
    ]


FACTS = {
    "python": None,
    "requirements": ["pandas==1.5", "numpy"],
    "held": [
        "numpy 1.23.5, held to 2023-03: pandas 1.5.0 is of 2022-09",
        "six 1.16.0, held to 2023-03: pandas 1.5.0 is of 2022-09",
    ],
    "notes": [],
    "running": False,
}


PACKAGES = {
    name: Member("pypi", name, "1", requires=requires)
    for name, requires in {
        "top": ("left", "right"),
        "left": ("base",),
        "right": ("base", "loop"),
        "base": ("deep",),
        "deep": (),
        "loop": ("right",),
    }.items()
}


def test_tree_gives_a_package_its_dependencies_once():
    assert list(_drawn(grow(["top"], PACKAGES))) == [
        "top 1",
        "├── left 1",
        "│   └── base 1",
        "│       └── deep 1",
        "└── right 1",
        "    ├── base 1 (above)",
        "    └── loop 1",
        "        └── right 1 (above)",
    ]


def test_tree_shows_only_the_ways_to_one_package():
    assert list(_drawn(grow(["top"], _leading_to(["left"], PACKAGES)))) == ["top 1", "└── left 1"]


def test_spec_differences_list_requirements_by_line():
    before = {"python": "3.10", "requirements": ["a", "b"]}
    after = {"requirements": ["b", "c"], "strict": True}
    assert spec_differences(before, after) == {
        "python": {"from": "3.10", "to": None},
        "requirements": {"added": ["c"], "removed": ["a"]},
        "strict": {"from": None, "to": True},
    }
