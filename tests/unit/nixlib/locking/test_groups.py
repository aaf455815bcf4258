"""What of a lock's groups stands, and what of a lock is whose (no registry is asked)."""

from dataclasses import replace

import pytest
from locking_request import asked

from nixlib.errors import InterpreterError, RequirementError
from nixlib.lock import (
    Artifact,
    Lock,
    LockedGroup,
    LockedInterpreter,
    LockedPackage,
)
from nixlib.locking.groups.kept import (
    is_grown_by_groups,
    kept_tree,
    own_part,
    tree_before,
    unchanged_groups,
)
from nixlib.locking.groups.lines import left_to_groups, read_group
from nixlib.locking.groups.notes import not_locked, notes_of_group, told, without_notes_of_groups
from nixlib.locking.groups.run import lock_groups
from nixlib.locking.lines import choose_lines
from nixlib.locking.narrowing import of_systems
from nixlib.locking.run import make_lock
from nixlib.spec import PrivateGroup, Spec

LINUX, MAC = "x86_64-linux", "aarch64-darwin"
OLD = PrivateGroup("old", ("a==1",))
NEW = PrivateGroup("new", ("b",))


def package(name, version="1", *, requires=(), tags=("py3-none-any",), systems=()):
    wheels = tuple(
        Artifact(
            f"https://host/{name}-{version}-{tag}.whl",
            f"{name}{version}{tag}".encode().hex()[:64].zfill(64),
            1,
        )
        for tag in tags
    )
    return LockedPackage(name, version, wheels, requires=tuple(requires), systems=systems)


def locked(spec, *packages, groups=(), notes=(), systems=(LINUX,)):
    interpreter = LockedInterpreter("3.11.7", "host")
    return Lock(spec.digest, interpreter, packages, systems, private=groups, notes=notes)


def test_groups_are_unchanged_when_only_lines_are_new():
    old = Spec(private=(OLD,), requirements=("x",))
    lock = locked(old, groups=(LockedGroup("old"),))
    assert unchanged_groups(asked(old, lock)) == {"old"}
    assert unchanged_groups(asked(old.with_requirements(("x", "y")), lock)) == {"old"}
    assert unchanged_groups(asked(old.with_requirements(("y",)), lock)) == set()
    assert unchanged_groups(asked(old, lock, upgrade="all")) == set()
    assert unchanged_groups(asked(old, lock, as_of="2024-01-01")) == set()


def test_group_that_is_new_or_has_new_lines_leaves_the_others_unchanged():
    old = Spec(private=(OLD,))
    lock = locked(old, groups=(LockedGroup("old"),))
    assert unchanged_groups(asked(old.with_group(NEW), lock)) == {"old"}
    assert is_grown_by_groups(asked(old.with_group(NEW), lock))
    longer = old.with_group(replace(OLD, requirements=("a==1", "c")))
    assert unchanged_groups(asked(longer, lock)) == set()
    assert is_grown_by_groups(asked(longer, lock))


def test_new_line_for_the_package_of_a_group_is_the_groups():
    mine = PrivateGroup("mine", package="some-lib")
    old = Spec(private=(mine, OLD))
    lock = locked(old, groups=(LockedGroup("mine", package="some-lib"), LockedGroup("old")))
    assert unchanged_groups(asked(old.with_requirements(("Some_lib>2",)), lock)) == {"old"}


def test_group_for_a_package_changes_the_notebooks_own_part():
    lock = locked(Spec(requirements=("somelib",)))
    spec = Spec(requirements=("somelib",), private=(PrivateGroup("mine", package="somelib"),))
    assert not is_grown_by_groups(asked(spec, lock))


@pytest.mark.parametrize("more", [{"upgrade": "all"}, {"as_of": "2024-01-01"}])
def test_nothing_has_only_grown_when_more_may_move(more):
    lock = locked(Spec())
    assert not is_grown_by_groups(asked(Spec(private=(OLD,)), lock, **more))


def test_own_part_is_without_what_groups_have_brought():
    group = LockedGroup("old", shared=("numpy", "x"), hoisted=("numpy",))
    notes = ("mine", "private group `old`: something", told("not locked for y-darwin: no", "old"))
    lock = locked(Spec(), package("numpy"), package("x"), groups=(group,), notes=notes)
    own = own_part(lock)
    assert [one.name for one in own.packages] == ["x"]
    assert (own.private, own.notes) == ((), ("mine",))


def test_notes_of_a_group_are_told_apart():
    left_out = not_locked(MAC, "old", "requirement 1 `a` has none")
    assert left_out == f"not locked for {MAC}: private group `old`: `a` has none"
    notes = ("mine", f"not locked for {MAC}: `b` has none", left_out, told("aged", "old"))
    assert notes_of_group(notes, "old") == notes[2:]
    assert notes_of_group(notes, "other") == ()
    assert without_notes_of_groups(notes) == notes[:2]


