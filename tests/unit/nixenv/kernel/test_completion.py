from __future__ import annotations

import json

import pytest

from nixenv.kernel.completion import complete, required_names
from nixenv.kernel.verbs import VERBS


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("%nixenv ", list(VERBS)),
        ("%nixenv re", list(VERBS)),
        ("%nixenv remove ", ["numpy", "pandas"]),
        ("%nixenv remove numpy pa", ["pandas"]),
        ("%nixenv lock ", ["--upgrade", "--as-of", "--python", "--variant"]),
        ("%nixenv lock --upgrade ", ["numpy", "pandas", "--as-of", "--python", "--variant"]),
        ("%nixenv tree --why ", ["numpy", "pandas"]),
        ("%nixenv add ", []),
        ("%nixenv nonsense ", []),
    ],
)
def test_words_that_may_follow(text, words):
    assert complete(text, ["numpy", "pandas"]) == words


@pytest.mark.parametrize("wrap", [lambda value: {"metadata": value, "cells": []}, dict])
def test_required_names_of_a_notebook_or_mailbox(tmp_path, wrap):
    spec = {
        "nixenv": {"requirements": ["pandas==1.5", "zope.interface[x] >2", "Typing_Extensions", 4]}
    }
    document = tmp_path / "a.ipynb"
    document.write_text(json.dumps(wrap(spec)))
    assert required_names(str(document)) == ["pandas", "zope.interface", "Typing_Extensions"]


@pytest.mark.parametrize(
    "text", ["", "[]", '{"metadata": 3}', '{"nixenv": {"requirements": {}}}', "\xff"]
)
def test_damaged_document_has_no_names(tmp_path, text):
    document = tmp_path / "a.ipynb"
    document.write_bytes(text.encode("latin-1"))
    assert required_names(str(document)) == []
    assert required_names(str(tmp_path / "absent")) == []
