import pytest

from nixlib.errors import SourceError
from nixlib.sources.project import FALLBACK_BACKEND, FALLBACK_REQUIRES, read_project

PKG_INFO = b"Metadata-Version: 2.1\nName: Some.Thing\nVersion: 1.0\n\nName: no\n"


def test_project_that_says_nothing_gets_setuptools():
    project = read_project(None, PKG_INFO, "x")
    assert (project.requires, project.backend) == (FALLBACK_REQUIRES, FALLBACK_BACKEND)
    assert (project.name, project.version) == ("some-thing", "1.0")


def test_pyproject_for_tools_only_says_nothing():
    assert read_project(b"[tool.black]\nline-length = 3\n", None, "x").backend == FALLBACK_BACKEND


def test_requirements_without_a_backend_are_setuptools_with_those():
    project = read_project(b'[build-system]\nrequires = ["setuptools", "cython<3"]\n', None, "x")
    assert project.requires == ("setuptools", "cython<3")
    assert project.backend == FALLBACK_BACKEND


def test_backend_is_read():
    text = b'[build-system]\nrequires = ["flit_core>=3"]\nbuild-backend = "flit_core.buildapi"\nbackend-path = ["tools"]\n[project]\nname = "A_b"\nversion = "2"\n'
    project = read_project(text, None, "x")
    assert project.requires == ("flit_core>=3",)
    assert project.backend == "flit_core.buildapi"
    assert project.backend_path == ("tools",)
    assert (project.name, project.version) == ("a-b", "2")


def test_external_needs_are_read():
    text = b'[external]\nbuild-requires = ["dep:virtual/compiler/c", 3, "rm -rf"]\nhost-requires = ["dep:generic/openssl"]\n'
    assert read_project(text, None, "x").external == (
        "dep:virtual/compiler/c",
        "dep:generic/openssl",
    )
    assert read_project(b'external = "no"\n', None, "x").external == ()


@pytest.mark.parametrize(
    "text",
    [
        b"\xff",
        b"[build-system",
        b"build-system = 3",
        b'[build-system]\nrequires = "setuptools"',
        b"[build-system]\nrequires = [1]",
        b'[build-system]\nrequires = ["a\\u0000b"]',
        b'[build-system]\nrequires = []\nbuild-backend = "os; import x"',
        b'[build-system]\nrequires = []\nbuild-backend = "a:b:c"',
        b'[build-system]\nrequires = []\nbuild-backend = ["x"]',
        b'[build-system]\nrequires = []\nbuild-backend = "x"\nbackend-path = ["../.."]',
        b'[build-system]\nrequires = []\nbuild-backend = "x"\nbackend-path = ["/etc"]',
    ],
)
def test_pyproject_that_breaks_its_specification_is_refused(text):
    with pytest.raises(SourceError, match=r"pyproject\.toml"):
        read_project(text, None, "x-1.tar.gz")
