"""RECORD: parsing, writing, and where it and the files differ."""

import pytest

from nixlib.wheels.record import (
    RecordSyntaxError,
    Row,
    algorithm_of,
    digest_of,
    disagreements,
    parse_record,
    write_record,
)


def test_rows_are_read_with_quotes_bom_and_windows_line_ends():
    data = b'\xef\xbb\xbfa.py,sha256=x,1\r\n"b,c.py",,\r\n\r\n'
    assert list(parse_record(data)) == [Row("a.py", "sha256=x", "1"), Row("b,c.py")]


@pytest.mark.parametrize("data", [b"a,b\n", b"a,b,c,d\n", b"\xff,,\n", b'"a,,\n'])
def test_record_is_refused_when_it_is_none(data):
    with pytest.raises(RecordSyntaxError):
        list(parse_record(data))


def test_written_record_is_sorted_and_read_back():
    rows = [Row("b", "sha256=x", "1"), Row("a,b"), Row('q"')]
    assert sorted(parse_record(write_record(rows)), key=lambda row: row.path) == sorted(
        rows, key=lambda row: row.path
    )
    assert write_record(rows) == write_record(reversed(rows))


def test_digest_is_that_of_the_specification():
    # PEP 427's own form; the value is `printf '' | openssl sha256 -binary | base64`.
    assert digest_of([]) == "sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"
    assert digest_of([b"a", b"b"], "sha512") == digest_of([b"ab"], "sha512")


@pytest.mark.parametrize(
    ("digest", "algorithm"),
    [("sha512=x", "sha512"), ("sha384=x", "sha384"), ("md5=x", "sha256"), ("", "sha256")],
)
def test_files_are_hashed_as_record_does_unless_that_is_weak(digest, algorithm):
    assert algorithm_of(Row("a", digest)) == algorithm


def test_padding_and_missing_sizes_are_no_disagreement():
    actual = {"a": Row("a", digest_of([b"x"]), "1")}
    assert disagreements({"a": Row("a", digest_of([b"x"]) + "=", "")}, actual) == []


def test_disagreements_name_every_file_once_and_in_order():
    actual = {path: Row(path, digest_of([b"x"]), "1") for path in "abcd"}
    claimed = {
        "a": Row("a", "sha256=other", "1"),
        "b": Row("b", digest_of([b"x"]), "2"),
        "d": actual["d"],
        "e": Row("e", "sha256=x", "1"),
    }
    assert [path for path, _ in disagreements(claimed, actual)] == ["a", "b", "c", "e"]
