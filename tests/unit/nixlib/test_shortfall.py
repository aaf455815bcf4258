"""What a start says of a machine that is not the one that the lock was made for."""

import pytest

from nixlib.lock import Lock, LockedConda, LockedGroup, LockedInterpreter
from nixlib.platforms import current_system
from nixlib.shortfall import shortfalls
from nixlib.spec import PrivateGroup, Spec

WITH_GPU = {"__cuda": "12.6", "__glibc": "2.36", "__linux": "6.1", "__unix": "0"}
WITHOUT = {name: version for name, version in WITH_GPU.items() if name != "__cuda"}
SYSTEM = current_system()


def lock(spec, conda=None, **fields):
    python = LockedInterpreter("3.11.7", "host")
    return Lock(spec.digest, python, (), (SYSTEM,), conda=conda or LockedConda(), **fields)


def conda(*needs, virtual=("__cuda=12.4",)):
    return LockedConda(virtual={SYSTEM: virtual}, needs={SYSTEM: needs})


def test_a_lock_that_needs_nothing_says_nothing():
    assert shortfalls(Spec(), lock(Spec()), {}) == ()


@pytest.mark.parametrize("variants", [{}, {"cuda": "12.4"}])
def test_a_machine_that_has_it_says_nothing(variants):
    spec = Spec(variants=variants)
    assert shortfalls(spec, lock(spec, conda("__cuda >=12")), WITH_GPU) == ()


@pytest.mark.parametrize("variants", [{}, {"cuda": "12.4"}])
def test_a_missing_gpu_is_said_once_with_the_way_out(variants):
    spec = Spec(variants=variants)
    (said,) = shortfalls(spec, lock(spec, conda("__cuda >=12")), WITHOUT)
    assert "`__cuda >=12` (`12.4`)" in said
    assert "`%nixenv lock --variant cuda=none`" in said


def test_what_the_process_of_a_group_lacks_is_said_with_its_name():
    group = PrivateGroup("legacy", ("torch",), mode="process")
    spec = Spec(variants={"cuda": "12.4"}, private=(group,))
    inner = lock(spec.of_process(group), conda("__cuda >=12"))
    outer = lock(spec, private=(LockedGroup("legacy", process=inner),))
    (own, said) = shortfalls(spec, outer, WITHOUT)
    assert said.startswith("private group `legacy`: ")
    assert "`__cuda >=12` (`12.4`)" in said
    assert shortfalls(spec, outer, WITH_GPU) == ()
    assert own.startswith("this notebook")


def test_wheels_for_a_gpu_need_one_too():
    spec = Spec(requirements=("torch",), variants={"cuda": "12.4"})
    (said,) = shortfalls(spec, lock(spec), WITHOUT)
    assert "CUDA 12.4" in said
    assert shortfalls(spec, lock(spec), WITH_GPU) == ()


def test_none_is_no_gpu_that_could_be_missing():
    spec = Spec(variants={"cuda": None})
    assert shortfalls(spec, lock(spec), WITHOUT) == ()


def test_a_substitution_is_never_silent():
    spec = Spec(variants={"cuda": "12.4"})
    (said,) = shortfalls(spec, lock(spec, substitutions={"cuda": "none"}), WITHOUT)
    assert "`cuda=12.4`" in said
    assert "`cuda=none`" in said


def test_a_substitution_of_what_the_notebook_never_said_is_not_said_to_be_its_wish():
    (said,) = shortfalls(Spec(), lock(Spec(), substitutions={"blas": "openblas"}), {})
    assert said == (
        "this notebook's lock was made with `blas=openblas`, of which its `variants` say nothing"
    )
