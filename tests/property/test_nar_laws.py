"""Laws of the archive format."""

import hashlib
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trees import plain, trees

from nixlib import nar
from nixlib.errors import NarError
from nixlib.tree import Directory, Node, Regular, Symlink

pytestmark = pytest.mark.property


def dumped(node: Node) -> bytes:
    return b"".join(nar.dump(node))


@given(trees)
def test_parse_gives_back_what_was_dumped(tree: Node) -> None:
    assert plain(nar.parse(io.BytesIO(dumped(tree)))) == plain(tree)


@given(trees)
def test_nar_hash_is_of_the_dumped_bytes(tree: Node) -> None:
    data = dumped(tree)
    assert nar.nar_hash(tree) == (hashlib.sha256(data).digest(), len(data))


@given(trees)
def test_dump_is_the_same_whatever_the_order_of_entries(tree: Node) -> None:
    def turned(node: Node) -> Node:
        if isinstance(node, Directory):
            return Directory({n: turned(c) for n, c in reversed(list(node.entries.items()))})
        return node

    assert dumped(turned(tree)) == dumped(tree)


@given(trees, st.integers(1, 100_000))
def test_dump_is_the_same_however_contents_arrive(tree: Node, step: int) -> None:
    def cut(node: Node) -> Node:
        if isinstance(node, Directory):
            return Directory({n: cut(c) for n, c in node.entries.items()})
        if isinstance(node, Symlink):
            return node
        data = b"".join(node.read())
        chunks = [data[i : i + step] for i in range(0, len(data), step)]
        return Regular(len(data), lambda: chunks, node.executable)

    assert dumped(cut(tree)) == dumped(tree)


@given(trees)
def test_no_chunk_is_empty(tree: Node) -> None:
    # An empty frame would end the stream to the daemon early.
    assert all(nar.dump(tree))


@given(trees, st.data())
def test_parse_refuses_every_prefix(tree: Node, data: st.DataObject) -> None:
    whole = dumped(tree)
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(NarError):
        nar.parse(io.BytesIO(whole[:cut]))


@given(trees, st.data())
def test_parse_accepts_no_second_archive_of_a_tree(tree: Node, data: st.DataObject) -> None:
    # Flip one byte anywhere: either it is refused, or it is the one archive of another tree.
    whole = bytearray(dumped(tree))
    position = data.draw(st.integers(0, len(whole) - 1))
    whole[position] ^= data.draw(st.integers(1, 255))
    try:
        other = nar.parse(io.BytesIO(bytes(whole)))
    except NarError:
        return
    assert dumped(other) == bytes(whole)
