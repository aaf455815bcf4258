"""Downloads over real HTTP, and every way in which they go wrong."""

import hashlib
import os
import threading
import time
from mmap import mmap
from urllib.parse import urljoin

import pytest

from nixlib.cancel import Cancel
from nixlib.errors import HashMismatchError, NetworkError, RealisationCancelledError
from nixlib.lock import Artifact
from nixlib.network import fetch as fetch_module
from nixlib.network.fetch import fetch
from nixlib.network.httpclient import HttpClient
from nixlib.sri import sri
from nixlib.testing.fileserver import FileServer, Trouble

DATA = bytes(range(256)) * 3000
PATH = "demo-1.0-py3-none-any.whl"


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(fetch_module, "_BACKOFF", 0.001)


@pytest.fixture
def client():
    with HttpClient(timeout=5) as client:
        yield client


def artifact(url: str, data: bytes = DATA) -> Artifact:
    return Artifact(url, hashlib.sha256(data).hexdigest(), len(data))


def test_file_arrives_whole_and_is_counted(client):
    counted = []
    with FileServer({PATH: DATA}) as server:
        assert fetch(artifact(server.url(PATH)), client, on_bytes=counted.append) == DATA
    assert sum(counted) == len(DATA)
    assert server.asked[PATH] == 1


def test_empty_file_arrives(client):
    with FileServer({PATH: b""}) as server:
        assert bytes(fetch(artifact(server.url(PATH), b""), client)) == b""


def test_large_file_lies_in_a_nameless_file(client, monkeypatch):
    monkeypatch.setattr(fetch_module, "SPOOL_SIZE", 1000)
    with FileServer(
        {PATH: DATA}, {PATH: [Trouble(cut_after=5000), Trouble(altered=True)]}
    ) as server:
        data = fetch(artifact(server.url(PATH)), client)
    assert isinstance(data, mmap)
    assert data[:] == DATA


def test_one_connection_serves_many_files(client):
    files = {f"{n}": DATA[n:] for n in range(5)}
    with FileServer(files) as server:
        for name, data in files.items():
            assert fetch(artifact(server.url(name), data), client) == data
        assert len(client._idle) == 1
        assert [len(found) for found in client._idle.values()] == [1]


def test_broken_transfer_goes_on_where_it_broke(client):
    with FileServer({PATH: DATA}, {PATH: [Trouble(cut_after=300_000)]}) as server:
        assert fetch(artifact(server.url(PATH)), client) == DATA
    (asked,) = server.ranges
    start = int(asked.removeprefix("bytes=").rstrip("-"))
    assert 0 < start <= 300_000


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_server_in_trouble_is_asked_again(client, status):
    with FileServer({PATH: DATA}, {PATH: [Trouble(status=status)] * 3}) as server:
        assert fetch(artifact(server.url(PATH)), client) == DATA
    assert server.asked[PATH] == 4


def test_server_that_stays_in_trouble_is_named_with_every_attempt(client):
    with (
        FileServer({PATH: DATA}, {PATH: [Trouble(status=500)] * 9}) as server,
        pytest.raises(NetworkError) as caught,
    ):
        fetch(artifact(server.url(PATH)), client)
    assert caught.value.url == server.url(PATH)
    assert len(caught.value.details) == 5
    assert server.asked[PATH] == 4


@pytest.mark.parametrize("status", [401, 403, 404, 410, 418])
def test_refusal_is_final(client, status):
    with (
        FileServer({PATH: DATA}, {PATH: [Trouble(status=status)] * 9}) as server,
        pytest.raises(NetworkError) as caught,
    ):
        fetch(artifact(server.url(PATH)), client)
    assert caught.value.status == status
    assert server.asked[PATH] == 1


def test_altered_file_is_asked_for_once_more(client):
    with FileServer({PATH: DATA}, {PATH: [Trouble(altered=True)]}) as server:
        assert fetch(artifact(server.url(PATH)), client) == DATA


def test_file_that_stays_altered_is_an_error_with_both_hashes(client):
    with (
        FileServer({PATH: DATA}, {PATH: [Trouble(altered=True)] * 9}) as server,
        pytest.raises(HashMismatchError) as caught,
    ):
        fetch(artifact(server.url(PATH)), client)
    assert caught.value.url == server.url(PATH)
    assert caught.value.expected == sri(hashlib.sha256(DATA).digest())
    assert caught.value.actual == sri(hashlib.sha256(bytes(len(DATA))).digest())
    assert server.asked[PATH] == 2


