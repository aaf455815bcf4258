"""What travels by value, and what bytes from elsewhere cannot do."""

from __future__ import annotations

import array
import collections
import datetime as dt
import decimal
import fractions
import http
import io
import os
import pathlib
import pickle
import re
import signal
import uuid

import pytest

from nixenv.kernel.process import comparing, encoding, memory
from nixenv.kernel.process.references import GoneError, References

ZONE = dt.timezone(dt.timedelta(hours=-3), "there")
PLAIN = [
    None, True, 7, 2**90, 1.5, 2 - 3j, "tëxt", b"bytes", bytearray(b"more"), ..., NotImplemented,
    [1, [2]], (1, (2,)), {"a": {1: 2}}, {1, 2}, frozenset([3]), range(1, 9, 2), slice(1, None),
    dt.date(2020, 2, 29), dt.time(1, 2, 3, 4, fold=1), dt.timedelta(-1, 2, 3),
    dt.datetime(2020, 2, 29, 1, tzinfo=ZONE, fold=1), dt.timezone.utc, ZONE,
    decimal.Decimal("1.10"), fractions.Fraction(1, 3), uuid.UUID(int=5), pathlib.Path("/a/b"),
    pathlib.PureWindowsPath("c:/x"), collections.OrderedDict(b=1, a=2), collections.Counter("aab"),
    collections.deque([1, 2], 3), collections.defaultdict(list, {1: [2]}), array.array("d", [1.5]),
    re.compile("a+", re.IGNORECASE), http.HTTPStatus.NOT_FOUND, signal.SIGINT, int, ValueError, len,
    dt.datetime, memoryview(b"view"), b"large" * 20000, bytearray(b"large") * 20000,
]  # fmt: skip


@pytest.fixture
def table() -> References:
    return References("there.", "write it there")


def there_and_back(value, table):
    payload, files = encoding.encode(encoding.lifted(value), table)
    return encoding.decode(payload, files, table)


@pytest.mark.parametrize("value", PLAIN, ids=lambda value: type(value).__name__)
def test_plain_data_travels_by_value(value, table):
    back = there_and_back(value, table)
    assert type(back) is type(value)
    assert back == value
    assert repr(back)[:5] == repr(value)[:5]
    assert table.count == 0


def test_containers_that_hold_themselves_and_shared_ones_stay_so(table):
    inner: list[object] = []
    inner.append(inner)
    one, two, me = there_and_back([inner, inner, {"me": inner}], table)
    assert one is two is me["me"]
    assert one[0] is one


@pytest.mark.parametrize(
    "value",
    [
        io.StringIO(),
        object(),
        lambda: None,
        pytest,
        type("Mine", (dict,), {})(a=1),
        iter([1]),
        print,
    ],
    ids=lambda value: type(value).__name__,
)
def test_everything_else_stays_and_is_referred_to(value, table):
    encoding.encode([value], table)
    assert table.count == 1
    assert table.held(1) is value
    table.release(1, 1)
    with pytest.raises(GoneError):
        table.held(1)


def test_shared_memory_is_written_once_and_mapped_privately(table):
    large = bytearray(os.urandom(memory.SHARED_FROM))
    payload, files = encoding.encode(memoryview(large), table)
    assert len(payload) < 1000
    assert len(files) == 1
    back = encoding.decode(payload, files, table)
    assert back == large
    assert not back.readonly
    back[0] ^= 1
    assert back != large
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(files[0])


@pytest.mark.parametrize(
    "hostile",
    [
        pickle.dumps(os.system),
        b"cos\nsystem\n(S'true'\ntR.",
        pickle.dumps(pathlib.Path),
        b"\x80\x04c__main__\nx\n.",
        b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93.",
    ],
    ids=["function", "call", "class", "main", "eval"],
)
def test_bytes_that_name_anything_else_are_refused(hostile, table):
    with pytest.raises(pickle.UnpicklingError, match="vocabulary"):
        encoding.decode(hostile + b"\0", (), table)


@pytest.mark.parametrize(
    ("word", "arguments"),
    [
        ("_make_builtin", ("eval",)),
        ("_make_enum", ("os", "system", "true")),
        ("_make_enum", ("http", "HTTPMessage", 1)),
        ("_make_exception", (list, (), ({}, {}), None, (), (None, None, False))),
    ],
)
def test_words_make_only_what_they_are_for(word, arguments, table):
    body = pickle.dumps(arguments, 4)[2:-1]
    hostile = b"\x80\x04\x8c\x01x\x8c" + bytes([len(word)]) + word.encode() + b"\x93" + body + b"R."
    with pytest.raises(pickle.UnpicklingError):
        encoding.decode(hostile + b"\0", (), table)


def test_buffers_that_are_not_there_are_refused(table):
    payload, files = encoding.encode(memoryview(bytes(memory.SHARED_FROM)), table)
    short = memory.anonymous()
    memory.seal(short)
    with pytest.raises(ValueError, match="shorter"):
        encoding.decode(payload, (short,), table)
    with pytest.raises(ValueError, match="end"):
        encoding.decode(payload, (), table)
    open_still = memory.anonymous()
    os.ftruncate(open_still, memory.SHARED_FROM)
    with pytest.raises(ValueError, match="could change"):
        encoding.decode(payload, (open_still,), table)
    os.close(files[0])


def test_fingerprints_are_equal_for_equal_content_and_none_for_references(table):
    assert comparing.fingerprint({"a": [1]}, table) == comparing.fingerprint({"a": [1]}, table)
    assert comparing.fingerprint({"a": [1]}, table) != comparing.fingerprint({"a": [2]}, table)
    assert comparing.fingerprint([object()], table) is None
    assert comparing.fingerprint(ValueError(object()), table) is None
    assert table.count == 0


def test_syntax_error_keeps_its_place(table):
    with pytest.raises(SyntaxError) as caught:
        compile("x = (\n", "cell", "exec")
    back = there_and_back(caught.value, table)
    assert type(back) is SyntaxError
    assert (back.filename, back.lineno, back.msg) == ("cell", 1, caught.value.msg)


def caught_last(error):
    place = error.__traceback__
    while place.tb_next is not None:
        place = place.tb_next
    return place


def test_frames_of_an_exception_are_those_of_the_other_side(table):
    def fail():
        raise LookupError("x")

    with pytest.raises(LookupError) as caught:
        fail()
    back = there_and_back(caught.value, table)
    frames = []
    place = back.__traceback__
    while place is not None:
        frames.append((place.tb_frame.f_code.co_name, place.tb_lineno))
        place = place.tb_next
    assert frames[-1] == ("fail", fail.__code__.co_firstlineno + 1)
    last = caught_last(back).tb_frame
    assert (last.f_lineno, last.f_code.co_firstlineno) == (
        fail.__code__.co_firstlineno + 1,
        fail.__code__.co_firstlineno,
    )
