"""What ecosystems tell each other while a lock is made (no registry is asked)."""

import pytest
from locking_request import asked

from nixlib.lock import Artifact, Lock, LockedConda, LockedCondaPackage, LockedInterpreter
from nixlib.locking.attributes import FromNixpkgs
from nixlib.locking.conda import FromConda, lock_conda
from nixlib.locking.lines import choose_lines
from nixlib.locking.narrowing import conda_of
from nixlib.locking.substitution import standing
from nixlib.locking.wheels import Elsewhere
from nixlib.spec import Spec

LINUX, MAC = "x86_64-linux", "aarch64-darwin"


def conda_package(name, version="1.0", *, pypi="", systems=()):
    artifact = Artifact(f"https://c/{name}-{version}-0.conda", name.encode().hex().zfill(64), 1)
    return LockedCondaPackage(
        name, version, "0", "noarch", "https://c", artifact, pypi=pypi, systems=systems
    )


def locked(spec, *packages, source="conda"):
    return Lock(
        spec.digest,
        LockedInterpreter("3.11.7", source),
        (),
        (LINUX,),
        conda=LockedConda(packages, ("https://c",)),
        notes=("not locked for aarch64-darwin: nothing there", "something else"),
    )


def elsewhere(*packages, systems=(LINUX, MAC), provided=None):
    conda = FromConda(LockedConda(packages), systems)
    return Elsewhere(conda, FromNixpkgs(systems, provided=provided or {}))


def test_python_packages_of_conda_are_named_by_what_pypi_calls_them():
    found = elsewhere(conda_package("pytorch", "2.1", pypi="torch"), conda_package("mkl"))
    assert found.provided() == ({"torch": "2.1"}, {})


def test_versions_that_differ_by_system_are_told_by_system():
    found = elsewhere(
        conda_package("six", pypi="six"),
        conda_package("numpy", "1.26", pypi="numpy", systems=(LINUX,)),
        conda_package("numpy", "2.0", pypi="numpy", systems=(MAC,)),
    )
    assert found.provided() == (
        {"six": "1.0"},
        {LINUX: {"numpy": "1.26"}, MAC: {"numpy": "2.0"}},
    )


def test_packages_of_nixpkgs_are_named_beside_condas():
    found = elsewhere(conda_package("six", pypi="six"), provided={"numpy": "2.1"})
    assert found.provided()[0] == {"six": "1.0", "numpy": "2.1"}


def test_conda_is_kept_unasked_when_only_a_wheel_is_new():
    old = Spec(requirements=("six *",), systems=(LINUX,))
    request = asked(old.with_requirements(("six *", "toolz")), locked(old, conda_package("six")))
    found = lock_conda(request, choose_lines(request))
    assert found.is_kept
    assert (found.python, found.systems) == ("3.11.7", (LINUX,))
    assert found.notes == ("not locked for aarch64-darwin: nothing there",)


@pytest.mark.parametrize(
    "more", [{"upgrade": "all"}, {"as_of": "2024-01-01"}, {"substitutions": {"cuda": None}}]
)
def test_nothing_counts_as_added_when_more_may_move(more):
    old = Spec(requirements=("six *",))
    new = old.with_requirements(("six *", "toolz"))
    assert asked(new, locked(old)).added == ("toolz",)
    assert asked(new, locked(old), **more).added == ()


def test_notebook_without_conda_asks_no_channel():
    request = asked(Spec(requirements=("toolz",)))
    assert lock_conda(request, choose_lines(request)) == FromConda(LockedConda(), Spec().systems)


def test_conda_keeps_only_what_systems_that_wheels_serve_need():
    conda = LockedConda(
        (
            conda_package("a"),
            conda_package("b", systems=(MAC,)),
            conda_package("c", systems=(LINUX,)),
        ),
        virtual={LINUX: ("__linux=5",), MAC: ("__osx=14",)},
        needs={MAC: ("__osx >=11",)},
    )
    found = conda_of(conda, (LINUX,))
    assert [(p.name, p.systems) for p in found.packages] == [("a", ()), ("c", ())]
    assert (found.virtual, found.needs) == ({LINUX: ("__linux=5",)}, {})
    assert conda_of(conda, (LINUX, MAC)) is conda


@pytest.mark.parametrize(
    ("here", "stands"),
    [({}, {"cuda": None}), ({"__cuda": "12.4"}, {})],
    ids=["machine-without", "machine-with"],
)
def test_substitution_stands_while_the_machine_lacks_what_it_is_for(here, stands):
    lock = Lock(
        "0" * 64, LockedInterpreter("3.11.7", "host"), (), (LINUX,), substitutions={"cuda": "none"}
    )
    assert standing(lock, here) == stands


def test_substitution_of_a_taste_stands():
    lock = Lock(
        "0" * 64, LockedInterpreter("3.11.7", "host"), (), (LINUX,), substitutions={"blas": "mkl"}
    )
    assert standing(lock, {}) == {"blas": "mkl"}


def test_substitutions_count_before_the_specs_variants():
    request = asked(Spec(variants={"cuda": "12.4", "blas": "mkl"}), substitutions={"cuda": None})
    assert request.variants == {"cuda": None, "blas": "mkl"}
    assert request.substituted == {"cuda": "none"}
