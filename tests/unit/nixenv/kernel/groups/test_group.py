import json

import pytest

from nixenv.kernel.groups.group import Group

GOOD = {
    "name": "old",
    "folders": ["/store/a"],
    "owned": ["lib"],
    "distributions": {"lib": "1"},
    "public": [],
}


def test_group_survives_json():
    group = Group.from_json(GOOD)
    assert Group.from_json(json.loads(json.dumps(group.to_json()))) == group


@pytest.mark.parametrize(
    "change",
    [
        {"name": "a.b"}, {"name": "class"}, {"name": "_x"}, {"name": ""}, {"name": 3},
        {"folders": ["relative"]}, {"folders": 3}, {"folders": [None]},
        {"owned": ["a.b"]}, {"owned": [""]}, {"distributions": {"Lib": "1"}}, {"distributions": {1: "1"}},
        {"public": ["a\0b"]},
    ],
    ids=repr,
)  # fmt: skip
def test_what_is_no_group_is_refused(change):
    with pytest.raises(ValueError, match="no "):
        Group.from_json({**GOOD, **change})


def test_missing_field_is_refused():
    with pytest.raises(ValueError, match="no private group"):
        Group.from_json({"name": "old"})