def test_larger_file_is_an_error_before_it_is_read_to_the_end(client):
    counted = []
    with FileServer({PATH: DATA * 20}) as server, pytest.raises(HashMismatchError) as caught:
        fetch(artifact(server.url(PATH)), client, on_bytes=counted.append)
    assert caught.value.actual == ""
    assert max(counted) < len(DATA)


def test_file_that_stays_short_is_an_error(client):
    with FileServer({PATH: DATA[:1000]}) as server, pytest.raises(NetworkError):
        fetch(artifact(server.url(PATH)), client)


def test_redirection_is_followed(client):
    with (
        FileServer({PATH: DATA}) as goal,
        FileServer({PATH: DATA}, {PATH: [Trouble(redirect=goal.url(PATH))]}) as server,
    ):
        assert fetch(artifact(server.url(PATH)), client) == DATA
    assert goal.asked[PATH] == 1


def test_redirection_without_end_is_an_error(client):
    with (
        FileServer({PATH: DATA}, {PATH: [Trouble(redirect=f"/{PATH}")] * 99}) as server,
        pytest.raises(NetworkError) as caught,
    ):
        fetch(artifact(server.url(PATH)), client)
    assert caught.value.url.endswith(PATH)


def test_credentials_go_only_where_they_belong():
    asked = []

    def auth(url: str) -> tuple[str, str] | None:
        asked.append(url)
        return None

    with (
        FileServer({PATH: DATA}) as goal,
        FileServer({PATH: DATA}, {PATH: [Trouble(redirect=goal.url(PATH))]}) as server,
        HttpClient(timeout=5, auth=auth) as client,
    ):
        fetch(artifact(server.url(PATH)), client)
    assert asked == [server.url(PATH), goal.url(PATH)]


def test_server_that_is_down_is_an_error(client):
    with FileServer({}) as server:
        url = server.url(PATH)
    with pytest.raises(NetworkError) as caught:
        fetch(artifact(url), client)
    assert caught.value.url == url


def test_silent_server_is_an_error_after_the_timeout():
    with (
        FileServer({PATH: DATA}, {PATH: [Trouble(silent=2)] * 9}) as server,
        HttpClient(timeout=0.05) as client,
    ):
        started = time.monotonic()
        with pytest.raises(NetworkError):
            fetch(artifact(server.url(PATH)), client)
        assert time.monotonic() - started < 2


def test_closing_the_client_ends_a_transfer_at_once():
    cancel = Cancel()
    with (
        FileServer({PATH: DATA}, {PATH: [Trouble(silent=20)]}) as server,
        HttpClient(timeout=30) as client,
    ):

        def stop() -> None:
            cancel.set()
            client.close()

        timer = threading.Timer(0.2, stop)
        timer.start()
        started = time.monotonic()
        with pytest.raises(RealisationCancelledError):
            fetch(artifact(server.url(PATH)), client, cancel=cancel)
        assert time.monotonic() - started < 5
        timer.join()


def test_cancel_is_heeded_before_anything_is_asked(client):
    cancel = Cancel()
    cancel.set()
    with FileServer({PATH: DATA}) as server, pytest.raises(RealisationCancelledError):
        fetch(artifact(server.url(PATH)), client, cancel=cancel)
    assert server.asked[PATH] == 0


def test_local_file_is_read_and_checked(client, tmp_path):
    path = tmp_path / "with space-1.0.whl"
    path.write_bytes(DATA)
    assert fetch(artifact(path.as_uri()), client) == DATA
    path.write_bytes(DATA[:-1] + b"x")
    with pytest.raises(HashMismatchError):
        fetch(artifact(path.as_uri()), client)
    path.unlink()
    with pytest.raises(NetworkError):
        fetch(artifact(path.as_uri()), client)


def test_proxy_of_the_environment_is_used_unless_it_is_excepted(client, monkeypatch):
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    url = f"http://files.invalid/{PATH}"
    with FileServer({url: DATA}) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url("").rstrip("/"))
        assert fetch(artifact(url), client) == DATA
        monkeypatch.setenv("no_proxy", "files.invalid")
        with pytest.raises(NetworkError):
            fetch(artifact(url), client)
    assert proxy.asked[url] == 1


@pytest.mark.parametrize("path", ["pipe", "/dev/zero", ".", "none", "a%00b"])
def test_what_is_no_file_of_this_machine_is_refused_at_once(path, client, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(NetworkError, match="cannot read"):
        fetch(artifact(f"file://{urljoin(f'{tmp_path}/', path)}"), client)


def test_address_that_is_none_is_refused(client):
    with pytest.raises(NetworkError):
        fetch(artifact("http://[::1/a"), client)
