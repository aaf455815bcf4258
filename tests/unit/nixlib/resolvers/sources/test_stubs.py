import io
import zipfile

import pytest

from nixlib.resolvers.metadata import parse_metadata
from nixlib.resolvers.sources.stubs import Stub, readable_version
from nixlib.resolvers.wheels import wheel_triples
from nixlib.wheels.wheel import read_wheel


def test_stub_is_a_wheel_that_says_what_it_needs():
    needs = ("dep>=1", 'gui; extra == "x"')
    stub = Stub("my-lib", "1.2+local.3", needs, ">=3.8")
    wheel = read_wheel(stub.wheel(), stub.filename)
    assert (wheel.facts.name, wheel.facts.version) == ("my-lib", "1.2+local.3")
    assert wheel_triples(stub.filename) == (("py3", "none", "any"),)
    with zipfile.ZipFile(io.BytesIO(stub.wheel())) as archive:
        text = archive.read("my_lib-1.2+local.3.dist-info/METADATA").decode()
    found = parse_metadata(text)
    assert (tuple(map(str, found.requires)), found.requires_python) == (needs, ">=3.8")
    assert found.extras == ("x",)


def test_equal_stubs_have_equal_bytes():
    assert Stub("a", "1").wheel() == Stub("a", "1").wheel()


@pytest.mark.parametrize(
    ("version", "read"),
    [
        ("1.26.4", "1.26.4"),
        ("2024a", "2024a0"),
        ("1!2.0", "1!2.0"),
        ("1.1.1w_2", "1.1.1"),
        ("7_x", "7"),
        ("nightly", "0"),
        ("../..", "0"),
    ],
)
def test_version_of_conda_is_one_of_pep_440(version, read):
    assert readable_version(version) == read
