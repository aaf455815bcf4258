"""What private groups of a lock have, and how the verbs show it."""

from dataclasses import replace

import pytest

from nixenv.cli.changes import changes_between, held_in_groups
from nixenv.cli.command import Context
from nixenv.cli.diff import _group_lines, spec_differences
from nixenv.cli.group_members import described, group_members
from nixenv.cli.list import run as run_list
from nixenv.cli.lock import _upgrade
from nixenv.cli.parser import parse_command_line
from nixenv.cli.status import run as run_status
from nixenv.cli.tree import run as run_tree
from nixenv.errors import UsageError
from nixenv.notebook.metadata import read_document, write_document
from nixlib.cancel import Cancel
from nixlib.lock import Artifact, Lock, LockedConda, LockedCondaPackage, LockedInterpreter
from nixlib.lock.packages import LockedPackage
from nixlib.lock.private import LockedGroup
from nixlib.platforms import current_system
from nixlib.progress import ignore
from nixlib.settings import Settings
from nixlib.spec import PrivateGroup, Spec

HERE = current_system()
SPEC = Spec(
    requirements=("pandas", "numpy"),
    private=(
        PrivateGroup("legacy", ("pydantic<2",), mode="process", python="3.8"),
        PrivateGroup("old", ("pandas==2.0.3", "numpy")),
        PrivateGroup("older", ("pandas==1.5.3",)),
        PrivateGroup("somelib", package="somelib", singleton=("lxml",)),
    ),
)


def lock_of(*packages, python="3.11.7", **more):
    return Lock(SPEC.digest, LockedInterpreter(python, "host"), packages, (HERE,), **more)


OLD = LockedGroup(
    "old",
    (LockedPackage("pandas", "2.0.3", requires=("numpy", "pytz")), LockedPackage("pytz", "2023.3")),
    shared=("numpy",),
)
OLDER = LockedGroup(
    "older",
    (
        LockedPackage(
            "pandas", "1.5.3", requires=("numpy", "pytz"), held="pandas 1.5.3, held to 2023-01: x"
        ),
    ),
    shared=("numpy",),
    lent={"pytz": "old"},
)
SOMELIB = LockedGroup(
    "somelib", (LockedPackage("somelib", "1", requires=("numpy",)),), ("numpy",), package="somelib"
)
LEGACY = LockedGroup("legacy", process=lock_of(LockedPackage("pydantic", "1.10"), python="3.8.18"))
LOCK = lock_of(
    LockedPackage("numpy", "1.26.4"),
    LockedPackage("pandas", "2.2.3", requires=("numpy",)),
    private=(OLD, OLDER, SOMELIB, LEGACY),
)


@pytest.fixture
def answer(tmp_path):
    """What a verb says about a notebook with the groups above."""

    def run(verb, *words, lock=LOCK, spec=SPEC):
        path = tmp_path / "a.ipynb"
        path.write_text('{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}')
        written = {**spec.to_json(), "lock": lock.to_json()}
        write_document(read_document(path), {"nixenv": written})
        context = Context(Settings(tmp_path / "cache", tmp_path / "state"), ignore, Cancel())
        module = {"list": run_list, "tree": run_tree, "status": run_status}[verb]
        return module(parse_command_line([verb, str(path), *words]), context)

    return run


def test_members_of_a_group_are_its_own_and_those_it_uses():
    old, older, somelib, legacy = group_members(LOCK, HERE)
    assert [(one.name, one.version) for one in old.own] == [("pandas", "2.0.3"), ("pytz", "2023.3")]
    assert [(one.name, one.version, one.lender) for one in older.used] == [
        ("numpy", "1.26.4", "the notebook"),
        ("pytz", "2023.3", "old"),
    ]
    assert (somelib.mode, legacy.mode, legacy.python) == ("import", "process", "3.8.18")


def test_group_uses_what_conda_brings_by_its_name_on_pypi():
    of_conda = LockedCondaPackage(
        "numpy-base", "1.26", "h0", "linux-64", "https://host.example/x",
        Artifact("https://host.example/n.conda", "0" * 64, 1), pypi="numpy",
    )  # fmt: skip
    lock = lock_of(conda=LockedConda((of_conda,)), private=(OLD,))
    (old,) = group_members(lock, HERE)
    assert old.present["numpy"].version == "1.26"
    assert old.roots(SPEC.private[1]) == {"pandas": "pandas==2.0.3", "numpy": "numpy"}


def test_list_has_each_group_below_the_notebooks_own(answer):
    report = answer("list")
    assert report.text.split("\n\n")[1:] == [
        "private old\n  pandas  2.0.3   pandas==2.0.3\n  pytz    2023.3\n  the notebook's numpy",
        "private older\n  pandas  1.5.3  pandas==1.5.3\n  the notebook's numpy\n  old's pytz",
        "private somelib\n  somelib  1  somelib\n  the notebook's numpy",
        "private legacy\n  python    3.8.18  of its own process\n  pydantic  1.10    pydantic<2",
    ]
    older, legacy = report.result["private"][1], report.result["private"][3]
    assert (older["shared"], older["lent"], older["for"]) == (["numpy"], {"pytz": "old"}, "")
    assert (legacy["mode"], legacy["python"]) == ("process", "3.8.18")
    assert [one["name"] for one in report.result["packages"]] == ["numpy", "pandas"]


def test_list_without_groups_says_nothing_of_them(answer):
    assert answer("list", lock=replace(LOCK, private=())).result["private"] == []


