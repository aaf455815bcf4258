"""Laws of plans: nothing but the lock's content, the machine and trust decides."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixlib.lock import Artifact, Lock, LockedInterpreter, LockedPackage
from nixlib.plan import Plan, plan
from nixlib.spec import Spec
from nixlib.sri import sri
from nixlib.storepath import fixed_output_path

pytestmark = pytest.mark.property

SYSTEM = "x86_64-linux"
TAGS = (
    "py3-none-any",
    "py2.py3-none-any",
    "cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64",
    "cp311-cp311-manylinux_2_28_x86_64",
    "cp39-abi3-manylinux_2_12_x86_64",
    "cp311-cp311-macosx_11_0_arm64",
)
names = st.text("abcdef", min_size=1, max_size=4)
hashes = st.binary(min_size=32, max_size=32)


def package(name: str, tags: list[str]) -> LockedPackage:
    files = [f"{name}-1.0-{tag}.whl" for tag in tags]
    wheels = [
        Artifact(f"https://x/{file}", hashlib.sha256(file.encode()).hexdigest(), 1)
        for file in files
    ]
    return LockedPackage(name, "1.0", tuple(wheels))


packages = st.lists(
    st.builds(
        # The first tag fits everywhere, so that every package has a wheel.
        lambda name, tags: package(name, [TAGS[0], *tags]),
        names,
        st.lists(st.sampled_from(TAGS[1:]), unique=True),
    ),
    unique_by=lambda package: package.name,
    max_size=6,
)


def planned(found, hints=None, trusted=None) -> Plan:
    python = Artifact("https://x/python.tar.gz", "e" * 64, 1)
    interpreter = LockedInterpreter("3.11.7", "standalone", {SYSTEM: python})
    lock = Lock("0" * 64, interpreter, tuple(found), (SYSTEM,), hints=hints or {})
    return plan(lock, Spec(), system=SYSTEM, glibc=(2, 31), trusted=trusted or {})


def artifacts(found) -> list[str]:
    return [wheel.sha256 for package in found for wheel in package.wheels]


@given(packages, st.randoms())
def test_order_never_changes_a_plan(found, random):
    def shuffled(items):
        return random.sample(list(items), len(items))

    other = [LockedPackage(p.name, p.version, tuple(shuffled(p.wheels))) for p in shuffled(found)]
    assert planned(other) == planned(found)


@given(packages, hashes)
def test_hint_never_becomes_a_path(found, digest):
    hints = dict.fromkeys([*artifacts(found), "e" * 64], sri(digest))
    result = planned(found, hints=hints)
    for leaf in (result.interpreter, *result.leaves):
        assert (leaf.path, leaf.nar, leaf.hint) == (None, None, sri(digest))


@given(packages, hashes, st.data())
def test_trust_decides_which_paths_are_known_and_nothing_else(found, digest, data):
    trusted = data.draw(st.sets(st.sampled_from(artifacts(found)))) if found else set()
    result = planned(found, trusted=dict.fromkeys(trusted, sri(digest)))
    for leaf, before in zip(result.leaves, planned(found).leaves, strict=True):
        assert leaf.artifact == before.artifact
        expected = fixed_output_path(f"{leaf.name}-1.0", digest)
        assert leaf.path == (expected if leaf.artifact.sha256 in trusted else None)


@given(packages)
def test_every_package_is_there_once_in_order(found):
    assert [leaf.name for leaf in planned(found).leaves] == sorted(p.name for p in found)
