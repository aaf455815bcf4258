"""Laws of store paths, and that Nix computes the same ones."""

import subprocess
from pathlib import Path

import pytest
from daemons import chroot_store, needs_nix, nix_env, open_dir  # noqa: F401
from hypothesis import given, settings
from hypothesis import strategies as st
from trees import file_names, regulars, store_names, symlinks, trees

from nixlib import nar
from nixlib.errors import InvalidStorePathError
from nixlib.store import open_store
from nixlib.storepath import (
    StorePath,
    check_name,
    fixed_output_path,
    nix32_decode,
    nix32_encode,
    sanitise_name,
)
from nixlib.tree import Directory, Node, Regular

pytestmark = pytest.mark.property


@given(st.binary(max_size=64))
def test_nix32_survives_a_round_trip(data: bytes) -> None:
    assert nix32_decode(nix32_encode(data)) == data


@given(st.text("0123456789abcdfghijklmnpqrsvwxyz", max_size=64))
def test_nix32_text_that_decodes_encodes_to_itself(text: str) -> None:
    try:
        data = nix32_decode(text)
    except InvalidStorePathError:
        return
    assert nix32_encode(data) == text


@given(st.text(max_size=300))
def test_sanitised_name_is_legal_short_and_a_fixed_point(text: str) -> None:
    name = sanitise_name(text)
    assert check_name(name) == name
    assert len(name) <= 180
    assert sanitise_name(name) == name


@given(st.binary(min_size=20, max_size=20), store_names)
def test_store_path_survives_a_round_trip(digest: bytes, name: str) -> None:
    path = StorePath(nix32_encode(digest), name)
    assert StorePath.parse(str(path)) == path
    assert StorePath.parse(path.in_dir()) == path


@given(store_names, st.binary(min_size=32, max_size=32), st.lists(store_names, max_size=4))
def test_path_does_not_depend_on_the_order_of_references(
    name: str, sha256: bytes, others: list[str]
) -> None:
    paths = [StorePath(nix32_encode(bytes([i]) * 20), n) for i, n in enumerate(others)]
    assert fixed_output_path(name, sha256, paths) == fixed_output_path(name, sha256, paths[::-1])


@needs_nix
def test_two_hundred_paths_are_those_of_the_daemon(chroot_store: Path) -> None:  # noqa: F811
    """Names, trees and references as they come; the daemon hashes and names them itself."""
    made: set[StorePath] = set()

    @settings(max_examples=200)
    @given(store_names, trees, st.sets(st.integers(0, 7)))
    def check(name: str, tree: Node, picked: set[int]) -> None:
        references = {leaves[number] for number in picked}
        sha256, size = nar.nar_hash(tree)
        added = store.add_tree(name, tree, references)
        assert added.path == fixed_output_path(name, sha256, references)
        assert (added.nar_sha256, added.nar_size) == (sha256, size)
        assert added.references == tuple(sorted(references))
        made.add(added.path)

    with open_store(str(chroot_store), connections=1) as store:
        leaves = [store.add_tree(f"leaf{n}", Regular.of(bytes([n]))).path for n in range(8)]
        check()
    assert len(made) >= 100


@needs_nix
def test_a_hundred_paths_are_those_of_nix_store_add(tmp_path: Path, chroot_store: Path) -> None:  # noqa: F811
    """Trees that this disk can hold, added by Nix's own command, all in one run of it."""
    nodes = st.recursive(
        st.one_of(regulars, symlinks),
        lambda inner: st.builds(Directory, st.dictionaries(file_names, inner, max_size=4)),
        max_leaves=6,
    )
    expected: dict[Path, StorePath] = {}

    @settings(max_examples=100)
    @given(store_names, nodes)
    def collect(name: str, tree: Node) -> None:
        place = tmp_path / str(len(expected)) / name
        place.parent.mkdir()
        _write(tree, place)
        expected[place] = fixed_output_path(name, nar.nar_hash(tree)[0])

    collect()
    argv = ["nix-store", "--add", *map(str, expected)]
    done = subprocess.run(
        argv, env=nix_env(chroot_store), capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [path.in_dir() for path in expected.values()]


def _write(node: Node, place: Path) -> None:
    # Not the writer of MemoryStore: two that agree could be wrong together.
    if isinstance(node, Directory):
        place.mkdir()
        for name, child in node.entries.items():
            _write(child, place / name)
    elif hasattr(node, "target"):
        place.symlink_to(node.target)
    else:
        place.write_bytes(b"".join(node.read()))
        place.chmod(0o755 if node.executable else 0o644)
