"""Whole resolutions by the real solver, out of a channel with real archives on the loopback interface."""

import json
import os
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest
from conda_records import ask, chosen, record, settings_in, write_records

from nixlib.cancel import Cancel
from nixlib.errors import NetworkError, RealisationCancelledError, ResolutionError
from nixlib.network.httpclient import HttpClient
from nixlib.resolvers.conda import solver
from nixlib.resolvers.conda.access import read_channel_access
from nixlib.resolvers.conda.resolve import names_in_channels
from nixlib.testing.conda_archives import compress_zstd
from nixlib.testing.conda_channel import local_channel
from nixlib.testing.fileserver import FileServer, Trouble

SYSTEM = "x86_64-linux"
INDEX = "linux-64/repodata.json"


@pytest.fixture(autouse=True)
def nobodys_home(monkeypatch, tmp_path):
    """A user who has configured nothing."""
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("RATTLER_AUTH_FILE", "CONDARC", "NETRC", "CONDA_OVERRIDE_CUDA"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def everything():
    """Every file of the tests' channel that is no archive."""
    return {
        path: data
        for path, data in local_channel().files().items()
        if not path.endswith((".conda", ".tar.bz2"))
    }


def only(files, kind):
    """The channel as a server has it that offers one kind of index."""
    kinds = {
        "json": lambda path: path.endswith(".json"),
        "zst": lambda path: path.endswith(".json.zst"),
        "shards": lambda path: "shard" in path,
    }
    return {path: data for path, data in files.items() if kinds[kind](path)}


def url_of(server):
    return server.url("").rstrip("/")


@pytest.mark.parametrize("kind", ["json", "zst", "shards"])
def test_every_kind_of_index_gives_the_same_and_is_asked_for_conditionally(
    everything, tmp_path, kind
):
    expected = chosen(ask(tmp_path / "0", [local_channel().url], "arrays *", "greeter *"))
    with FileServer(only(everything, kind)) as server:
        first = ask(tmp_path, [url_of(server)], "arrays *", "greeter *")
        assert chosen(first) == expected
        assert not server.unchanged
        got = {path: count for path, count in server.asked.items() if path in server.files}
        again = ask(tmp_path, [url_of(server)], "arrays *", "greeter *")
        assert again.conda == first.conda
        for path, before in got.items():
            # Not sent a second time: either not asked for, or answered with 304. That there is one may be asked by HEAD.
            asked = server.asked[path] - before
            assert asked - server.unchanged[path] <= (kind == "zst")
        assert sum(server.unchanged.values()) >= (2 if kind != "shards" else 1)
    assert first.conda.channels == (url_of(server),)
    assert all(p.artifact.url.startswith(url_of(server)) for p in first.conda.packages)


def test_all_variants_of_the_real_channel(tmp_path):
    url = local_channel().url
    builds = {}
    for choice in ("12.4", "11.8", None):
        found = chosen(ask(tmp_path, [url], "tensors *", variants={"cuda": choice}))
        builds[choice] = found["tensors"][1].partition("_")[0]
    assert builds == {"12.4": "cuda124", "11.8": "cuda118", None: "cpu"}
    for make in ("mkl", "openblas"):
        found = chosen(ask(tmp_path, [url], "arrays *", variants={"blas": make}))
        assert found["blas"][1] == make
        assert make in found["arrays"][1]


def test_channel_that_is_down_is_named(everything, tmp_path):
    with FileServer(everything) as server:
        url = url_of(server)
    began = time.monotonic()
    with pytest.raises(NetworkError) as caught:
        ask(tmp_path, [local_channel().url, url], "arrays *")
    assert caught.value.url == url
    assert time.monotonic() - began < 20


def test_server_in_trouble_is_named(everything, tmp_path):
    files = only(everything, "json")
    with FileServer(files, {INDEX: [Trouble(status=503)] * 30}) as server:
        with pytest.raises(NetworkError) as caught:
            ask(tmp_path, [url_of(server)], "arrays *")
        assert caught.value.url == url_of(server)


def test_server_that_was_in_trouble_for_a_moment_is_asked_again(everything, tmp_path):
    files = only(everything, "json")
    with FileServer(files, {INDEX: [Trouble(status=503)]}) as server:
        assert "arrays" in chosen(ask(tmp_path, [url_of(server)], "arrays *"))


def test_half_an_index_is_refused_and_not_kept(everything, tmp_path):
    files = only(everything, "json")
    half = {**files, INDEX: files[INDEX][: len(files[INDEX]) // 2]}
    with FileServer(half) as server, pytest.raises(NetworkError) as caught:
        ask(tmp_path, [url_of(server)], "arrays *")
    assert caught.value.url == url_of(server)
    with FileServer(files, {INDEX: [Trouble(cut_after=500)] * 30}) as server:
        with pytest.raises(NetworkError):
            ask(tmp_path, [url_of(server)], "arrays *")
        server.troubles = {}
        assert "arrays" in chosen(ask(tmp_path, [url_of(server)], "arrays *"))


ZEROS = {
    "file": ("_LARGEST_FILE", "noarch/repodata.json.zst", NetworkError),
    "memory": ("_LARGEST_MEMORY", "noarch/repodata_shards.msgpack.zst", ResolutionError),
}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere memory has no limit")
@pytest.mark.parametrize("kind", ZEROS)
def test_index_that_unpacks_without_end_is_refused_and_not_kept(kind, tmp_path, monkeypatch):
    limit, path, error = ZEROS[kind]
    small = f"from nixlib.resolvers.conda import child; child.{limit} = 300 << 20; main("
    monkeypatch.setattr(solver, "_START", solver._START.replace("main(", small))
    zeros = compress_zstd(bytes(1 << 30))
    with FileServer({path: zeros, "noarch/repodata.json": b"{}"}) as server:
        with pytest.raises(error) as caught:
            ask(tmp_path, [url_of(server)], "arrays *")
        assert url_of(server) in caught.value.render()
    kept = [file.stat().st_size for file in (tmp_path / "cache").rglob("*") if file.is_file()]
    assert sum(kept) < 1 << 20


def test_silent_server_is_found_out(everything, tmp_path):
    troubles = {path: [Trouble(silent=20)] * 9 for path in everything}
    settings = settings_in(tmp_path, timeout=0.5)
    with FileServer(everything, troubles) as server:
        began = time.monotonic()
        with pytest.raises(NetworkError) as caught:
            ask(tmp_path, [local_channel().url, url_of(server)], "arrays *", settings=settings)
        assert time.monotonic() - began < 5
    assert caught.value.url == url_of(server)


def children():
    """Processes of ours that are alive, or not yet reaped."""
    task = f"/proc/{os.getpid()}/task/{threading.get_native_id()}/children"
    return Path(task).read_text().split()


def test_cancel_ends_a_slow_resolution_at_once(everything, tmp_path):
    troubles = {path: [Trouble(silent=20)] * 9 for path in everything}
    cancel = Cancel()
    timer = threading.Timer(0.5, cancel.set)
    with FileServer(everything, troubles) as server:
        timer.start()
        began = time.monotonic()
        with pytest.raises(RealisationCancelledError):
            ask(tmp_path, [url_of(server)], "arrays *", cancel=cancel)
        assert time.monotonic() - began < 1.5
    assert children() == []


def test_cancel_ends_a_solver_that_thinks_for_too_long(tmp_path):
    """Pigeons and holes: nothing that a solver finds quickly."""
    count = 24
    made = [record("pigeons", depends=[f"pigeon{n}" for n in range(count)])]
    for pigeon in range(count):
        for hole in range(count - 1):
            others = [f"pigeon{n} !={hole}" for n in range(count) if n != pigeon]
            made.append(record(f"pigeon{pigeon}", str(hole), constrains=others))
    cancel = Cancel()
    timer = threading.Timer(1.5, cancel.set)
    timer.start()
    began = time.monotonic()
    with pytest.raises(RealisationCancelledError):
        ask(tmp_path, [write_records(tmp_path / "channel", *made)], "pigeons *", cancel=cancel)
    assert time.monotonic() - began < 3
    assert children() == []


LOGINS = {
    "netrc": (".netrc", "machine 127.0.0.1 login me password topsecret\n"),
    "rattler": (".rattler/credentials.json", {"127.0.0.1": {"BearerToken": "topsecret"}}),
    "token": (".rattler/credentials.json", {"127.0.0.1": {"CondaToken": "topsecret"}}),
    "condarc": (".condarc", "channels: ['http://127.0.0.1/t/topsecret/x']\n"),
}


@pytest.fixture(params=LOGINS)
def private(request, everything, tmp_path):
    """A server that wants a login, and a user who has it in a file, not yet written."""
    name, text = LOGINS[request.param]
    files = only(everything, "zst")
    login = {"netrc": "Basic bWU6dG9wc2VjcmV0", "rattler": "Bearer topsecret"}.get(
        request.param, ""
    )
    if not login:
        files = {f"t/topsecret/{path}": data for path, data in files.items()}

    def write():
        path = tmp_path / "home" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text if isinstance(text, str) else json.dumps(text))
        path.chmod(0o600)

    with FileServer(files, login=login) as server:
        yield server, write


def test_private_channel_is_reached_with_the_users_own_login(private, tmp_path):
    server, write = private
    with pytest.raises(NetworkError) as caught:
        ask(tmp_path, [url_of(server)], "arrays *")
    assert caught.value.url == url_of(server)
    write()
    found = ask(tmp_path, [url_of(server)], "arrays *")
    assert "arrays" in chosen(found)
    assert "topsecret" not in json.dumps(found.conda.to_json())


def test_login_is_in_no_message_and_in_nothing_that_stays(private, tmp_path):
    server, write = private
    write()
    server.files = {}
    with pytest.raises(NetworkError) as caught:
        ask(tmp_path, [url_of(server)], "arrays *")
    assert "topsecret" not in caught.value.render()
    kept = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert not [path for path in kept if b"topsecret" in path.read_bytes()]


def test_archives_are_reached_with_the_same_login(private, tmp_path):
    server, write = private
    write()
    access = read_channel_access(settings_in(tmp_path))
    url = f"{url_of(server)}/linux-64/repodata.json.zst"
    place = access.places(url)[0]
    with HttpClient(auth=access.authorization) as client, client.get(place) as response:
        assert response.status == 200


def test_mirror_is_asked_and_the_channel_is_locked(everything, tmp_path):
    with FileServer(only(everything, "json")) as server:
        url = url_of(server)
        settings = settings_in(
            tmp_path,
            conda_alias="http://channels.invalid",
            conda_mirrors=(f"http://channels.invalid/ours={url}",),
        )
        found = ask(tmp_path, ["ours"], "greeter *", settings=settings).conda
    assert found.channels == ("http://channels.invalid/ours",)
    assert {p.channel for p in found.packages} == {"http://channels.invalid/ours"}
    assert {p.artifact.url.rpartition("/ours/")[0] for p in found.packages} == {
        "http://channels.invalid"
    }
    access = read_channel_access(settings)
    artifact = found.packages[0].artifact.url
    assert access.places(artifact) == (artifact.replace("http://channels.invalid/ours", url),)


def test_names_are_looked_up_over_http(everything, tmp_path):
    with FileServer(only(everything, "shards")) as server:
        found = names_in_channels(
            ["greeter", "nosuch"],
            [url_of(server)],
            systems=(SYSTEM,),
            folder=tmp_path,
            settings=settings_in(tmp_path),
        )
    assert found == {"greeter": url_of(server)}


def test_resolutions_leave_no_file_and_no_process(tmp_path):
    place = Path(tempfile.gettempdir())
    before = set(place.iterdir())
    for _ in range(5):
        ask(tmp_path, [local_channel().url], "greeter *")
    left = set(place.iterdir()) - before
    assert not [path for path in left if path.name.startswith("nixenv-conda-")]
    assert children() == []
