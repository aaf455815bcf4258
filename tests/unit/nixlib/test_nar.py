"""The archive format: bytes that Nix itself wrote, and everything that must be refused."""

import hashlib
import io
from collections.abc import Callable

import pytest

from nixlib import nar
from nixlib.errors import NarError
from nixlib.tree import Directory, Node, Regular, Symlink, tree_of


def text(data: bytes) -> bytes:
    return len(data).to_bytes(8, "little") + data + bytes(-len(data) % 8)


def words(*items: bytes) -> bytes:
    return b"".join(map(text, items))


def archive(*items: bytes) -> bytes:
    return words(b"nix-archive-1", *items)


def entry(name: bytes, *node: bytes) -> tuple[bytes, ...]:
    return (b"entry", b"(", b"name", name, b"node", *node, b")")


FILE = (b"(", b"type", b"regular", b"contents", b"hi", b")")
LINK = (b"(", b"type", b"symlink", b"target", b"to", b")")


def folder(*entries: bytes) -> bytes:
    return archive(b"(", b"type", b"directory", *entries, b")")


def test_file_is_the_archive_that_nix_hashes() -> None:
    # `nix-store --add` of a file with these two bytes, then `nix path-info --json`.
    expected = "2252d4b78c94e8c7ace4e3317b78bdfe64bc8e3970a64eb6d2f7c2a443c0c3fc"
    assert nar.nar_hash(Regular.of(b"hi"))[0].hex() == expected


def test_dump_writes_the_words_of_the_format() -> None:
    tree = Directory({"b": Symlink("to"), "a": Regular.of(b"hi")})
    expected = folder(*entry(b"a", *FILE), *entry(b"b", *LINK))
    assert b"".join(nar.dump(tree)) == expected


def test_entries_are_sorted_by_bytes_not_by_characters() -> None:
    # By UTF-16 the second would come first; a name that is no UTF-8 keeps its bytes.
    names = ["\ufffd", "\U0001f600", b"\xff".decode("utf-8", "surrogateescape"), "a"]
    data = b"".join(nar.dump(Directory({name: Symlink("x") for name in names})))
    found = [data.index(text(name.encode("utf-8", "surrogateescape"))) for name in sorted(names)]
    assert len(found) == 4
    assert isinstance(nar.parse(io.BytesIO(data)), Directory)


def test_big_contents_are_passed_on_uncopied() -> None:
    content = bytes(1_000_000)
    assert any(chunk is content for chunk in nar.dump(tree_of({"a/b": content})))


def test_many_small_files_come_in_few_chunks() -> None:
    tree = tree_of({f"d/{n}": b"x" * 100 for n in range(5_000)})
    chunks = list(nar.dump(tree))
    assert sum(map(len, chunks)) / len(chunks) > 100_000


def test_parse_buffer_does_not_copy_contents() -> None:
    data = bytearray(b"".join(nar.dump(Regular.of(b"hello wo"))))
    node = nar.parse_buffer(memoryview(data))
    assert isinstance(node, Regular)
    data[data.index(b"hello") : data.index(b"hello") + 5] = b"HELLO"
    assert b"".join(node.read()) == b"HELLO wo"


BAD = {
    "empty": b"",
    "other magic": words(b"nix-archive-2", *FILE),
    "name ..": folder(*entry(b"..", *FILE)),
    "name .": folder(*entry(b".", *FILE)),
    "empty name": folder(*entry(b"", *FILE)),
    "name with a slash": folder(*entry(b"a/b", *FILE)),
    "absolute name": folder(*entry(b"/etc", *FILE)),
    "name with a zero": folder(*entry(b"a\0b", *FILE)),
    "unsorted": folder(*entry(b"b", *FILE), *entry(b"a", *FILE)),
    "duplicate": folder(*entry(b"a", *FILE), *entry(b"a", *LINK)),
    "link first, then below it": folder(*entry(b"a", *LINK), *entry(b"a/x", *FILE)),
    "empty target": archive(b"(", b"type", b"symlink", b"target", b"", b")"),
    "target with a zero": archive(b"(", b"type", b"symlink", b"target", b"a\0", b")"),
    "unknown type": archive(b"(", b"type", b"device", b")"),
    "no contents": archive(b"(", b"type", b"regular", b")"),
    "executable with a value": archive(
        b"(", b"type", b"regular", b"executable", b"1", b"contents", b"", b")"
    ),
    "bytes after the end": archive(*FILE) + bytes(8),
    "two nodes": archive(*FILE, *FILE),
    "padding that is not zero": archive(*FILE).replace(b"hi\0\0\0\0\0\0", b"hi\0\0\0\0\0\1"),
    "truncated": archive(*FILE)[:-8],
    "length beyond the end": archive(*FILE).replace(
        (2).to_bytes(8, "little") + b"hi", (2**62).to_bytes(8, "little") + b"hi"
    ),
    "nested too deep": words(b"nix-archive-1")
    + words(b"(", b"type", b"directory", b"entry", b"(", b"name", b"a", b"node") * 100_000,
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD.keys())
def test_parse_refuses(data: bytes) -> None:
    with pytest.raises(NarError):
        nar.parse(io.BytesIO(data))


def nested(depth: int) -> Node:
    node: Node = Regular.of(b"")
    for _ in range(depth):
        node = Directory({"a": node})
    return node


def test_deepest_allowed_tree_survives_a_round_trip() -> None:
    data = b"".join(nar.dump(nested(nar.MAX_DEPTH)))
    assert b"".join(nar.dump(nar.parse(io.BytesIO(data)))) == data


@pytest.mark.parametrize(
    "make",
    [
        lambda: nested(nar.MAX_DEPTH + 1),
        lambda: Directory({"..": Regular.of(b"")}),
        lambda: Directory({"a/b": Regular.of(b"")}),
        lambda: Symlink(""),
        lambda: Symlink("a\0b"),
        lambda: Regular(3, lambda: [b"ab"]),
        lambda: Regular(1, lambda: [b"ab"]),
    ],
    ids=["deep", "dots", "slash", "empty link", "zero in link", "short file", "long file"],
)
def test_dump_refuses(make: Callable[[], Node]) -> None:
    with pytest.raises(NarError):
        list(nar.dump(make()))


def test_hash_is_of_what_is_dumped() -> None:
    tree = tree_of({"a": b"1", "b/c": Regular.of(b"2", executable=True), "d": Symlink("a")})
    data = b"".join(nar.dump(tree))
    assert nar.nar_hash(tree) == (hashlib.sha256(data).digest(), len(data))
