import pytest
from packaging.version import Version

from nixlib.resolvers.simple import IndexFile
from nixlib.resolvers.sources.sdists import offered_sdists, sdists_of
from nixlib.resolvers.uv import Problem


def file(filename, uploaded="2020-01-01T00:00:00Z", **fields):
    return IndexFile(filename, f"https://h.example/{filename}", uploaded=uploaded, **fields)


FILES = (
    file("a-1.zip"),
    file("a-1.tar.gz"),
    file("a-2.tar.gz"),
    file("a-2-py3-none-any.whl"),
    file("a-3.tar.gz"),
    file("a-3-cp37-cp37m-manylinux1_x86_64.whl"),
    file("a-4.tar.gz", yanked=True),
    file("a-5.tar.gz", requires_python=">=3.12"),
    file("a-6.tar.gz", uploaded="2022-01-01T00:00:00Z"),
    file("a-7.tar.gz", uploaded=""),
    file("a-8.exe"),
    file("a-8.tar.Z"),
)


def versions(found):
    return {str(version) for version in found}


@pytest.mark.parametrize(
    ("fields", "offered"),
    [
        ({}, {"1", "3", "6", "7"}),
        ({"pinned": {Version("4")}}, {"1", "3", "4", "6", "7"}),
        ({"which": "wheelless"}, {"1", "6", "7"}),
        ({"which": "all"}, {"1", "2", "3", "6", "7"}),
        ({"dated": True}, {"1", "3"}),
    ],
    ids=["all", "pinned", "without-any-wheel", "instead-of-wheels", "dated"],
)
def test_sdists_are_offered_that_fit(fields, offered):
    problem = Problem((), "3.11.7", "x86_64-linux", exclude_newer="2021-01-01T00:00:00Z")
    found = offered_sdists(FILES, problem, **{"dated": False, **fields})
    assert versions(found) == offered


def test_standard_archive_of_a_version_is_taken():
    found = sdists_of(FILES)
    assert found[Version("1")].filename == "a-1.tar.gz"
