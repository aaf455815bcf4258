"""The mirror of python-build-standalone's releases: URL, sha256 and size of their files.

It has to be laid out as upstream's releases are: `<release>/<file>`, with `<release>/SHA256SUMS` beside.
A user's credentials for it stay with its address in their settings, and enter no lock.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException
from typing import Final
from urllib.parse import unquote, urlsplit

from nixlib.errors import NetworkError
from nixlib.interpreters.standalone import Release
from nixlib.lock import Artifact
from nixlib.network.httpclient import HttpClient

_SUM: Final = re.compile(r"([0-9a-f]{64})[ *]*(\S+)?\s*")
_MAX_TEXT: Final = 4 << 20  # a release's list of sums has 0.2 MB


@dataclass(frozen=True, slots=True)
class PythonMirror:
    """A mirror's address.

    Attributes:
        url: Without credentials, query and final slash.
        user: Name and password, where the address has them.
    """

    url: str
    user: tuple[str, str] | None = None

    @classmethod
    def parse(cls, address: str) -> PythonMirror:
        """The mirror at `address`, which may hold `user:password@`."""
        parts = urlsplit(address)
        where = parts.netloc.rpartition("@")[2]
        user = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
        return cls(parts._replace(netloc=where, query="", fragment="").geturl().rstrip("/"), user)

    def auth(self, url: str) -> tuple[str, str] | None:
        """The credentials for `url`: the mirror's own below it, and none elsewhere."""
        return self.user if url.startswith(self.url + "/") else None


def standalone_artifacts(
    chosen: Mapping[str, Release], mirror: PythonMirror, client: HttpClient
) -> dict[str, Artifact]:
    """URL, sha256 and size of each release file, as the mirror has them now.

    Args:
        chosen: From `choose`.
        mirror: Where they are.
        client: Its timeout is how long a silent mirror is waited for.

    Raises:
        NetworkError: The mirror does not answer, or has no such release.
    """
    url = mirror.url
    try:
        releases = {release.release for release in chosen.values()}
        sums = {release: _sums(client, url, release) for release in releases}
        return {
            system: _artifact(client, url, release, sums[release.release])
            for system, release in sorted(chosen.items())
        }
    except (OSError, HTTPException) as error:
        raise NetworkError(
            f"the mirror of Pythons `{url}` does not answer",
            details=(f"{type(error).__name__}: {error}".splitlines()[0],),
            url=url,
        ) from error


def _sums(client: HttpClient, mirror: str, release: str) -> dict[str, str]:
    """The sha256 of each file of a release; empty where the release has no list of them."""
    text = _text(client, f"{mirror}/{release}/SHA256SUMS")
    found = (_SUM.fullmatch(line) for line in text.splitlines())
    return {line[2]: line[1] for line in found if line and line[2]}


def _artifact(
    client: HttpClient, mirror: str, release: Release, sums: Mapping[str, str]
) -> Artifact:
    url = f"{mirror}/{release.release}/{release.file.replace('+', '%2B')}"
    # Releases up to 2022 have one file of a single sum beside each file.
    sha256 = sums.get(release.file)
    if sha256 is None:
        found = _SUM.fullmatch(_text(client, f"{url}.sha256"))
        if found is None:
            raise NetworkError(
                f"the mirror has no sha256 of `{release.file}`",
                details=(f"looked for `SHA256SUMS` and `.sha256` beside `{url}`",),
                url=url,
            )
        sha256 = found[1]
    return Artifact(url=url, sha256=sha256, size=_size(client, url))


def _text(client: HttpClient, url: str) -> str:
    """The text at `url`, empty where there is none."""
    buffer = bytearray(_MAX_TEXT)
    filled = 0
    with client.get(url) as response:
        if response.status == HTTPStatus.NOT_FOUND:
            return ""
        _check(response.status, url)
        while count := response.readinto(memoryview(buffer)[filled:]):
            filled += count
    return buffer[:filled].decode("utf-8", "replace")


def _size(client: HttpClient, url: str) -> int:
    """The size of the file at `url`, in bytes; one of them is asked for."""
    with client.get(url, {"Range": "bytes=0-0"}) as response:
        _check(response.status, url)
        field = (
            "content-range" if response.status == HTTPStatus.PARTIAL_CONTENT else "content-length"
        )
        size = response.headers.get(field, "").rpartition("/")[2]
    if not size.isdigit():
        raise NetworkError("the mirror of Pythons does not tell the size of a file", url=url)
    return int(size)


def _check(status: int, url: str) -> None:
    if status not in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
        raise NetworkError(
            f"the mirror of Pythons answered {status}", details=(f"to `{url}`",), url=url
        )
