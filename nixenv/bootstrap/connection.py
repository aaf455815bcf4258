"""The connection file: where clients expect the kernel, and where the real one shall listen for us."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from nixenv.bootstrap.messages import Signer
from nixlib.errors import NixError

Port = Literal["shell", "control", "stdin", "iopub", "hb"]
PORTS: tuple[Port, ...] = ("shell", "control", "stdin", "iopub", "hb")

_LONGEST_SOCKET = 100
"""Bytes of a Unix socket's path; the system's limit is 104 or 108 with the byte that ends it."""

_CURVE = ("curve_publickey", "curve_secretkey")


@dataclass(frozen=True, slots=True)
class Connection:
    """What a connection file says.

    Attributes:
        file: Its path.
        values: Its whole content; what we do not know is for the kernel.
    """

    file: Path
    values: Mapping[str, Any]

    @property
    def signer(self) -> Signer:
        """Signs as everybody on this connection does."""
        scheme = str(self.values.get("signature_scheme") or "hmac-sha256")
        return Signer(str(self.values.get("key", "")).encode(), scheme)

    @property
    def curve(self) -> tuple[bytes, bytes] | None:
        """Public and secret key of the transport's encryption; None where there is none."""
        public, secret = (str(self.values.get(name) or "").encode() for name in _CURVE)
        return (public, secret) if public and secret else None

    def endpoint(self, port: Port) -> str:
        """Where one of the five sockets is, as ZeroMQ writes it; a port of 0 asks for any free one."""
        transport = self.values.get("transport", "tcp")
        number = int(self.values.get(f"{port}_port") or 0)
        separator = ":" if transport == "tcp" else "-"
        return f"{transport}://{self.values.get('ip', '127.0.0.1')}{separator}{number or '*'}"


def read_connection(file: Path) -> Connection:
    """The connection file at `file`.

    Raises:
        NixError: It cannot be read, or is no JSON object.
    """
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise NixError(
            f"cannot read the connection file `{file}`",
            details=(str(error),),
            hint="`-f FILE` must name the file that the Jupyter client has written",
        ) from error
    if not isinstance(values, dict):
        raise NixError(f"the connection file `{file}` is not a JSON object")
    return Connection(file, values)


@contextmanager
def private_connection(public: Connection) -> Iterator[Connection]:
    """A connection for the real kernel, for the length of the block: Unix sockets in a folder of our own.

    Nobody but this user can even see them (ports on the loopback interface are every user's), and no
    other process can take one between choosing and binding. The file has the name of the public one,
    because libraries read the kernel's id out of it; the key is the same, so that messages pass unchanged.
    Without a folder whose path is short enough, it is the loopback interface after all.
    """
    folder = _private_folder()
    try:
        values = {key: value for key, value in public.values.items() if key not in _CURVE}
        if len(os.fsencode(folder / "k-5")) <= _LONGEST_SOCKET:
            numbers: Mapping[str, int] = {name: number for number, name in enumerate(PORTS, 1)}
            values |= {"transport": "ipc", "ip": str(folder / "k")}
        else:
            numbers = _free_ports()
            values |= {"transport": "tcp", "ip": "127.0.0.1"}
        values |= {f"{name}_port": number for name, number in numbers.items()}
        file = folder / public.file.name
        file.write_text(json.dumps(values, indent=1), encoding="utf-8")
        yield Connection(file, values)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _private_folder() -> Path:
    """A new folder that only this user can enter, at a place with a short path where there is one."""
    places = (os.environ.get("XDG_RUNTIME_DIR", ""), tempfile.gettempdir(), "/tmp")  # noqa: S108
    for place in places:
        if place and len(os.fsencode(place)) < _LONGEST_SOCKET // 2 and os.access(place, os.W_OK):
            return Path(tempfile.mkdtemp(prefix="nixenv-", dir=place))
    return Path(tempfile.mkdtemp(prefix="nixenv-"))


def _free_ports() -> dict[str, int]:
    """Ports that were free a moment ago."""
    import socket  # noqa: PLC0415 - hardly ever needed

    with_sockets = {name: socket.create_server(("127.0.0.1", 0)) for name in PORTS}
    try:
        return {name: int(one.getsockname()[1]) for name, one in with_sockets.items()}
    finally:
        for one in with_sockets.values():
            one.close()


def write_ports(connection: Connection, ports: Mapping[str, int]) -> Connection:
    """The connection with these ports, also in its file: a client that asked for any reads them there."""
    values = {**connection.values, **{f"{name}_port": port for name, port in ports.items()}}
    if values != connection.values:
        staging = connection.file.with_name(f".{connection.file.name}.{os.getpid()}")
        staging.write_text(json.dumps(values, indent=2), encoding="utf-8")
        staging.chmod(connection.file.stat().st_mode & 0o777)
        staging.replace(connection.file)
    return Connection(connection.file, values)
