"""The store stays valid whatever happens to us or to its disk."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from daemons import (
    chroot_store,  # noqa: F401
    needs_nix,
    needs_root,
    nix,
    open_dir,  # noqa: F401
    verify,
)

import nixlib
from nixlib.errors import StoreError
from nixlib.store import open_store
from nixlib.tree import Regular, tree_of

pytestmark = [pytest.mark.daemon, needs_nix]

# Adds trees for ever, by two threads, small ones and ones beyond the 32 MB that Nix holds in memory.
WORK = """
import itertools, sys, threading
from nixlib.store import open_store
from nixlib.tree import Regular, tree_of

store = open_store(sys.argv[1])
number = itertools.count()
print("ready", flush=True)

def work():
    for n in number:
        size = 40_000_000 if n % 5 == 0 else 2_000_000
        files = {f"{i}.py": f"{sys.argv[2]} {n} {i}" for i in range(200)}
        store.add_tree("tree", tree_of({**files, "big": n.to_bytes(4, "little") * (size // 4)}))

for _ in range(2):
    threading.Thread(target=work).start()
"""


def test_store_is_valid_after_kills_at_any_moment(chroot_store: Path) -> None:  # noqa: F811
    env = {**os.environ, "PYTHONPATH": str(Path(nixlib.__file__).parent.parent)}
    for number in range(6):
        argv = [sys.executable, "-c", WORK, str(chroot_store), str(number)]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, env=env) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(0.07 * number)  # before the first connection, and on into the big files
            process.send_signal(signal.SIGKILL)
        with open_store(str(chroot_store)) as store:  # the next start succeeds, at once
            added = store.add_tree("next", tree_of({"a": str(number)}))
            assert store.query_valid_paths([added.path]) == {added.path}
    verify(chroot_store)
    nix(chroot_store, "nix-store", "--gc")
    wait_until_gone(chroot_store)
    assert sorted(entry.name for entry in (chroot_store / "nix/store").iterdir()) == [".links"]


def wait_until_gone(root: Path) -> None:
    """Let daemons of killed processes end, and collect what they left."""
    deadline = time.monotonic() + 20
    while len(list((root / "nix/store").iterdir())) > 1 and time.monotonic() < deadline:
        time.sleep(0.2)
        nix(root, "nix-store", "--gc")


@contextmanager
def small_disk(place: Path, size: str) -> Iterator[Path]:
    """A file system of its own on `place`."""
    place.mkdir()
    argv = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@needs_root
@pytest.mark.parametrize("megabytes", [20, 60], ids=["in memory first", "straight to the disk"])
def test_full_disk_is_named_and_the_hint_mends_it(open_dir: Path, megabytes: int) -> None:  # noqa: F811
    with small_disk(open_dir / "disk", "16m") as disk, open_store(str(disk / "store")) as store:
        small = store.add_tree("small", tree_of({"a": "b"}))
        with pytest.raises(StoreError) as caught:
            store.add_tree("big", Regular.of(os.urandom(1_000_000) * megabytes))
        assert caught.value.reason == "full"
        assert "big" in caught.value.summary
        # What Nix had written lies there, not valid, until its collector comes; the hint says so.
        assert "nix-store --gc" in caught.value.hint
        nix(disk / "store", "nix-store", "--gc")
        other = store.add_tree("other", tree_of({"c": "d"}))
        assert store.query_valid_paths([small.path, other.path]) == {small.path, other.path}
        verify(disk / "store")


@needs_root
def test_store_that_cannot_even_be_opened_on_a_full_disk_is_named(open_dir: Path) -> None:  # noqa: F811
    with small_disk(open_dir / "disk", "1m") as disk:
        (disk / "filler").write_bytes(bytes(1_000_000))
        with open_store(str(disk / "store")) as store, pytest.raises(StoreError) as caught:
            store.add_tree("x", Regular.of(b""))
    assert caught.value.reason == "full"


@needs_root
def test_read_only_disk_is_named(open_dir: Path) -> None:  # noqa: F811
    with small_disk(open_dir / "disk", "16m") as disk:
        with open_store(str(disk / "store")) as store:
            store.add_tree("x", Regular.of(b""))
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        with open_store(str(disk / "store")) as store, pytest.raises(StoreError) as caught:
            store.add_tree("y", Regular.of(b"y"))
    assert caught.value.reason == "read-only"
