"""The index of PyTorch's wheels for a choice of CUDA, by the real uv and two indexes on the loopback interface."""

import pytest

from nixlib.resolvers.base import Request
from nixlib.resolvers.pypi import resolve_pypi
from nixlib.settings import Settings
from nixlib.testing.index import IndexServer, Manners, make_wheel

pytestmark = pytest.mark.usefixtures("no_configuration")

LINUX, DARWIN = "x86_64-linux", "aarch64-darwin"
PYPI = [
    make_wheel("torch", "2.5.1", requires=["numpy"]),
    make_wheel("torch", "2.6.0", requires=["numpy"]),
    make_wheel("lightning", "1", requires=["torch>=2"]),
    make_wheel("numpy", "2"),
    make_wheel("other", "1"),
]
TORCH = [
    make_wheel("torch", "2.5.1+cu124", requires=["numpy", "nvidia-x"]),
    make_wheel("numpy", "1"),
    make_wheel("nvidia-x", "0.1"),
]


@pytest.fixture
def resolve(tmp_path, monkeypatch):
    """Resolve out of PyPI's stand-in, and PyTorch's, which gives no upload times."""
    with (
        IndexServer([*PYPI, make_wheel("nvidia-x", "12")]) as pypi,
        IndexServer(TORCH, Manners(json=False, upload_times=False)) as torch,
    ):
        monkeypatch.setenv("UV_DEFAULT_INDEX", pypi.url)

        def run(*requirements, systems=(LINUX, DARWIN), **fields):
            request = Request(
                requirements, "3.11.7", systems, **{"torch_index": torch.url, **fields}
            )
            settings = Settings(tmp_path / "cache", tmp_path / "state", timeout=5.0)
            found = resolve_pypi(request, settings=settings)
            return [(p.name, p.version, p.index == torch.url, p.systems) for p in found.packages]

        yield run


@pytest.mark.parametrize("line", ["torch", "lightning", "torch==2.5.1"])
def test_torch_for_linux_is_of_its_own_index_and_nothing_else_is(resolve, line):
    found = [package for package in resolve(line) if package[0] != "lightning"]
    assert found == [
        ("numpy", "2", False, ()),
        ("nvidia-x", "12", False, (LINUX,)),
        ("torch", "2.5.1", False, (DARWIN,)),
        ("torch", "2.5.1+cu124", True, (LINUX,)),
    ]


def test_cut_off_does_not_bind_an_index_without_times(resolve):
    found = resolve("lightning", systems=(LINUX,), exclude_newer="2021-01-01")
    assert ("torch", "2.5.1+cu124", True, ()) in found


def test_version_of_the_previous_lock_stays(resolve):
    kept = {"torch": "2.5.1+cu124", "numpy": "2"}
    assert ("torch", "2.5.1+cu124", True, ()) in resolve(
        "lightning", systems=(LINUX,), preferences=kept
    )


def test_torch_that_conda_brings_is_left_to_conda(resolve):
    found = resolve("lightning", systems=(LINUX,), provided={"torch": "2.4"})
    assert found == [("lightning", "1", False, ())]


def test_nobody_without_torch_asks_its_index(resolve):
    assert resolve("other", torch_index="http://127.0.0.1:9/whl/cu124") == [
        ("other", "1", False, ())
    ]