def test_group_is_kept_while_what_it_uses_stays():
    spec = Spec(private=(OLD,))
    group = LockedGroup("old", (package("a", requires=["numpy"]),), shared=("numpy",))
    before = locked(spec, package("numpy"), groups=(group,))
    kept = kept_tree(before, OLD, locked(spec, package("numpy"), package("more")))
    assert kept.tree.packages == group.packages
    assert (kept.tree.uses, kept.tree.hoisted) == ({"numpy"}, frozenset())
    assert kept_tree(before, OLD, locked(spec, package("numpy", "2"))) is None
    assert kept_tree(before, OLD, locked(spec, package("a", "2"), package("numpy"))) is not None


def test_group_is_not_kept_when_its_own_becomes_what_there_is_one_of():
    spec = Spec(private=(OLD,))
    group = LockedGroup("old", (package("comm"),))
    before = locked(spec, groups=(group,))
    kernel = (package("ipykernel", requires=["comm"]), package("comm", "2"))
    assert kept_tree(before, OLD, locked(spec, *kernel)) is None


def test_kept_group_brings_again_what_it_had_brought():
    spec = Spec(private=(OLD,))
    group = LockedGroup(
        "old", (package("a", requires=["numpy"]),), shared=("numpy",), hoisted=("numpy",)
    )
    before = locked(spec, package("numpy"), groups=(group,))
    kept = kept_tree(before, OLD, locked(spec, package("x")))
    assert [one.name for one in kept.lock.packages] == ["numpy", "x"]
    assert kept.tree.hoisted == {"numpy"}


def test_group_is_not_kept_for_more_systems_than_it_was_made_for():
    spec = Spec(private=(OLD,))
    before = locked(spec, groups=(LockedGroup("old", (package("a"),)),))
    assert kept_tree(before, OLD, locked(spec, systems=(LINUX, MAC))) is None


def test_what_a_group_had_is_with_what_was_lent_and_shared():
    one = LockedGroup("one", (package("b"),))
    old = LockedGroup("old", (package("a"),), shared=("c",), lent={"b": "one"})
    lock = locked(Spec(), package("c"), package("d"), groups=(one, old))
    assert [p.name for p in tree_before(lock, OLD, frozenset())] == ["a", "b", "c"]
    assert [p.name for p in tree_before(lock, OLD, frozenset({"a"}))] == ["b", "c"]
    assert tree_before(lock, OLD, "all") == ()
    assert tree_before(lock, NEW, frozenset()) == ()


def test_lock_for_fewer_systems_has_their_wheels_only():
    tags = ("cp311-cp311-manylinux_2_17_x86_64", "cp311-cp311-macosx_11_0_arm64")
    lock = locked(
        Spec(),
        package("a", tags=tags),
        package("b", systems=(LINUX,)),
        package("c", systems=(MAC,)),
        systems=(LINUX, MAC),
    )
    found = of_systems(lock, (LINUX,))
    assert found.systems == (LINUX,)
    assert [(p.name, p.systems) for p in found.packages] == [("a", ()), ("b", ())]
    assert [wheel.filename for wheel in found.packages[0].wheels] == [f"a-1-{tags[0]}.whl"]
    assert of_systems(lock, (MAC, LINUX)) is lock


def test_line_of_a_package_moves_into_its_group():
    group = PrivateGroup("mine", ("x",), package="some-lib")
    request = asked(Spec(requirements=("Some_Lib[fast]>=2", "y"), private=(group,)))
    left = left_to_groups(request, choose_lines(request))
    assert [line.text for line in left.lines.pypi] == ["y"]
    assert [line.number for line in left.lines.pypi] == [2]
    lines = read_group(request, group)
    assert lines.texts == ("Some_Lib[fast]>=2", "x")
    assert set(lines.names) == {"some-lib", "x"}


def test_line_of_a_process_that_cannot_be_read_is_the_groups():
    spec = Spec(private=(PrivateGroup("legacy", ("six", "a b ="), mode="process"),))
    with pytest.raises(RequirementError) as caught:
        lock_groups(asked(spec), locked(spec), make_lock)
    assert caught.value.summary.startswith("private group `legacy`: `a b =` ")
    assert caught.value.key == "nixenv.private.legacy.requirements[1]"


def test_python_that_a_process_cannot_have_is_told_of_its_group():
    def none(request):
        raise InterpreterError("no Python is", wanted=request.spec.python)

    spec = Spec(private=(PrivateGroup("legacy", ("six",), mode="process", python="2.5"),))
    with pytest.raises(InterpreterError) as caught:
        lock_groups(asked(spec), locked(spec), none)
    assert caught.value.summary == "private group `legacy`: no Python is"
    assert caught.value.wanted == "2.5"


def test_package_without_a_line_is_asked_for_by_its_name():
    group = PrivateGroup("mine", ("x",), package="some-lib")
    assert read_group(asked(Spec(private=(group,))), group).texts == ("some-lib", "x")
    own = replace(group, requirements=("some.lib<2",))
    assert read_group(asked(Spec(private=(own,))), own).texts == ("some.lib<2",)
