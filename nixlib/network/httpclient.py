"""HTTP/1.1 connections kept alive and shared by threads, for many files at a time.

The standard library's own, with what a few hundred parallel downloads need on top: a name is looked up
once (32 look-ups at a time cost 5 s with resolvers that drop datagrams: measured), and one call from
any thread ends them all. `httpx` took 1.1 s of processor time for 107 files and 141 MB, this takes 0.5.
Certificates are read once in a process (up to 200 ms), by the first connection that needs them.
"""

from __future__ import annotations

import http.client
import os
import socket
import ssl
import threading
from base64 import b64encode
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit, urlunsplit

from nixlib.errors import NetworkError

if TYPE_CHECKING:
    from typing_extensions import Self

Auth = Callable[[str], "tuple[str, str] | str | None"]
"""The user and password for a URL, or the whole header `Authorization`, or nothing."""

_REDIRECTS = frozenset((301, 302, 303, 307, 308))
_MAX_REDIRECTS = 10
_PORTS = {"http": 80, "https": 443}
_SAFE = "/%:=&?~#+!$,;'@()*[]"
"""What stands in a request as it is; anything else that is no letter or digit is escaped."""
_CHUNK = 256 << 10
_READING_CERTIFICATES = threading.Lock()

_Origin = tuple[str, str, int]


def no_auth(url: str) -> None:
    """Credentials of those who have none."""
    del url


@dataclass(frozen=True, slots=True)
class Response:
    """The head of an answer; its body is read with `readinto` until that gives 0.

    `url` is what answered, after redirections; `length` the bytes to come, None where nobody says.
    """

    status: int
    headers: Mapping[str, str]
    readinto: Callable[[memoryview], int]
    url: str
    length: int | None

    def chunks(self) -> Iterator[bytes]:
        """The body in pieces.

        Raises:
            OSError, http.client.HTTPException: The connection failed, or ended too early.
        """
        buffer, received = memoryview(bytearray(_CHUNK)), 0
        while count := self.readinto(buffer):
            received += count
            yield bytes(buffer[:count])
        if self.length is not None and received < self.length:
            raise http.client.HTTPException(f"it ended after {received} of {self.length} bytes")


