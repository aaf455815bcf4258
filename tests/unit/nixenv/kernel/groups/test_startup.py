"""The groups that an environment has, declared where a kernel starts in it or moves into it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

START = """
import os
from nixenv import launched
from nixenv.groups import names, registry
from nixenv.groups.startup import declare_groups, follow, in_use, obstacles
import nixenv.private_magic as private_magic
def move(prefix):
    stand = obstacles(prefix)
    return stand or follow(prefix)
"""


def entry(name: str, *folders: str, owned: tuple[str, ...] = ("lib",), **more: object) -> dict:
    return {
        "name": name,
        "mode": "import",
        "folders": list(folders),
        "owned": list(owned),
        "distributions": dict.fromkeys(owned, "1.0"),
        "public": [],
        "lent": {},
        "exposed": [],
        **more,
    }


def process(name: str, environment: str) -> dict:
    return {"name": name, "mode": "process", "environment": environment, "distributions": {}}


def write_groups(prefix: Path, *entries: object) -> Path:
    folder = prefix / "share" / "nixenv" / "private"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "groups.json").write_text(json.dumps({"groups": entries}))
    return folder


@pytest.fixture
def libraries(any_world, monkeypatch):
    """A world with two versions of a package for groups, on the oldest and the newest Python."""
    monkeypatch.chdir(any_world.root)  # not the checkout, in which there is a `nixenv`
    for version in ("1.0", "2.0"):
        any_world.package("lib", version, {"lib.py": f"VERSION = {version!r}\n"})
    return any_world


def home(world, version: str) -> Path:
    return world.root / "store" / f"a-lib-{version}" / "site-packages"


def test_groups_are_importable_and_nothing_of_them_is_loaded(libraries):
    prefix = libraries.environment("env")
    folder = write_groups(prefix, entry("old", "old"), entry("new", "new"))
    (folder / "old").symlink_to(home(libraries, "1.0"))
    (folder / "new").symlink_to(home(libraries, "2.0"))
    told = libraries.run(
        prefix,
        START
        + """
complaints = private_magic.declare_groups()
before = [key for key in sys.modules if key.startswith("nixenv.private.")], in_use()
from nixenv.private.old import lib as old
from nixenv.private.new import lib as new
print(json.dumps([complaints, before, names(), old.VERSION, new.VERSION, old.__file__, in_use()]))
""",
    )
    assert told[:5] == [[], [[], []], ["new", "old"], "1.0", "2.0"]
    assert told[5] == str(home(libraries, "1.0") / "lib.py")
    assert told[6] == ["new: its module `lib` is loaded", "old: its module `lib` is loaded"]


def test_a_kernel_without_groups_imports_nothing_for_them(libraries):
    told = libraries.run(
        libraries.environment("env"),
        """
import nixenv.private_magic as private_magic
result = [private_magic.declare_groups(), private_magic.obstacles(sys.prefix),
    private_magic.follow(sys.prefix), private_magic.in_use()]
print(json.dumps([result, [name for name in sys.modules if name.startswith("nixenv.groups")]]))
""",
    )
    assert told == [[[], [], [], []], []]


def test_a_file_that_a_package_brought_is_not_believed(libraries):
    prefix = libraries.environment("env")
    brought = libraries.root / "brought"
    folder = write_groups(brought, entry("evil", "evil"))
    (folder / "evil").symlink_to(home(libraries, "1.0"))
    (prefix / "share").mkdir()
    (prefix / "share" / "nixenv").symlink_to(brought / "share" / "nixenv")
    told = libraries.run(prefix, START + "print(json.dumps([declare_groups(sys.prefix), names()]))")
    assert told == [[], []]


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"groups": 3}', "\xff", "[" * 100000, "null"],
    ids=["empty", "list", "object", "number", "bytes", "deep", "null"],
)
def test_a_file_that_cannot_be_read_is_one_remark(libraries, text):
    prefix = libraries.environment("env")
    folder = write_groups(prefix)
    (folder / "groups.json").write_bytes(text.encode("latin-1"))
    told = libraries.run(prefix, START + "print(json.dumps([declare_groups(sys.prefix), names()]))")
    assert len(told[0]) == 1
    assert told[0][0].startswith("the private groups of this environment cannot be read: `")
    assert told[1] == []


def test_groups_that_are_none_do_not_hinder_the_others(libraries):
    prefix = libraries.environment("env")
    folder = write_groups(
        prefix,
        entry("Old", "old"),
        entry("../up", "old"),
        {"name": "less"},
        4,
        None,
        process("bad name", "legacy"),
        entry("one", "old", exposed=["lib"]),
        entry("two", "old", exposed=["lib"]),
        entry("old", "old"),
        entry("three", "old", distributions=[]),
        process("four", 5),
    )
    (folder / "old").symlink_to(home(libraries, "1.0"))
    told = libraries.run(
        prefix,
        START
        + """
