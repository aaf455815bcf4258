"""What a lock that somebody has written could claim of a group."""

from dataclasses import replace

import pytest

from nixlib.lock import Artifact, Lock, LockedGroup, LockedInterpreter, LockedPackage
from nixlib.private.faults import faults

LINUX = "x86_64-linux"


def package(name, version="1", *, requires=(), tag="py3-none-any", systems=()):
    url = f"https://host/{name}-{version}-{tag}.whl"
    wheel = Artifact(url, f"{name}{version}{tag}".encode().hex()[:64].zfill(64), 1)
    return LockedPackage(name, version, (wheel,), requires=tuple(requires), systems=systems)


def lock(*groups, packages=()):
    public = (package("ipykernel", requires=["comm"]), package("comm"), *packages)
    return Lock("0" * 64, LockedInterpreter("3.11.7", "host"), public, (LINUX,), private=groups)


NUMPY = package("numpy")
A, B = package("a", requires=["b"]), package("b")
COMPILED = package("c", tag="cp311-cp311-manylinux_2_17_x86_64")


@pytest.mark.parametrize(
    ("group", "packages"),
    [
        (LockedGroup("g"), ()),
        (LockedGroup("g", (A, B)), ()),
        (LockedGroup("g", (A,), shared=("b",)), (B,)),
        (LockedGroup("g", (package("a", requires=["numpy"]),), shared=("numpy",)), (NUMPY,)),
        (LockedGroup("g", shared=("numpy",), hoisted=("numpy",)), (NUMPY,)),
        (LockedGroup("g", (A, B), package="a"), ()),
        (LockedGroup("g", (A, B), package="a"), (B,)),
    ],
)
def test_group_that_keeps_to_the_rules_has_none(group, packages):
    assert faults(lock(group, packages=packages), group) == ()


@pytest.mark.parametrize(
    ("group", "packages", "said"),
    [
        (LockedGroup("g", (NUMPY,)), (), "it has a `numpy` of its own"),
        (LockedGroup("g", (NUMPY,)), (NUMPY,), "it has a `numpy` of its own"),
        (LockedGroup("g", (package("comm", "2"),)), (), "the kernel itself runs on it"),
        (LockedGroup("g", (A,)), (), "`a` needs `b`, which it has not"),
        (LockedGroup("g", (A, B), shared=("b",)), (B,), "`b` is both its own and somebody else's"),
        (LockedGroup("g", shared=("a",)), (A, B), "and `b`, which that needs, is not"),
        (LockedGroup("g", shared=("z",)), (), "`z` is said to be the notebook's"),
        (LockedGroup("g", hoisted=("b",)), (B,), "it brings `b` into the notebook's packages"),
        (LockedGroup("g", lent={"a": "other"}), (), "which is no earlier group in this process"),
        (LockedGroup("g", package="a"), (), "it is for `a`, which it has not"),
        (
            LockedGroup("g", (A, B), package="a"),
            (A, B),
            "it is for `a`, which the notebook needs, too",
        ),
        (
            LockedGroup("g", (A, B), package="b"),
            (A, B),
            "it is for `b`, which `a` needs, too",
        ),
        (LockedGroup("g", (COMPILED,)), (COMPILED,), "the notebook has the same `c 1`"),
        (
            LockedGroup("g", (package("pandas"), package("x", requires=["pyarrow"])), ("pyarrow",)),
            (package("pyarrow"),),
            "`pyarrow` makes objects of the notebook's `pandas`",
        ),
    ],
)
def test_group_that_breaks_a_rule_is_told_which(group, packages, said):
    found = faults(lock(group, packages=packages), group)

    assert [sentence for sentence in found if said in sentence]


def test_what_is_lent_has_to_need_the_same():
    one = LockedGroup("one", (A, B))
    fine = LockedGroup("two", lent={"a": "one", "b": "one"})
    own = LockedGroup("two", (package("b", "2"),), lent={"a": "one"})
    assert faults(lock(one, fine), fine) == ()
    assert "and `b`, which that needs, is not the same" in faults(lock(one, own), own)[0]


def test_compiled_file_of_an_earlier_group_is_not_loaded_again():
    one, two = LockedGroup("one", (COMPILED,)), LockedGroup("two", (COMPILED,))
    assert faults(lock(one, two), one) == ()
    assert faults(lock(one, two), two)[0].startswith("private group `one` has the same `c 1`")


def test_group_is_lent_nothing_by_a_process():
    process = LockedGroup("one", process=lock())
    two = LockedGroup("two", lent={"a": "one"})
    assert "no earlier group" in faults(lock(process, two), two)[0]
    assert faults(lock(process), process) == ()


def test_two_packages_of_one_name_are_told():
    group = LockedGroup("g", (B, package("b", "2")))
    assert faults(lock(group), group) == ("`b` comes twice",)
    apart = LockedGroup(
        "g", (replace(B, systems=(LINUX,)), package("b", "2", systems=("aarch64-darwin",)))
    )
    assert faults(lock(apart), apart) == ()
