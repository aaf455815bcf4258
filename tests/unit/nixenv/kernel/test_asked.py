from __future__ import annotations

import json

import pytest

from nixenv.kernel.asked import (
    group_lines,
    locked_groups,
    names_in,
    names_in_group,
    value_for,
    value_in,
)

SPEC = {
    "requirements": ["pandas==1.5", "zope.interface[x] >2", "Typing_Extensions", 4],
    "private": {
        "old": ["click==7", 3],
        "legacy": {"requirements": ["pydantic<2"], "mode": "process"},
        "somelib": {"for": "somelib"},
        "wrong": 5,
    },
    "lock": {"private": [{"name": "old"}, {"name": 3}, 4]},
}


@pytest.mark.parametrize("wrap", [lambda value: {"metadata": value, "cells": []}, dict])
def test_what_a_notebook_or_mailbox_asks_for(tmp_path, wrap):
    document = tmp_path / "a.ipynb"
    document.write_text(json.dumps(wrap({"nixenv": SPEC})))
    value = value_in(str(document))
    assert names_in(value) == ["pandas", "zope.interface", "Typing_Extensions"]
    assert group_lines(value) == {
        "old": ["click==7"],
        "legacy": ["pydantic<2"],
        "somelib": [],
        "wrong": [],
    }
    assert names_in_group(value, "legacy") == ["pydantic"]
    assert names_in_group(value, "absent") == []
    assert locked_groups(value) == ["old"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"metadata": 3}',
        '{"nixenv": {"requirements": {}, "private": []}}',
        '{"nixenv": {"private": null, "lock": 3}}',
        "[" * 100000,
        "\xff",
    ],
)
def test_a_damaged_document_says_nothing(tmp_path, text):
    document = tmp_path / "a.ipynb"
    document.write_bytes(text.encode("latin-1"))
    for value in (value_in(str(document)), value_in(str(tmp_path / "absent"))):
        assert names_in(value) == []
        assert group_lines(value) == {}
        assert locked_groups(value) is None


@pytest.mark.parametrize("lock", [{}, {"private": {}}, {"private": None}])
def test_a_lock_without_groups_has_none(lock):
    assert locked_groups({"lock": lock}) == []


def test_the_document_of_the_session_is_read(tmp_path, monkeypatch):
    document = tmp_path / "a.ipynb"
    document.write_text(json.dumps({"metadata": {"nixenv": SPEC}}))
    monkeypatch.setenv("NIXENV_DOCUMENT", str(document))
    assert value_for(object()) == SPEC
    monkeypatch.delenv("NIXENV_DOCUMENT")
    monkeypatch.delenv("NIXENV_NOTEBOOK", raising=False)
    assert value_for(object()) is None
