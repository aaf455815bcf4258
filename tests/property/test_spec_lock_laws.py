"""Laws of the two values that travel in a notebook: parse after print is the identity, locks are canonical."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import locks, specs

from nixlib.lock import parse_lock
from nixlib.spec import parse_spec

pytestmark = pytest.mark.property


@given(specs)
def test_spec_print_then_parse_is_identity(spec):
    assert parse_spec(json.loads(json.dumps(spec.to_json()))) == spec


@given(locks)
def test_lock_print_then_parse_is_identity(lock):
    assert parse_lock(json.loads(json.dumps(lock.to_json()))) == lock


@given(locks, st.randoms())
def test_lock_prints_the_same_bytes_whatever_the_order(lock, random):
    shuffled = list(lock.packages)
    random.shuffle(shuffled)
    conda = replace(lock.conda, packages=lock.conda.packages[::-1])
    other = replace(
        lock,
        packages=tuple(shuffled),
        systems=lock.systems[::-1],
        build_packages=lock.build_packages[::-1],
        conda=conda,
        attributes=lock.attributes[::-1],
    )
    assert json.dumps(other.to_json()) == json.dumps(lock.to_json())
    assert other.digest == lock.digest
