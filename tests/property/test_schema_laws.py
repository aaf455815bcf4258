"""The published schema accepts exactly what the engine writes."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from jsonschema import Draft202012Validator
from strategies import locks, specs

pytestmark = pytest.mark.property

SCHEMA = Path(__file__).parents[2] / "docs" / "schema" / "nixenv-1.json"
VALIDATOR = Draft202012Validator(json.loads(SCHEMA.read_text()))


def test_schema_is_a_schema():
    Draft202012Validator.check_schema(VALIDATOR.schema)


@settings(max_examples=50)
@given(specs, locks)
def test_schema_accepts_what_is_written(spec, lock):
    VALIDATOR.validate(spec.to_json() | {"lock": lock.to_json()})


@pytest.mark.parametrize(
    "value",
    [
        [],
        {},
        {"version": 2},
        {"version": 1, "requirments": []},
        {"version": 1, "private": {"Old": ["a"]}},
        {"version": 1, "private": {"old": []}},
        {"version": 1, "private": {"old": {"mode": "process"}}},
        {"version": 1, "private": {"old": {"for": "a", "modus": "process"}}},
        {"version": 1, "lock": {}},
    ],
    ids=str,
)
def test_schema_refuses_what_is_refused(value):
    assert not VALIDATOR.is_valid(value)
