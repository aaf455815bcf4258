"""What is special about the newest Nix that can be had; the contract runs against it as well."""

from pathlib import Path

import pytest
from daemons import needs_nix, nix, open_dir, verify  # noqa: F401
from newest_nix import newest_nix

from nixlib import nar
from nixlib.store import open_store
from nixlib.storepath import fixed_output_path
from nixlib.tree import Symlink, tree_of

pytestmark = [pytest.mark.daemon, pytest.mark.network]


def test_newest_nix_speaks_the_newest_protocol_we_know(open_dir: Path) -> None:  # noqa: F811
    newest = newest_nix()
    with (
        open_store(str(open_dir / "store"), env=newest.env()) as store,
        store._pool.connection() as connection,
    ):
        greeting = connection.greeting
    assert newest.version >= (2, 26)
    assert greeting.minor == 38
    assert greeting.nix_version.startswith(".".join(map(str, newest.version)))
    assert greeting.trusted is True


@needs_nix
def test_oldest_and_newest_nix_use_one_store_in_turn(open_dir: Path) -> None:  # noqa: F811
    # The same paths, and neither finds what the other wrote at fault.
    root, env = open_dir / "store", newest_nix().env()
    leaf = tree_of({"a.py": b"1" * 100_000})
    with open_store(str(root)) as store:
        one = store.add_tree("leaf", leaf)
    link = tree_of({"l": Symlink(f"../{one.path}")})
    with open_store(str(root), env=env) as store:
        assert store.add_tree("leaf", leaf) == one
        two = store.add_tree("env", link, [one.path])
    with open_store(str(root)) as store:
        assert store.add_tree("env", link, [one.path]) == two
    assert two.path == fixed_output_path("env", nar.nar_hash(link)[0], [one.path])
    verify(root)
    nix(root, "nix-store", "--verify", "--check-contents", env=env)
