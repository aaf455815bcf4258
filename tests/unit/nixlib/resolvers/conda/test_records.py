"""Records are written by strangers: none of what they say reaches a lock unchecked."""

import hashlib
import threading
import time

import pytest
from conda_records import ask, record, settings_in, write_records

from nixlib.cancel import Cancel
from nixlib.errors import NetworkError, RealisationCancelledError, ResolutionError
from nixlib.testing.fileserver import FileServer, Trouble

ARCHIVE = b"what the archive of a package would be"


@pytest.fixture(autouse=True)
def nobodys_home(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


def refusal(tmp_path, made, **info):
    channel = write_records(tmp_path / "channel", made, **info)
    with pytest.raises(NetworkError) as caught:
        ask(tmp_path, [channel], f"{made[1]['name']} *")
    assert caught.value.url == channel
    return caught.value


@pytest.mark.parametrize(
    "made",
    [
        record("a", build="h[0]"),
        record("a", build="h0/../../x"),
        record("a", "1.0", "h0 $(id)"),
        ("a-1.0-h0_0$(id).conda", record("a")[1]),
        ("a-1.0-h0_0\n.conda", record("a")[1]),
        record("python", "3.11.7", python_site_packages_path="../../etc"),
        record("python", "3.11.7", python_site_packages_path="/etc"),
        record("a", noarch="python", size=-1),
    ],
)
def test_record_that_no_lock_can_hold_is_its_channels_fault(tmp_path, made):
    refusal(tmp_path, made)


def test_record_outside_of_its_folder_is_none(tmp_path):
    channel = write_records(tmp_path / "channel", ("../a-1.0-h0_0.conda", record("a")[1]))
    with pytest.raises(ResolutionError):
        ask(tmp_path, [channel], "a *")


@pytest.mark.parametrize(
    "base",
    ["file:///etc/", "../../../etc", "https://me:topsecret@host/x/", "ftp://host/"],
)  # fmt: skip
def test_channel_cannot_send_elsewhere_than_to_the_web(tmp_path, base):
    error = refusal(tmp_path, record("a"), base_url=base)
    assert "topsecret" not in error.render()


def test_channel_may_keep_its_archives_elsewhere_on_the_web(tmp_path):
    channel = write_records(tmp_path / "channel", record("a"), base_url="https://cdn.example/x/")
    (package,) = ask(tmp_path, [channel], "a *").conda.packages
    assert package.artifact.url == "https://cdn.example/x/a-1.0-h0_0.conda"
    assert package.channel == channel


def served(tmp_path, **more):
    """A channel over HTTP with one record and its archive."""
    write_records(tmp_path / "channel", record("a", **more))
    place = tmp_path / "channel"
    files = {
        str(path.relative_to(place)): path.read_bytes()
        for path in place.rglob("*")
        if path.is_file()
    }
    return FileServer({**files, "linux-64/a-1.0-h0_0.conda": ARCHIVE})


@pytest.mark.parametrize("told", [{"sha256": None}, {"size": None}, {"sha256": None, "size": None}])
def test_archive_of_which_too_little_is_told_is_measured(tmp_path, told):
    sha256, md5 = hashlib.sha256(ARCHIVE).hexdigest(), hashlib.md5(ARCHIVE).hexdigest()
    with served(tmp_path, **{"sha256": sha256, "md5": md5, "size": len(ARCHIVE), **told}) as server:
        (package,) = ask(tmp_path, [server.url("").rstrip("/")], "a *").conda.packages
    assert (package.artifact.sha256, package.artifact.size) == (sha256, len(ARCHIVE))


def test_archive_of_a_folder_is_measured_too(tmp_path):
    channel = write_records(tmp_path / "channel", record("a", sha256=None, md5=None))
    (tmp_path / "channel/linux-64/a-1.0-h0_0.conda").write_bytes(ARCHIVE)
    (package,) = ask(tmp_path, [channel], "a *").conda.packages
    assert package.artifact.sha256 == hashlib.sha256(ARCHIVE).hexdigest()


def test_measured_archive_must_be_the_one_that_is_told(tmp_path):
    with served(tmp_path, sha256=None) as server, pytest.raises(NetworkError) as caught:
        ask(tmp_path, [server.url("").rstrip("/")], "a *")
    assert "is not the file that its channel names" in caught.value.summary


def test_archive_that_is_not_there_cannot_be_measured(tmp_path):
    channel = write_records(tmp_path / "channel", record("a", sha256=None))
    with pytest.raises(NetworkError) as caught:
        ask(tmp_path, [channel], "a *")
    assert caught.value.url == f"{channel}/linux-64/a-1.0-h0_0.conda"


def test_names_of_pypi_are_in_the_lock(tmp_path):
    channel = write_records(
        tmp_path / "channel",
        record("tables", purls=["pkg:pypi/Py_Tables@1.0"]),
        record("python", "3.11.7"),
        record("six", depends=["python"], noarch="python", subdir="noarch"),
    )
    found = ask(tmp_path, [channel], "tables *", "six *", settings=settings_in(tmp_path)).conda
    assert {p.name: p.pypi for p in found.packages} == {
        "python": "",
        "six": "six",
        "tables": "py-tables",
    }


def test_cancel_ends_a_measurement(tmp_path):
    cancel = Cancel()
    timer = threading.Timer(1, cancel.set)
    with served(tmp_path, sha256=None) as server:
        server.troubles = {"linux-64/a-1.0-h0_0.conda": [Trouble(silent=6)]}
        timer.start()
        began = time.monotonic()
        with pytest.raises(RealisationCancelledError):
            ask(tmp_path, [server.url("").rstrip("/")], "a *", cancel=cancel)
        assert time.monotonic() - began < 3
