from dataclasses import replace

import pytest
from conda_prefixes import archive_of, imported, laid_out, locked, plan_of, seen  # noqa: F401

from nixlib.composition.package import MemoryListing
from nixlib.conda.archive import read_archive
from nixlib.conda.facts import EntryPoint
from nixlib.conda.listing import PrefixListing
from nixlib.conda.order import topological
from nixlib.conda.prefix import CondaPackage, plan_prefix
from nixlib.errors import CondaArchiveError
from nixlib.storepath import StorePath
from nixlib.testing.conda_archives import PLACEHOLDER, make_conda
from nixlib.testing.memory_store import MemoryStore
from nixlib.tree import Symlink

PYTHON = make_conda("python", "3.11.7", "0", {"bin/python3.11": "#!"}, subdir="linux-64")


class Watched:
    """A listing that remembers which folders were read."""

    def __init__(self, listing):
        self.listing = listing
        self.asked = []

    def children(self, path):
        self.asked.append(path)
        return self.listing.children(path)

    def kind(self, path):
        return self.listing.kind(path)


def package(archive, scratch, number=0):
    read = read_archive(archive.data, archive.filename, scratch=scratch)
    path = StorePath(f"{number:032}", archive.index["name"])
    return CondaPackage(locked(archive), path, MemoryListing(read.tree), read.facts)


def plan(scratch, *archives):
    return plan_prefix([package(archive, scratch, n) for n, archive in enumerate(archives)])


def test_folder_of_one_package_is_one_link(tmp_path):
    files = {f"share/zones/{n}/{m}": "x" for n in range(9) for m in range(9)}
    found = plan(tmp_path, make_conda("zones", files=files))
    assert found.links == (("share/zones", f"../../{'0' * 32}-zones/share/zones"),)
    assert found.folders == ("share", "conda-meta")


def test_only_folders_that_are_not_links_are_read(tmp_path):
    one = package(make_conda("a", files={"share/a/b/c": "", "share/x/a": ""}), tmp_path)
    two = package(make_conda("b", files={"share/x/b": ""}), tmp_path, 1)
    watched = Watched(one.listing)
    plan_prefix([replace(one, listing=watched), two])
    assert sorted(watched.asked) == ["", "share", "share/x"]


def test_folder_with_a_patched_file_is_real_and_its_neighbours_are_links(tmp_path):
    files = {"lib/a/x.pc": f"{PLACEHOLDER}\n", "lib/a/y": "", "lib/a/sub/z": ""}
    found = plan(tmp_path, make_conda("a", files=files))
    assert [patch.path for patch in found.patches] == ["lib/a/x.pc"]
    assert [path for path, _ in found.links] == ["lib/a/sub", "lib/a/y"]


def test_link_of_a_package_stays_as_it_is(tmp_path):
    found = plan(tmp_path, make_conda("a", files={"lib/x.so": Symlink("x.so.1"), "lib/x.so.1": ""}))
    assert ("lib/x.so", "x.so.1") in found.links


def test_noarch_python_goes_to_its_python(tmp_path):
    files = {"site-packages/g/__init__.py": "", "python-scripts/run": "", "share/g/x": ""}
    greeter = make_conda("g", files=files, noarch="python", entry_points=["greet = g:main"])
    found = plan(tmp_path, PYTHON, greeter)
    links = dict(found.links)
    up = "../../../.."
    inside = f"{1:032}-g"
    assert links["lib/python3.11/site-packages/g"] == f"{up}/{inside}/site-packages/g"
    assert links["bin/run"] == f"../../{inside}/python-scripts/run"
    assert links["share/g"] == f"../../{inside}/share/g"
    assert found.commands == (("bin/greet", EntryPoint("greet", "g", "main")),)
    assert found.python == "bin/python3.11"
    assert "lib/python3.11/site-packages" in found.folders


def test_place_of_modules_is_what_python_says(tmp_path):
    python = package(PYTHON, tmp_path)
    said = replace(python.locked, site="lib/python3.13t/site-packages")
    other = package(make_conda("g", files={"site-packages/g.py": ""}, noarch="python"), tmp_path, 1)
    found = plan_prefix([replace(python, locked=said), other])
    assert "lib/python3.13t/site-packages/g.py" in dict(found.links)


