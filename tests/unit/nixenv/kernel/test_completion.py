from __future__ import annotations

import pytest

from nixenv.kernel.completion import complete, complete_group
from nixenv.kernel.verbs import VERBS

ADDING = ["--private", "--process", "--for", "--singleton", "--python"]
ASKED = {
    "requirements": ["numpy", "pandas ==1.5"],
    "private": {"old": ["click==7"], "somelib": {"for": "somelib"}},
}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("%nixenv ", list(VERBS)),
        ("%nixenv re", list(VERBS)),
        ("%nixenv remove ", ["numpy", "pandas", "--private"]),
        ("%nixenv remove numpy pa", ["pandas", "--private"]),
        ("%nixenv lock ", ["--upgrade", "--as-of", "--python", "--variant"]),
        ("%nixenv lock --upgrade ", ["numpy", "pandas", "--as-of", "--python", "--variant"]),
        ("%nixenv tree --why ", ["numpy", "pandas"]),
        ("%nixenv add ", ADDING),
        ("%nixenv add --private ", ["old", "somelib"]),
        ("%nixenv add --private ol", ["old", "somelib"]),
        ("%nixenv add --private old ", ADDING[1:]),
        ("%nixenv add --python ", []),
        ("%nixenv remove --private old ", ["click"]),
        ("%nixenv remove --private somelib ", []),
        ("%nixenv remove --private unknown cl", []),
        ("%nixenv nonsense ", []),
    ],
)
def test_words_that_may_follow(text, words):
    assert complete(text, ASKED) == words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("%%private", ["new", "old"]),
        ("%%private ", ["new", "old"]),
        ("%%private o", ["new", "old"]),
        ("%%private old ", []),
        ("%%private pandas==2 o", []),
    ],
)
def test_a_group_follows_private(text, words):
    assert complete_group(text, ["old", "new"]) == words
