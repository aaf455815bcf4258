"""What holds of every environment, whatever the packages are."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixlib.composition.compose import compose
from nixlib.errors import CollisionError
from nixlib.nar import nar_hash
from nixlib.testing.packages import interpreter_of, package_of
from nixlib.tree import Directory, Symlink, walk

pytestmark = pytest.mark.property

# Few names, so that packages meet.
part = st.sampled_from(["a", "b", "c", "tests", "LICENSE", "__pycache__"])
leaf = st.sampled_from(["__init__.py", "x.py", "y.so", "data.txt", "README.md", "z.pyc"])
root = st.sampled_from(
    ["site-packages", "bin", "include", "data", "data/share", "data/lib", "data/bin"]
)
path = st.builds(
    lambda top, parts, name: "/".join([top, *parts, name]), root, st.lists(part, max_size=3), leaf
)
body = st.sampled_from(["", "1", "import pkgutil\n"])


def _sound(files):
    """Without a path that is a file and a directory at once."""
    folders = {"/".join(p.split("/")[:n]) for p in files for n in range(1, p.count("/") + 1)}
    return {p: b for p, b in files.items() if p not in folders}


files = st.dictionaries(path, body, max_size=8).map(_sound)
packages = st.lists(files, max_size=5).map(
    lambda each: [
        package_of(
            f"p{n}",
            one,
            origin=tuple(
                p.rpartition("/")[0] for p in one if p.endswith(".so") and p.startswith("site")
            ),
        )
        for n, one in enumerate(each)
    ]
)
collisions = st.dictionaries(
    st.sampled_from(["a", "b", "x", "y", "z", "bin", "__init__", "data/x.py"]),
    st.sampled_from(["p0", "p1", "p4"]),
    max_size=3,
)


def outcome(found, settled):
    try:
        return compose(found, interpreter_of(), collisions=settled)
    except CollisionError as error:
        return error


def resolve(tree, packages, path):
    """What is at `path` of an environment, seen through its links into the packages' objects."""
    node = tree
    for position, name in enumerate(parts := path.split("/")):
        node = node.entries[name]
        if isinstance(node, Symlink):
            target = node.target.removeprefix("../" * (position + 1))
            owner, _, inside = target.partition("/")
            package = next(p for p in packages if str(p.path) == owner)
            return package.listing.kind("/".join([inside, *parts[position + 1 :]]))
    return "dir" if isinstance(node, Directory) else "file"


@given(packages, collisions, st.randoms(use_true_random=False))
def test_order_of_packages_never_changes_anything(found, settled, source: random.Random):
    shuffled = list(found)
    source.shuffle(shuffled)
    one, other = outcome(found, settled), outcome(shuffled, settled)
    if isinstance(one, CollisionError):
        assert str(one) == str(other)
    else:
        assert nar_hash(one.tree) == nar_hash(other.tree)
        assert (one.references, one.warnings) == (other.references, other.warnings)


@given(packages, collisions)
def test_references_are_exactly_what_links_lead_to(found, settled):
    composition = outcome(found, settled)
    if isinstance(composition, CollisionError):
        return
    linked = set()
    for path, node in walk(composition.tree):
        if isinstance(node, Symlink):
            up = "../" * (path.count("/") + 1)
            assert node.target.startswith(up) or "/" not in node.target, path
            linked |= {node.target.removeprefix(up).partition("/")[0]} - {"python"}
    assert {str(path) for path in composition.references} == linked


@given(packages)
def test_every_file_of_every_package_is_there_when_nothing_clashes(found):
    composition = outcome(found, {})
    if isinstance(composition, CollisionError) or composition.warnings:
        return
    for package in found:
        for path, node in walk(package.listing.tree):
            top, _, inside = path.partition("/")
            if isinstance(node, Directory) or "__pycache__" in path or not inside:
                continue
            place = {
                "site-packages": "lib/python3.11/site-packages/",
                "bin": "bin/",
                "include": "include/site/python3.11/",
                "data": "",
            }[top]
            assert resolve(composition.tree, found, place + inside) == "file"


@given(packages)
def test_no_directory_is_empty_and_no_link_dangles(found):
    composition = outcome(found, {})
    if isinstance(composition, CollisionError):
        return
    for path, node in walk(composition.tree):
        if isinstance(node, Directory):
            assert node.entries, path
        if isinstance(node, Symlink) and node.target.startswith("../" * (path.count("/") + 1)):
            owner, _, inside = node.target.replace("../", "").partition("/")
            package = next((p for p in found if str(p.path) == owner), interpreter_of())
            assert package.listing.kind(inside), path


@given(packages)
def test_collisions_that_the_hint_names_are_settled_by_it(found):
    error = outcome(found, {})
    if isinstance(error, CollisionError):
        settled = error.collisions
        for _ in range(8):  # settling a name can show what is below it
            error = outcome(found, settled)
            if not isinstance(error, CollisionError):
                return
            settled = {**settled, **error.collisions}
        raise AssertionError(str(error))
