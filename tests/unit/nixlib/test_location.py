"""Which store a URI names, and where it lies."""

from pathlib import Path

import pytest

from nixlib.errors import StoreError
from nixlib.location import locate, own_store


def test_without_a_name_it_is_the_machines_store() -> None:
    found = locate(None, {})
    assert (found.kind, found.uri, found.store_dir) == ("auto", "local", "/nix/store")
    assert found.physical_dir == Path("/nix/store")
    assert found.state_dir == Path("/nix/var/nix")
    assert found.socket == "/nix/var/nix/daemon-socket/socket"


@pytest.mark.parametrize(
    ("uri", "env"),
    [
        ("/data/store", {}),
        ("local?root=/data/store", {}),
        ("local?root=%2Fdata%2Fstore", {}),
        (None, {"NIX_REMOTE": "/data/store"}),
        ("", {"HOME": "/x"}),
    ],
)
def test_chroot_store_lies_below_its_root(uri: str | None, env: dict[str, str]) -> None:
    if uri == "":
        uri = "local://?root=/data/store"
    found = locate(uri, {**env, "NIX_STATE_DIR": "/elsewhere"})
    assert found.kind == "process"
    assert found.store_dir == "/nix/store"
    assert found.physical_dir == Path("/data/store/nix/store")
    assert found.state_dir == Path("/data/store/nix/var/nix")


def test_name_given_wins_over_the_environment() -> None:
    assert locate("daemon", {"NIX_REMOTE": "/data/store"}).kind == "socket"


def test_root_with_odd_characters_reaches_nix_quoted() -> None:
    found = locate("/data/a b&c", {})
    assert found.uri == "local?root=%2Fdata%2Fa+b%26c"
    assert found.physical_dir == Path("/data/a b&c/nix/store")


def test_environment_moves_socket_state_and_store() -> None:
    env = {"NIX_DAEMON_SOCKET_PATH": "/run/n", "NIX_STATE_DIR": "/s", "NIX_STORE_DIR": "/st"}
    found = locate("daemon", env)
    assert (found.socket, found.state_dir, found.store_dir) == ("/run/n", Path("/s"), "/st")
    assert locate("daemon", {"NIX_STATE_DIR": "/s"}).socket == "/s/daemon-socket/socket"


def test_socket_uri_names_the_socket_and_the_disk() -> None:
    found = locate("unix:///run/my%20nix?root=/data", {})
    assert (found.kind, found.socket) == ("socket", "/run/my nix")
    assert found.physical_dir == Path("/data/nix/store")


@pytest.mark.parametrize("uri", ["ssh://host", "https://cache.example", "s3://b", "dummy://", "x"])
def test_other_stores_are_refused(uri: str) -> None:
    with pytest.raises(StoreError) as caught:
        locate(uri, {})
    assert caught.value.reason == "uri"


def test_own_store_is_where_nix_looks_too() -> None:
    assert own_store({"HOME": "/home/ana"}).physical_dir == Path(
        "/home/ana/.local/share/nix/root/nix/store"
    )
    assert own_store({"XDG_DATA_HOME": "/d"}).physical_dir == Path("/d/nix/root/nix/store")