def test_noarch_python_without_python_is_refused(tmp_path):
    with pytest.raises(CondaArchiveError) as caught:
        plan(tmp_path, make_conda("g", files={"site-packages/g.py": ""}, noarch="python"))
    assert caught.value.archive == "g-1.0-0.conda"


def test_file_belongs_to_the_later_package_and_the_other_is_kept(tmp_path):
    one = make_conda("a", files={"share/x": "1", "share/y": "1"})
    two = make_conda("b", files={"share/x": "2"}, depends=["a"])
    found = plan(tmp_path, one, two)
    links = dict(found.links)
    assert links["share/x"].endswith("-b/share/x")
    assert links["__clobbers__/a/share/x"] == f"../../../../{'0' * 32}-a/share/x"
    assert found.warnings == ("`share/x` is that of b: a brings it too",)


def test_folder_and_file_of_one_name_go_by_the_same_rule(tmp_path):
    folder = make_conda("a", files={"share/x/1": "", "share/x/2": f"{PLACEHOLDER}\n"})
    file = make_conda("b", files={"share/x": ""}, depends=["a"])
    found = plan(tmp_path, folder, file)
    assert dict(found.links)["share/x"].endswith("-b/share/x")
    assert "__clobbers__/a/share/x/1" in dict(found.links)
    assert [patch.path for patch in found.patches] == ["__clobbers__/a/share/x/2"]
    folder = make_conda("a", files={"share/x/1": ""}, depends=["b"])
    found = plan(tmp_path, folder, make_conda("b", files={"share/x": ""}))
    assert "__clobbers__/b/share/x" in dict(found.links)
    assert "share/x" in dict(found.links)


def test_scripts_of_packages_are_told(tmp_path):
    scripts = {"bin/.a-post-link.sh": "dot -c\n", "bin/.a-pre-link.sh": "echo hello\n"}
    found = plan(tmp_path, make_conda("a", files=scripts))
    assert found.warnings == ("a: `.a-post-link.sh` is not run: it would have run `dot -c`",)
    assert len(found.links) == 2


def test_own_records_stand_before_those_that_packages_bring(tmp_path):
    files = {"conda-meta/history": "x", "conda-meta/pinned": "python 3.11.*\n"}
    found = plan(tmp_path, make_conda("a", files=files))
    assert [path for path, _ in found.links] == ["conda-meta/pinned"]
    assert {path for path, _ in found.records} == {"conda-meta/a-1.0-0.json", "conda-meta/history"}


def test_order_of_a_chain_longer_than_the_stack():
    archives = [make_conda(f"p{n}", depends=[f"p{n + 1}"]) for n in range(3000)]
    order = topological([locked(archive) for archive in archives])
    assert order[0] == "p2999"


def test_listing_sees_through_links_into_the_store(tmp_path):
    files = {"share/z/1": "one", "share/x": "file", "share/y": Symlink("x"), "lib/p": PLACEHOLDER}
    store = MemoryStore()
    archives = [make_conda("a", files=files)]
    found = plan_of(archives, store, tmp_path)
    place = store.physical(found.inputs[0]).parent
    prefix = laid_out(found, store, place / f"{'0' * 32}-conda-prefix")
    listing = PrefixListing(prefix)
    assert (prefix / "share/z").is_symlink()
    assert listing.children("share") == {"x": "file", "y": "link", "z": "dir"}
    assert listing.children("share/z") == {"1": "file"}
    assert [listing.kind(p) for p in ("share/z", "share/y", "lib/p", "no")] == [
        "dir",
        "link",
        "file",
        None,
    ]
    assert listing.read("share/z/1") == b"one"
    tree = MemoryListing(read_archive(archives[0].data, "a-1.0-0.conda", scratch=tmp_path).tree)
    for path in ("share/x", "share/y", "share/z/1"):
        assert listing.digest(path) == tree.digest(path)
