import json
import os
import threading
import time

import pytest
from conda_records import settings_in

from nixlib.cancel import Cancel
from nixlib.errors import RealisationCancelledError
from nixlib.resolvers.conda.names import pypi_name, read_pypi_names
from nixlib.testing.fileserver import FileServer, Trouble

FORGE = "https://conda.anaconda.org/conda-forge/"
NAMES = {"pytorch": "torch", "zlib": None, "ruamel.yaml": "ruamel_yaml"}


@pytest.mark.parametrize(
    ("record", "name"),
    [
        ({"name": "pytorch", "channel": FORGE}, "torch"),
        (
            {"name": "pytorch", "channel": "https://host/other/", "depends": ["python >=3"]},
            "pytorch",
        ),
        ({"name": "zlib", "channel": FORGE, "depends": ["python"]}, ""),
        ({"name": "ruamel.yaml", "channel": FORGE}, "ruamel-yaml"),
        ({"name": "x", "purls": ["pkg:pypi/X_y.z@1.0"], "channel": FORGE}, "x-y-z"),
        ({"name": "x", "purls": ["pkg:cran/x@1", "pkg:pypi/a%2Db"]}, "a-b"),
        ({"name": "x", "purls": ["pkg:generic/x"], "depends": ["python"]}, ""),
        ({"name": "pytorch", "purls": [], "channel": FORGE}, "torch"),
        ({"name": "typing_extensions", "depends": ["python >=3.8"]}, "typing-extensions"),
        ({"name": "numpy", "depends": ["libgcc", "python_abi 3.11.* *_cp311"]}, "numpy"),
        ({"name": "python", "depends": ["python_abi 3.11"]}, ""),
        ({"name": "python_abi", "depends": ["python 3.11.*"]}, ""),
        ({"name": "openssl", "depends": ["libgcc", "pythonlike"]}, ""),
        ({"name": "_mutex", "depends": ["python"]}, ""),
        ({"name": "x", "purls": ["pkg:pypi/../../x"]}, ""),
    ],
)
def test_names_come_from_the_record_then_the_list_then_the_package(record, name):
    assert pypi_name(record, NAMES) == name


@pytest.fixture
def read(tmp_path):
    def ask(url, channels=(FORGE,)):
        return read_pypi_names(
            channels, settings_in(tmp_path, conda_names=url, timeout=1), Cancel()
        )

    return ask


def test_list_is_asked_for_once_a_day(read, tmp_path):
    with FileServer({"names.json": json.dumps(NAMES).encode()}) as server:
        url = server.url("names.json")
        assert read(url) == NAMES
        assert read(url) == NAMES
        assert server.asked["names.json"] == 1
        os.utime(tmp_path / "cache/conda-names.json", (0, 0))
        assert read(url) == NAMES
        assert server.asked["names.json"] == 2


def test_list_is_of_conda_forge_only(read):
    with FileServer({"names.json": b"{}"}) as server:
        assert read(server.url("names.json"), ("https://host/other/",)) == {}
        assert server.asked == {}


def test_list_that_is_not_to_be_had_is_done_without_and_not_asked_for_again(read, tmp_path):
    with FileServer({"names.json": json.dumps(NAMES).encode()}) as server:
        url = server.url("names.json")
        read(url)
        os.utime(tmp_path / "cache/conda-names.json", (0, 0))
        server.troubles = {"names.json": [Trouble()] + [Trouble(status=500)] * 9}
        assert read(url) == NAMES  # what was known
        assert read(url) == NAMES
        assert server.asked["names.json"] == 2
    assert read("http://127.0.0.1:9/names.json") == {}


@pytest.mark.parametrize("body", [b"", b"[", b"[]", b'{"a": 1, "b": ["x"]}', b"\xff"])
def test_damaged_list_names_nothing(read, body):
    with FileServer({"names.json": body}) as server:
        assert read(server.url("names.json")) == {}


def test_cancel_ends_the_wait_for_the_list(tmp_path):
    cancel = Cancel()
    timer = threading.Timer(0.3, cancel.set)
    with FileServer({"names.json": b"{}"}, {"names.json": [Trouble(silent=4)]}) as server:
        settings = settings_in(tmp_path, conda_names=server.url("names.json"))
        timer.start()
        began = time.monotonic()
        with pytest.raises(RealisationCancelledError):
            read_pypi_names((FORGE,), settings, cancel)
        assert time.monotonic() - began < 1
    assert not (tmp_path / "cache/outages.json").exists()
