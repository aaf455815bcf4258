"""Facts, and two ways to look at a store object that must say the same."""

import pytest

from nixlib.composition.package import Facts, MemoryListing, StoreListing, parse_facts
from nixlib.errors import StoreError
from nixlib.storepath import StorePath
from nixlib.testing.packages import write_object
from nixlib.tree import Symlink, tree_of

FACTS = Facts(
    1,
    "a-b",
    "1.0",
    {"z": "a:z", "b": "a:b"},
    {},
    ("y", "x"),
    ("site-packages/b", "site-packages/a"),
)
TREE = tree_of(
    {
        "site-packages/a/x.py": "x",
        "site-packages/a/y.py": "x",
        "site-packages/l": Symlink("a/x.py"),
        "e.txt": "",
    }
)


def test_facts_survive_a_round_trip_in_canonical_order():
    back = parse_facts(FACTS.to_bytes())
    assert back.console_scripts == FACTS.console_scripts
    assert back.python_scripts == ("x", "y")
    assert back.to_bytes() == FACTS.to_bytes()


def test_facts_bytes_are_frozen_for_layout_1():
    assert FACTS.to_bytes() == (
        b'{"console_scripts":{"b":"a:b","z":"a:z"},"gui_scripts":{},"layout":1,"name":"a-b",'
        b'"origin":["site-packages/a","site-packages/b"],"python_scripts":["x","y"],"version":"1.0"}\n'
    )


def test_facts_hold_any_file_name():
    odd = Facts(1, "a", "1", {"é": "a:b"}, {}, ("\udcff",), ())
    assert parse_facts(odd.to_bytes()).python_scripts == ("\udcff",)


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", b"[]", b"\xff", b"null", FACTS.to_bytes().replace(b'"layout":1', b'"layout":2')],
)
def test_facts_of_another_kind_are_refused(data):
    with pytest.raises(StoreError):
        parse_facts(data)


@pytest.fixture(params=["memory", "disk"])
def listing(request, tmp_path):
    if request.param == "memory":
        return MemoryListing(TREE)
    return StoreListing(write_object(tmp_path, StorePath("0" * 32, "a"), TREE))


def test_listing_tells_kinds(listing):
    kinds = {
        path: listing.kind(path)
        for path in ("", "site-packages/a", "site-packages/l", "e.txt", "none", "e.txt/x")
    }
    assert kinds == {
        "": "dir",
        "site-packages/a": "dir",
        "site-packages/l": "link",
        "e.txt": "file",
        "none": None,
        "e.txt/x": None,
    }


def test_listing_tells_children(listing):
    assert dict(listing.children("site-packages")) == {"a": "dir", "l": "link"}
    assert dict(listing.children("")) == {"site-packages": "dir", "e.txt": "file"}
    assert dict(listing.children("none")) == dict(listing.children("e.txt")) == {}


def test_listing_digests_tell_files_apart(listing):
    assert listing.digest("site-packages/a/x.py") == listing.digest("site-packages/a/y.py")
    assert (
        len({listing.digest(path) for path in ("site-packages/a/x.py", "site-packages/l", "e.txt")})
        == 3
    )
    assert listing.read("site-packages/a/x.py") == b"x"


def test_listings_have_equal_digests(tmp_path):
    disk = StoreListing(write_object(tmp_path, StorePath("0" * 32, "a"), TREE))
    for path in ("site-packages/a/x.py", "site-packages/l", "e.txt"):
        assert disk.digest(path) == MemoryListing(TREE).digest(path)