class HttpClient:
    """A pool of connections; any thread may use it.

    Args:
        timeout: Seconds without a byte after which a server counts as not answering.
        auth: Says which credentials go with a URL; asked again at each redirection.
        certificates: A file of authorities to trust instead of the system's; empty for those.
    """

    def __init__(
        self, *, timeout: float = 30.0, auth: Auth = no_auth, certificates: str = ""
    ) -> None:
        self._timeout = timeout
        self._auth = auth
        self._certificates = certificates
        self._lock = threading.Lock()
        self._idle: dict[_Origin, list[http.client.HTTPConnection]] = defaultdict(list)
        self._busy: set[http.client.HTTPConnection] = set()
        self._addresses: dict[tuple[str, int], list[tuple[str, int]]] = {}
        self._resolving = threading.Lock()
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End every connection; reads that other threads wait in fail at once."""
        with self._lock:
            self._closed = True
            busy, self._busy = self._busy, set()
            idle = [connection for found in self._idle.values() for connection in found]
            self._idle.clear()
        for connection in busy:
            sock = connection.sock
            if sock is not None:
                # Not the TLS socket's own shutdown: that one waits for the reader it should wake.
                with suppress(OSError):
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)
        for connection in idle:
            connection.close()

    def connect(self, url: str) -> None:
        """Open a connection to the server of `url`, for the next request that wants one.

        Raises:
            OSError, http.client.HTTPException: It does not answer.
            NetworkError: This is no URL.
        """
        parts, origin = _parsed(url)
        connection = self._registered(self._connect(origin, _proxy_for(parts)))
        self._give_back(origin, connection, reusable=True)

    def get(self, url: str, headers: Mapping[str, str] = {}) -> AbstractContextManager[Response]:
        """`request` by GET."""
        return self.request("GET", url, headers)

    @contextmanager
    def request(self, method: str, url: str, headers: Mapping[str, str] = {}) -> Iterator[Response]:
        """Ask for `url` by GET or HEAD, redirections followed.

        Raises:
            OSError, http.client.HTTPException: The connection failed, worth another attempt.
            NetworkError: This is no URL, or a redirection leads nowhere.
        """
        for _ in range(_MAX_REDIRECTS):
            connection, origin, answer = self._ask(method, url, headers)
            target = answer.getheader("location") if answer.status in _REDIRECTS else None
            if target is None:
                break
            answer.read()
            self._give_back(origin, connection, reusable=not answer.will_close)
            url = urljoin(url, target)
        else:
            raise NetworkError(f"`{_public(url)}` redirects without end", url=_public(url))
        reusable = False
        try:
            fields = {name.lower(): value for name, value in answer.getheaders()}
            yield Response(answer.status, fields, answer.readinto, url, answer.length)
            reusable = answer.isclosed() and not answer.will_close
        finally:
            # An answer that ends with its connection owns the socket: closing the connection is not enough.
            answer.close()
            self._give_back(origin, connection, reusable=reusable)

    def _ask(
        self, method: str, url: str, headers: Mapping[str, str]
    ) -> tuple[http.client.HTTPConnection, _Origin, http.client.HTTPResponse]:
        parts, origin = _parsed(url)
        proxy = _proxy_for(parts)
        target = quote((parts.path or "/") + (f"?{parts.query}" if parts.query else ""), _SAFE)
        sent = {"Accept-Encoding": "identity", "User-Agent": "nixenv", **headers}
        sent.update(_authorization("Authorization", self._auth(url)))
        if proxy and parts.scheme == "http":
            target = quote(
                urlunsplit(("http", parts.netloc.rpartition("@")[2], *parts[2:4], "")), _SAFE
            )
            sent.update(_authorization("Proxy-Authorization", _user_of(proxy)))
        while True:
            connection, is_new = self._take(origin, proxy)
            try:
                connection.request(method, target, headers=sent)
                return connection, origin, connection.getresponse()
            except (OSError, http.client.HTTPException):
                self._give_back(origin, connection, reusable=False)
                # The server may have closed a kept connection at any time; only a new one's word counts.
                if is_new or self._closed:
                    raise

    def _take(
        self, origin: _Origin, proxy: SplitResult | None
    ) -> tuple[http.client.HTTPConnection, bool]:
        with self._lock:
            if self._closed:
                raise ConnectionAbortedError("the client was closed")
            if self._idle[origin]:
                connection = self._idle[origin].pop()
                self._busy.add(connection)
                return connection, False
        return self._registered(self._connect(origin, proxy)), True

    def _registered(self, connection: http.client.HTTPConnection) -> http.client.HTTPConnection:
        with self._lock:
            if not self._closed:
                self._busy.add(connection)
                return connection
        connection.close()
        raise ConnectionAbortedError("the client was closed")

    def _give_back(
        self, origin: _Origin, connection: http.client.HTTPConnection, *, reusable: bool
    ) -> None:
        with self._lock:
            self._busy.discard(connection)
            if reusable and not self._closed:
                self._idle[origin].append(connection)
                return
        connection.close()

    def _connect(self, origin: _Origin, proxy: SplitResult | None) -> http.client.HTTPConnection:
        scheme, host, port = origin
        if proxy is None:
            plain = http.client.HTTPConnection(host, port, timeout=self._timeout)
            # A connection that has its socket does not look the name up again.
            plain.sock = self._dial(host, port)
            if scheme == "https":
                plain.sock = _tls_context(self._certificates).wrap_socket(
                    plain.sock, server_hostname=host
                )
            return plain
        at = (proxy.hostname or "", proxy.port or _PORTS.get(proxy.scheme, 80))
        if scheme == "http":
            return http.client.HTTPConnection(*at, timeout=self._timeout)
        context = _tls_context(self._certificates)
        tunnel = http.client.HTTPSConnection(*at, timeout=self._timeout, context=context)
        tunnel.set_tunnel(host, port, _authorization("Proxy-Authorization", _user_of(proxy)))
        return tunnel

    def _dial(self, host: str, port: int) -> socket.socket:
        failure: OSError = OSError(f"`{host}` has no address")
        for address in self._look_up(host, port):
            try:
                sock = socket.create_connection(address, timeout=self._timeout)
            except OSError as error:
                failure = error
                continue
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return sock
        with self._resolving:
            self._addresses.pop((host, port), None)
        raise failure

    def _look_up(self, host: str, port: int) -> list[tuple[str, int]]:
        with self._resolving:
            if (host, port) not in self._addresses:
                found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
                self._addresses[host, port] = [(str(entry[4][0]), port) for entry in found]
            return self._addresses[host, port]


def _parsed(url: str) -> tuple[SplitResult, _Origin]:
    """A URL's parts, and the server that they name.

    Raises:
        NetworkError: It names none.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise NetworkError("a URL cannot be read") from None
    if parts.scheme not in _PORTS or not parts.hostname:
        raise NetworkError(f"`{_public(url)}` is not an HTTP URL", url=_public(url))
    return parts, (parts.scheme, parts.hostname, port or _PORTS[parts.scheme])


def _public(url: str) -> str:
    """`url` without what may be secret."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _tls_context(certificates: str) -> ssl.SSLContext:
    """The context of this process for `certificates`; threads that come meanwhile wait for it."""
    with _READING_CERTIFICATES:
        return _read_certificates(certificates, os.environ.get("SSL_CERT_FILE", ""))


@lru_cache(maxsize=4)
def _read_certificates(certificates: str, named: str) -> ssl.SSLContext:
    """The system's certificates, `SSL_CERT_FILE` and `SSL_CERT_DIR` included, else certifi's.

    A standalone Python looks where the machine that built it kept them, which may not exist here.

    Args:
        certificates: A file to take instead, unless the environment names one.
        named: What `SSL_CERT_FILE` says.
    """
    if certificates and not named:
        return ssl.create_default_context(cafile=certificates)
    paths = ssl.get_default_verify_paths()
    if paths.cafile or paths.capath:
        return ssl.create_default_context()
    try:
        import certifi  # noqa: PLC0415 - only where the system has none
    except ImportError:
        return ssl.create_default_context()
    return ssl.create_default_context(cafile=certifi.where())


def _proxy_for(parts: SplitResult) -> SplitResult | None:
    """The proxy that the environment names for a URL (`HTTPS_PROXY`, `NO_PROXY` and so on)."""
    if not any(name.lower().endswith("_proxy") for name in os.environ):
        return None
    from urllib.request import getproxies, proxy_bypass  # noqa: PLC0415 - 15 ms

    proxies = getproxies()
    found = proxies.get(parts.scheme) or proxies.get("all")
    if not found or proxy_bypass(parts.netloc.rpartition("@")[2]):
        return None
    return urlsplit(found if "//" in found else f"http://{found}")


def _user_of(parts: SplitResult) -> tuple[str, str] | None:
    return (unquote(parts.username), unquote(parts.password or "")) if parts.username else None


def _authorization(header: str, user: tuple[str, str] | str | None) -> dict[str, str]:
    if user is None:
        return {}
    if isinstance(user, str):
        return {header: user}
    return {header: f"Basic {b64encode(':'.join(user).encode()).decode()}"}
