from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nixenv.errors import RequestError
from nixenv.server.requests import (
    BODY_LIMIT,
    DEPTH_LIMIT,
    PATH_LIMIT,
    parse_order,
    parse_path,
    parse_word,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=20,
)


@pytest.mark.parametrize(
    ("said", "path"),
    [
        ("a.ipynb", "a.ipynb"),
        ("/sub//a b.ipynb/", "sub/a b.ipynb"),
        ("RTC:sub/a.ipynb", "RTC:sub/a.ipynb"),
        ("50% #1?\n日本.ipynb", "50% #1?\n日本.ipynb"),
        ("..a/b...ipynb", "..a/b...ipynb"),
        ("a" * PATH_LIMIT, "a" * PATH_LIMIT),
    ],
)
def test_path_of_a_notebook_is_taken(said, path):
    assert parse_path(said) == path


@pytest.mark.parametrize(
    "said",
    ["", "/", "..", "../a", "a/../b", "./a", "a\0", "é" * PATH_LIMIT, "\ud800", None, 7, ["a"]],
)
def test_path_that_could_lead_elsewhere_is_refused(said):
    with pytest.raises(RequestError) as caught:
        parse_path(said)

    assert caught.value.status == 400
    assert "\n" not in caught.value.render()


@settings(deadline=None)
@given(JSON, st.booleans())
def test_word_of_any_value_is_taken_as_it_is(value, is_dirty):
    word = parse_word(json.dumps({"nixenv": value, "dirty": is_dirty}).encode())

    assert (word.nixenv, word.is_dirty) == (value, is_dirty)


@settings(deadline=None)
@given(st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_other_body_is_refused_in_one_printable_sentence(body):
    for parse in (parse_word, parse_order):
        with pytest.raises(RequestError) as caught:
            parse(body)
        assert caught.value.render().isprintable()


def test_limits_are_what_they_say():
    def nested(depth):
        return b'{"dirty": true, "nixenv": ' + b"[" * depth + b"]" * depth + b"}"

    frame = len(b'{"dirty": true, "nixenv": ""}')
    longest = b'{"dirty": true, "nixenv": "' + b"x" * (BODY_LIMIT - frame) + b'"}'

    assert parse_word(nested(DEPTH_LIMIT - 1)).nixenv
    assert parse_word(longest).size == BODY_LIMIT
    for body in (nested(DEPTH_LIMIT), longest + b" "):
        with pytest.raises(RequestError):
            parse_word(body)
