"""Connection files: the client's, and the one that we make of it."""

import json
import stat
from pathlib import Path

import pytest
import zmq

from nixenv.bootstrap.connection import PORTS, Connection, private_connection, read_connection
from nixenv.bootstrap.front import Front
from nixlib.errors import NixError

VALUES = {
    "transport": "tcp",
    "ip": "127.0.0.1",
    "key": "a key",
    "signature_scheme": "hmac-sha256",
    "kernel_name": "nixenv",
    "jupyter_session": "/n/a.ipynb",
    **{f"{name}_port": number for number, name in enumerate(PORTS, 50000)},
}


def connection(folder, **changes):
    file = folder / "kernel-1234.json"
    file.write_text(json.dumps({**VALUES, **changes}))
    return read_connection(file)


def test_endpoints_are_written_as_zeromq_has_them(tmp_path):
    assert connection(tmp_path).endpoint("shell") == "tcp://127.0.0.1:50000"
    assert connection(tmp_path, transport="ipc", ip="/r/k").endpoint("hb") == "ipc:///r/k-50004"
    assert connection(tmp_path, shell_port=0).endpoint("shell") == "tcp://127.0.0.1:*"


@pytest.mark.parametrize("text", ["", "[]", "{"])
def test_file_that_is_no_connection_is_named(tmp_path, text):
    file = tmp_path / "k.json"
    file.write_text(text)
    with pytest.raises(NixError, match=r"k\.json"):
        read_connection(file)
    with pytest.raises(NixError, match=r"gone\.json"):
        read_connection(tmp_path / "gone.json")


def test_private_connection_is_ours_alone_and_goes(tmp_path):
    public = connection(tmp_path, curve_publickey="p" * 40, curve_secretkey="s" * 40)
    with private_connection(public) as private:
        folder = private.file.parent
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert private.file.name == public.file.name
        assert json.loads(private.file.read_text()) == private.values
        assert private.values["transport"] == "ipc"
        kept = ("key", "signature_scheme", "kernel_name", "jupyter_session")
        assert all(private.values[name] == VALUES[name] for name in kept)
        assert not {"curve_publickey", "curve_secretkey"} & set(private.values)
        assert len({private.endpoint(name) for name in PORTS}) == 5
    assert not folder.exists()


def test_path_that_is_too_long_for_sockets_gives_ports(tmp_path, monkeypatch):
    deep = tmp_path / ("d" * 120)
    deep.mkdir()
    monkeypatch.setattr("nixenv.bootstrap.connection._private_folder", lambda: deep)
    with private_connection(connection(tmp_path)) as private:
        assert private.values["transport"] == "tcp"
        assert len({private.values[f"{name}_port"] for name in PORTS}) == 5


def test_port_that_is_taken_is_named(tmp_path):
    with zmq.Context() as context, context.socket(zmq.ROUTER) as taken:
        port = taken.bind_to_random_port("tcp://127.0.0.1")
        free = {f"{name}_port": 0 for name in PORTS}
        with pytest.raises(NixError, match=str(port)):
            Front(connection(tmp_path, **{**free, "control_port": port}))


def test_port_of_zero_is_chosen_and_written_into_the_file(tmp_path):
    asked = connection(tmp_path, **{f"{name}_port": 0 for name in PORTS})
    front = Front(asked)
    told = json.loads(Path(asked.file).read_text())
    front.close()
    assert len({told[f"{name}_port"] for name in PORTS} - {0}) == 5
    assert told["key"] == "a key"


def test_connection_without_encryption_says_so(tmp_path):
    assert connection(tmp_path).curve is None
    assert Connection(tmp_path, {"curve_publickey": "p"}).curve is None
