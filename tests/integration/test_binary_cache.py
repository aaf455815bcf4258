"""Caches that Nix itself made, read by us and by a daemon."""

import hashlib
from pathlib import Path

import pytest
from caches import served
from daemons import (
    chroot_store,  # noqa: F401
    needs_nix,
    nix,
    open_dir,  # noqa: F401
    start_daemon,
    stop_daemon,
    verify,
)

from nixlib.caches.substituter import fetch_from_caches
from nixlib.sri import sri
from nixlib.store import DaemonStore, open_store
from nixlib.storepath import StorePath
from nixlib.tree import Regular, Symlink, tree_of

pytestmark = [pytest.mark.daemon, needs_nix]


def fill(root: Path) -> tuple[dict[StorePath, str], StorePath]:
    """A store with two packages and an environment; hashes by path, and the environment."""
    noise = b"".join(hashlib.sha256(bytes([n % 256, n // 256])).digest() for n in range(20_000))
    with open_store(str(root)) as store:
        one = store.add_tree("one", tree_of({"a.py": "a", "big.bin": noise}))
        two = store.add_tree("two", tree_of({"b.py": Regular.of(b"b", executable=True)}))
        links = {"one": Symlink(f"../{one.path}"), "two": Symlink(f"../{two.path}")}
        env = store.add_tree("env", tree_of(links), [one.path, two.path])
    return {info.path: sri(info.nar_sha256) for info in (one, two, env)}, env.path


def copy_to(root: Path, cache: Path, path: StorePath, compression: str) -> None:
    """`nix copy` of a closure, unsigned."""
    features = ["--extra-experimental-features", "nix-command"]
    target = f"file://{cache}?compression={compression}"
    nix(root, "nix", *features, "copy", "--to", target, path.in_dir())


def check(store: DaemonStore, wanted: dict[StorePath, str], env: StorePath) -> None:
    info = store.query_path_info(env)
    assert info is not None
    assert set(info.references) == set(wanted) - {env}
    assert (store.physical(env) / "one" / "a.py").read_text() == "a"
    assert (store.physical(env) / "two" / "b.py").stat().st_mode & 0o111


@pytest.mark.parametrize("compression", ["none", "xz", "bzip2", "gzip"])
def test_closure_comes_out_of_a_cache_that_nix_made(open_dir: Path, compression: str) -> None:  # noqa: F811
    wanted, env = fill(open_dir / "source")
    copy_to(open_dir / "source", open_dir / "cache", env, compression)
    with (
        served(open_dir / "cache") as (url, _),
        open_store(str(open_dir / "target")) as store,
    ):
        assert fetch_from_caches(store, wanted, [url]) == set(wanted)
        check(store, wanted, env)
    verify(open_dir / "target")


def test_unsigned_cache_of_the_daemons_is_asked_by_the_daemon(open_dir: Path) -> None:  # noqa: F811
    wanted, env = fill(open_dir / "source")
    copy_to(open_dir / "source", open_dir / "cache", env, "xz")
    with served(open_dir / "cache") as (url, _):
        daemon = start_daemon(
            open_dir / "target", open_dir / "run" / "socket", substituters=url, require_sigs="true"
        )
        try:
            absent = StorePath.parse("g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-absent")
            with open_store(daemon.uri) as store:
                assert store.substitute([*wanted, absent]) == set(wanted)
                assert store.substitute(list(wanted)) == frozenset()
                check(store, wanted, env)
                nix(open_dir / "target", "nix-store", "--gc")  # temporary roots hold
                assert store.query_valid_paths(list(wanted)) == set(wanted)
        finally:
            stop_daemon(daemon)


def test_broken_object_of_the_daemons_cache_does_not_stop_the_others(open_dir: Path) -> None:  # noqa: F811
    wanted, env = fill(open_dir / "source")
    copy_to(open_dir / "source", open_dir / "cache", env, "xz")
    one = next(path for path in wanted if path.name == "one")
    info = (open_dir / "cache" / f"{one.digest}.narinfo").read_text()
    url_of_one = next(line[5:] for line in info.splitlines() if line.startswith("URL: "))
    (open_dir / "cache" / url_of_one).write_bytes(b"broken")
    with served(open_dir / "cache") as (url, _):
        daemon = start_daemon(
            open_dir / "target", open_dir / "run" / "socket", substituters=url, require_sigs="true"
        )
        try:
            with open_store(daemon.uri) as store:
                two = next(path for path in wanted if path.name == "two")
                assert store.substitute([one, two]) == {two}
        finally:
            stop_daemon(daemon)
