"""A store in somebody's home: no root, no daemon, no namespaces."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from daemons import (
    Unprivileged,
    chroot_store,  # noqa: F401
    needs_nix,
    needs_root,
    nix,
    open_dir,  # noqa: F401
    unprivileged,  # noqa: F401
    verify,
)
from newest_nix import newest_nix

from nixlib import gcroots
from nixlib.store import open_store
from nixlib.tree import Symlink, tree_of

pytestmark = [pytest.mark.daemon, needs_nix]

# An interpreter of the machine stands in for one in the store: what counts is who may start it where.
WORK = """
import json, os, subprocess, sys
from pathlib import Path
from nixlib import gcroots
from nixlib.store import open_store
from nixlib.tree import Regular, Symlink, tree_of

script = b"#!/bin/sh\\ncat \\"${0%/*}/../lib/x.py\\"\\n"
with open_store() as store:
    package = store.add_tree("package", tree_of({"x.py": "from the package"}))
    tree = tree_of({
        "bin/python": Regular.of(script, executable=True),
        "lib": Symlink(f"../{package.path}"),
    })
    env = store.add_tree("env", tree, [package.path])
    link = store.add_root(Path.home() / ".local/state/env", env.path)
print(json.dumps({
    "uid": os.getuid(), "env": str(env.path), "package": str(package.path), "link": str(link),
    "physical": str(store.physical(env.path)), "live": gcroots.is_live(link),
    "said": subprocess.run([link / "bin/python"], capture_output=True, text=True).stdout,
}))
"""


def check(user: Unprivileged, root: Path, found: dict[str, str], env: dict[str, str]) -> None:
    assert found["uid"] != 0
    assert found["live"]
    assert found["said"] == "from the package"
    assert found["physical"] == f"{root}/nix/store/{found['env']}"
    assert Path(found["link"]).owner() == user.name
    assert (root / "nix/store" / found["env"]).owner() == user.name
    nix(root, "nix-store", "--gc", env=env)
    left = {path.name for path in (root / "nix/store").iterdir()} - {".links"}
    assert left == {found["env"], found["package"]}


@needs_root
def test_user_without_rights_makes_and_runs_an_environment(
    unprivileged: Unprivileged,  # noqa: F811
) -> None:
    root = unprivileged.home / "store"
    found = json.loads(unprivileged.run(WORK, NIX_REMOTE=str(root)))
    check(unprivileged, root, found, {})
    verify(root)


@needs_root
def test_user_without_rights_or_daemon_gets_a_store_of_their_own(
    open_dir: Path,  # noqa: F811
    unprivileged: Unprivileged,  # noqa: F811
) -> None:
    # No daemon has ever run here, and the machine's store is not theirs to write.
    found = json.loads(unprivileged.run(WORK, NIX_STATE_DIR=str(open_dir / "var" / "nix")))
    check(unprivileged, unprivileged.home / ".local/share/nix/root", found, {})


@needs_root
@pytest.mark.network
def test_user_without_rights_makes_and_runs_an_environment_with_the_newest_nix(
    unprivileged: Unprivileged,  # noqa: F811
    open_dir: Path,  # noqa: F811
) -> None:
    # The download lies in root's cache, which others may not enter.
    programs = newest_nix().programs
    shutil.copytree(programs.parent / "root", open_dir / "nix", symlinks=True)
    tool = Path(__file__).parent.parent.parent / "tools"
    code = "import sys; sys.path.insert(0, sys.argv[1]); import newest_nix; from pathlib import Path; newest_nix.wrap(Path(sys.argv[2]), Path(sys.argv[3]))"
    wrapped = open_dir / "programs"
    subprocess.run([sys.executable, "-c", code, tool, open_dir / "nix", wrapped], check=True)
    root = unprivileged.home / "store"
    path = f"{wrapped}:/usr/bin:/bin"
    found = json.loads(unprivileged.run(WORK, NIX_REMOTE=f"local?root={root}", PATH=path))
    check(unprivileged, root, found, {"PATH": path})


def test_relative_name_of_a_store_is_taken_from_here(
    open_dir: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(open_dir)
    with open_store("./store") as store:
        added = store.add_tree("x", tree_of({"a": "b"}))
        assert store.physical(added.path) == open_dir / "store/nix/store" / str(added.path)
        assert (open_dir / "store/nix/store" / str(added.path) / "a").read_text() == "b"


def test_root_is_seen_by_the_collector_and_through_by_us(
    chroot_store: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    with open_store(str(chroot_store)) as store:
        package = store.add_tree("package", tree_of({"x.py": ""}))
        tree = tree_of({"bin/python": "", "lib": Symlink(f"../{package.path}")})
        env = store.add_tree("env", tree, [package.path])
        link = store.add_root(tmp_path / "env", env.path)
    assert link.readlink() == chroot_store / "nix/store" / str(env.path)
    listed = nix(chroot_store, "nix-store", "--gc", "--print-roots")
    assert f"/nix/store/{env.path}" in listed
    nix(chroot_store, "nix-store", "--gc")
    assert gcroots.is_live(link)
    shutil.rmtree(chroot_store / "nix/var/nix/gcroots/per-user")
    nix(chroot_store, "nix-store", "--gc")
    assert link.is_symlink()
    assert not gcroots.is_live(link)