def test_tree_shows_whose_a_package_is(answer):
    report = answer("tree")
    old = (
        "private old\n  pandas 2.0.3\n  ├── numpy 1.26.4 (the notebook's)\n  └── pytz 2023.3\n"
        "  numpy 1.26.4 (the notebook's)"
    )
    older = "private older\n  pandas 1.5.3\n  ├── numpy 1.26.4 (the notebook's)\n  └── pytz 2023.3 (old's)"
    assert report.text.split("\n\n")[1:3] == [old, older]
    node = report.result["private"][1]["tree"][0]["dependencies"][1]
    assert (node["name"], node["shared"]) == ("pytz", "old")


def test_way_to_a_package_is_looked_for_in_groups_too(answer):
    report = answer("tree", "--why", "pytz")
    assert report.text == (
        "private old\n  pandas 2.0.3: `pandas==2.0.3`\n  └── pytz 2023.3\n\n"
        "private older\n  pandas 1.5.3: `pandas==1.5.3`\n  └── pytz 2023.3 (old's)"
    )
    assert report.result["tree"] == []


def test_group_for_a_package_says_so(answer):
    (somelib,) = [
        one for one in answer("tree", "--why").result["private"] if one["group"] == "somelib"
    ]
    assert somelib["tree"][0]["reason"] == "the notebook imports it by its plain name"


def test_package_that_only_groups_need_is_said_to_be_theirs(answer):
    packages = (
        LockedPackage("ipykernel", "6"),
        LockedPackage("numpy", "1.26.4", requires=("blas",), held="numpy 1.26.4, held to 2023"),
        LockedPackage("blas", "1"),
    )
    old = replace(OLD, shared=("blas", "numpy"), hoisted=("blas", "numpy"))
    lock = lock_of(*packages, private=(old,))
    spec = replace(SPEC, requirements=(), private=(SPEC.private[1],))
    lock = replace(lock, spec=spec.digest)
    listed = answer("list", lock=lock, spec=spec)
    assert "numpy      1.26.4  for old, held to 2023" in listed.text
    assert [one.get("for") for one in listed.result["packages"]] == ["old", None, "old"]
    drawn = answer("tree", "--why", "numpy", lock=lock, spec=spec).text
    reason = "for the private group `old`: a process holds one, since its compiled parts"
    assert drawn.startswith(f"numpy 1.26.4: {reason}")
    assert "\nnumpy 1.26.4\n└── blas 1\n" in answer("tree", lock=lock, spec=spec).text


def test_status_has_a_line_for_each_group(answer):
    report = answer("status")
    assert report.result["private"] == [
        "legacy: pydantic<2 (process, Python 3.8)",
        "old: pandas==2.0.3, numpy",
        "older: pandas==1.5.3",
        "somelib: for somelib (the notebook's lxml)",
    ]
    assert "older: pandas 1.5.3, held to 2023-01: x" in report.result["held"]


def test_no_secret_is_shown_of_a_group():
    group = PrivateGroup("old", ("x @ https://me:secret@host.example/x-1-py3-none-any.whl?t=u",))
    assert "secret" not in described(group)
    assert "t=u" not in described(group)


def test_changes_of_groups_stand_apart():
    newer = replace(OLD, packages=(LockedPackage("pandas", "2.1.0"),))
    changes = changes_between(LOCK, replace(LOCK, private=(newer, OLDER, SOMELIB)))
    assert changes.lines() == (
        "- legacy: pydantic 1.10",
        "- legacy: python 3.8.18",
        "~ old: pandas 2.0.3 → 2.1.0",
        "- old: pytz 2023.3",
    )
    assert (changes.added, changes.removed, changes.changed) == ((), (), ())
    legacy, old = changes.to_json()["private"]
    assert (legacy["group"], legacy["mode"], old["mode"]) == ("legacy", "process", "import")
    assert old["changed"] == [{"name": "pandas", "from": "2.0.3", "to": "2.1.0"}]


def test_package_that_becomes_the_notebooks_is_said_to():
    both = lock_of(*LOCK.packages, LockedPackage("pytz", "2023.3"), private=(OLD,))
    shared = replace(OLD, packages=OLD.packages[:1], shared=("numpy", "pytz"))
    changes = changes_between(both, replace(both, private=(shared,)))
    assert changes.lines() == ("~ old: pytz 2023.3 → the notebook's",)


def test_another_version_of_what_a_group_shares_is_no_change_of_the_group():
    moved = (LockedPackage("numpy", "1.26.5"), LOCK.packages[1])
    assert changes_between(LOCK, replace(LOCK, packages=moved)).lines() == (
        "~ numpy 1.26.4 → 1.26.5",
    )


def test_held_packages_of_groups_are_told_when_they_are_new():
    assert held_in_groups(LOCK) == ("older: pandas 1.5.3, held to 2023-01: x",)
    assert held_in_groups(LOCK, changes_between(LOCK, LOCK)) == ()
    assert held_in_groups(LOCK, changes_between(None, LOCK)) == held_in_groups(LOCK)


def test_diff_tells_which_group_asks_for_what():
    after = SPEC.without_group("older").with_group(
        PrivateGroup("old", ("pandas==2.1",), mode="process")
    )
    found = spec_differences(SPEC.to_json(), after.to_json())
    assert found["private"]["older"] == {"from": ["pandas==1.5.3"], "to": None}
    lines = [line for name, one in found["private"].items() for line in _group_lines(name, one)]
    assert lines == [
        "~ old.mode: nothing → process",
        "- old asks for pandas==2.0.3",
        "- old asks for numpy",
        "+ old asks for pandas==2.1",
        "- older asks for pandas==1.5.3",
    ]
    assert spec_differences(SPEC.to_json(), SPEC.to_json()) == {}


def test_upgrade_knows_what_only_a_group_has():
    assert _upgrade(["pytz", "pydantic"], LOCK) == {"pytz", "pydantic"}
    with pytest.raises(UsageError):
        _upgrade(["attrs"], LOCK)