complaints = declare_groups(sys.prefix)
from nixenv.private.old import lib
print(json.dumps([complaints, names(), lib.VERSION]))
""",
    )
    complaints, names, version = told
    assert [line.split("`")[1] for line in complaints] == [
        "Old", "../up", "less", "4", "None", "bad name", "three", "four", "two",
    ]  # fmt: skip
    assert names == ["old", "one"]
    assert version == "1.0"


def test_moving_declares_what_is_new_and_withdraws_what_is_gone(libraries):
    first, second = libraries.environment("first"), libraries.environment("second")
    folder = write_groups(
        first, entry("kept", "kept"), entry("gone", "gone"), entry("other", "other")
    )
    for name in ("kept", "gone", "other"):
        (folder / name).symlink_to(home(libraries, "1.0"))
    folder = write_groups(
        second, entry("kept", "kept"), entry("other", "other"), entry("new", "new")
    )
    for name, version in (("kept", "1.0"), ("other", "2.0"), ("new", "2.0")):
        (folder / name).symlink_to(home(libraries, version))
    told = libraries.run(
        first,
        START
        + f"""
declare_groups(sys.prefix)
from nixenv.private.kept import lib as kept
said = move({str(second)!r})
from nixenv.private.kept import lib as again
from nixenv.private.other import lib as other
print(json.dumps([said, names(), again is kept, other.VERSION]))
""",
    )
    assert told == [[], ["kept", "new", "other"], True, "2.0"]


def test_a_loaded_group_that_changes_or_goes_is_an_obstacle(libraries):
    first, second = libraries.environment("first"), libraries.environment("second")
    folder = write_groups(first, entry("gone", "gone"), entry("other", "other"))
    for name in ("gone", "other"):
        (folder / name).symlink_to(home(libraries, "1.0"))
    folder = write_groups(second, entry("other", "other"))
    (folder / "other").symlink_to(home(libraries, "2.0"))
    told = libraries.run(
        first,
        START
        + f"""
declare_groups(sys.prefix)
import nixenv.private.gone.lib, nixenv.private.other.lib
print(json.dumps([private_magic.obstacles({str(second)!r}), names()]))
""",
    )
    assert told == [
        [
            "private group `gone` is removed, but its module `lib` is loaded",
            "private group `other` changes, but its module `lib` is loaded",
        ],
        ["gone", "other"],
    ]


def test_a_group_with_a_process_is_held_by_one(libraries):
    prefix = libraries.environment("env")
    own = libraries.environment("legacy-environment")
    folder = write_groups(prefix, process("legacy", "legacy"))
    (folder / "legacy").symlink_to(own)
    told = libraries.run(
        prefix,
        START
        + """
complaints = declare_groups(sys.prefix)
holder = registry.get("legacy")
print(json.dumps([complaints, type(holder).__name__, holder.group.environment, in_use()]))
""",
    )
    assert told == [[], "Remote", str(own), []]


def test_what_is_declared_together_is_written_down_once_for_workers(libraries):
    told = libraries.run(
        libraries.environment("env"),
        START
        + f"""
from nixenv.groups import declare
from nixenv.groups.importing.domain import Domain
from nixenv.groups.group import Group
def written():
    file = os.environ.get("NIXENV_PRIVATE_GROUPS")
    return file and [group["name"] for group in json.load(open(file))["groups"]]
with registry.together():
    for name in ("one", "two"):
        declare(Domain(Group(name, ({str(home(libraries, "1.0"))!r},), frozenset(["lib"]), {{"lib": "1.0"}})))
    within = written()
print(json.dumps([within, written()]))
""",
    )
    assert told == [None, ["one", "two"]]


def test_an_import_that_failed_does_not_hold_the_group(libraries):
    """`import` of a package that lacks something leaves nothing of it, but `sys` and the like of the group."""
    broken = libraries.package("broken", "1.0", {"broken.py": "import sys, pickle, absent\n"})
    first, second = libraries.environment("first"), libraries.environment("second")
    for prefix, owned in ((first, ["broken"]), (second, ["broken", "lib"])):
        folder = write_groups(prefix, entry("old", "old", owned=owned))
        (folder / "old").symlink_to(broken if prefix is first else home(libraries, "1.0"))
    told = libraries.run(
        first,
        START
        + f"""
declare_groups(sys.prefix)
try:
    import nixenv.private.old.broken
except ModuleNotFoundError as error:
    why = str(error)
left = [key for key in sys.modules if key.startswith("nixenv.private.old.")]
said = in_use(), move({str(second)!r})
from nixenv.private.old import lib
print(json.dumps([why, bool(left), said, lib.VERSION]))
""",
    )
    assert told == ["No module named 'absent'", True, [[], []], "1.0"]
