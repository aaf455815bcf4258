"""Laws of conda prefixes: whatever the packages bring, the result is the one that rattler makes."""

import tempfile
from pathlib import Path

import pytest
from conda_prefixes import installed, laid_out, locked, plan_of, seen
from hypothesis import given, settings
from hypothesis import strategies as st
from rattler import PackageRecord
from rattler.package import BuildString

from nixlib.conda.order import topological
from nixlib.testing.conda_archives import PLACEHOLDER, make_conda
from nixlib.testing.memory_store import MemoryStore
from nixlib.tree import Regular, Symlink

pytestmark = pytest.mark.property

NAMES = tuple("abcdefgh")
# Never a file of one package where another has a folder: rattler stops at that, or not, as its threads
# happen to come ("failed to create directory").
FOLDERS = st.lists(st.sampled_from(["bin", "lib", "x"]), min_size=1, max_size=3)
LEAVES = st.sampled_from(["1", "2", "3"])
PATHS = st.builds(lambda folders, leaf: "/".join([*folders, leaf]), FOLDERS, LEAVES)
NODES = st.sampled_from(
    [
        ("file", b""),
        ("file", b"1"),
        ("file", f"#!{PLACEHOLDER}/bin/python\n{PLACEHOLDER}\n".encode()),
        ("file", f"\0{PLACEHOLDER}/lib:{PLACEHOLDER}\0\1".encode()),
        ("program", b"#!/bin/sh\n"),
        ("link", "1"),
        ("link", "./2"),
        ("link", "nowhere/at/all"),
    ]
)
GRAPHS = st.dictionaries(
    st.sampled_from(NAMES),
    st.tuples(st.sets(st.sampled_from(NAMES), max_size=4), st.sampled_from(["", "generic"])),
    min_size=1,
)


@st.composite
def packages(draw):
    """Packages that have many paths in common."""
    found = []
    for name, (depends, noarch) in draw(GRAPHS).items():
        files = draw(st.dictionaries(PATHS, NODES, max_size=8))
        kind = "python" if noarch and draw(st.booleans()) else noarch
        if kind == "python":
            roots = ("site-packages", "python-scripts", "lib", "bin")
            files = {f"{draw(st.sampled_from(roots))}/{path}": node for path, node in files.items()}
        found.append((name, sorted(depends), kind, files))
    return found


def archives_of(found):
    yield make_conda("python", "3.11.7", "0", {"bin/python3.11": "#!"}, subdir="linux-64")
    names = {name for name, *_ in found}
    for name, depends, kind, files in found:
        yield make_conda(
            name,
            files={path: node_of(node) for path, node in files.items()},
            depends=[other for other in depends if other in names],
            noarch=kind,
            subdir="noarch" if kind else "linux-64",
        )


def node_of(node):
    kind, what = node
    return Symlink(what) if kind == "link" else Regular.of(what, executable=kind == "program")


@settings(max_examples=60, deadline=None)
@given(packages())
def test_prefix_is_rattlers(found):
    archives = list(archives_of(found))
    with tempfile.TemporaryDirectory() as folder:
        scratch, store = Path(folder), MemoryStore()
        plan = plan_of(archives, store, scratch)
        place = store.physical(plan.inputs[0]).parent
        ours = laid_out(plan, store, place / f"{'0' * 32}-conda-prefix")
        theirs = installed(archives, scratch / "theirs", ours)
        assert seen(ours) == seen(theirs)


@settings(deadline=None)
@given(GRAPHS)
def test_order_of_packages_is_rattlers(graph):
    archives = [
        make_conda(name, depends=sorted(depends), noarch=noarch, subdir="linux-64")
        for name, (depends, noarch) in graph.items()
    ]
    records = [
        PackageRecord(
            archive.index["name"],
            "1.0",
            BuildString("0"),
            0,
            "linux-64",
            noarch=archive.index.get("noarch"),
            depends=archive.index["depends"],
        )
        for archive in archives
    ]
    wanted = [record.name.normalized for record in PackageRecord.sort_topologically(records)]
    assert list(topological([locked(archive) for archive in archives])) == wanted
