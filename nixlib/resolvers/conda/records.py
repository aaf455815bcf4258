"""From records of channels, which strangers write, to what a lock says of conda packages."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from nixlib.cancel import Cancel
from nixlib.errors import LockError, NetworkError
from nixlib.lock import Artifact
from nixlib.lock.conda import LockedConda, LockedCondaPackage, parse_conda
from nixlib.network.ending import ended_by
from nixlib.network.httpclient import HttpClient
from nixlib.requirements.refusal import public_url
from nixlib.resolvers.conda.access import ChannelAccess
from nixlib.resolvers.conda.channels import Channel
from nixlib.resolvers.conda.names import Names, pypi_name

__all__ = ["RecordReader", "needs_of"]

_ARCHIVE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+!-]*\.(conda|tar\.bz2)")
_CHUNK = 1 << 20
_EVERYWHERE = {"__unix", "__linux", "__osx"}
"""Needs that the system itself fulfils, where nothing is said of a version."""


def needs_of(records: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """What `records` ask of a machine, sorted."""
    return tuple(sorted({need for record in records for need in record["needs"]} - _EVERYWHERE))


@dataclass(frozen=True)
class RecordReader:
    """Reads the records of one resolution.

    Attributes:
        channels: Those that were asked.
        names: What PyPI calls packages of conda-forge.
        access: How channels are reached, for archives of which a channel does not tell enough.
        timeout: Seconds without a byte after which a server counts as not answering.
        cancel: Ends a download.
    """

    channels: Sequence[Channel]
    names: Names
    access: ChannelAccess
    timeout: float
    cancel: Cancel

    def packages(
        self, solved: Mapping[str, Sequence[Mapping[str, Any]]]
    ) -> tuple[LockedCondaPackage, ...]:
        """The records of each system as the lock has them, each archive once.

        Raises:
            NetworkError: A record is not what a channel may say, or an archive is not to be had.
            RealisationCancelledError: The user stopped it.
        """
        found: dict[str, dict[str, Mapping[str, Any]]] = {}
        for system, records in sorted(solved.items()):
            for record in records:
                found.setdefault(str(record["url"]), {})[system] = record
        names = {
            system: {str(record["name"]) for record in records}
            for system, records in solved.items()
        }
        return tuple(sorted(self._package(records, names) for records in found.values()))

    def _package(
        self, records: Mapping[str, Mapping[str, Any]], names: Mapping[str, set[str]]
    ) -> LockedCondaPackage:
        record = next(iter(records.values()))
        channel = self._channel(record)
        name, noarch = str(record["name"]), record.get("noarch") or ""
        depends = {
            asked
            for system in records
            for text in record["depends"]
            if (asked := _first_word(text)) in names[system]
        }
        package = LockedCondaPackage(
            name=name,
            version=str(record["version"]),
            build=str(record["build"]),
            subdir=str(record["subdir"]),
            channel=channel.locked,
            artifact=self._artifact(record, channel),
            depends=tuple(sorted(depends)),
            noarch=str(noarch),
            site=_site(record) if name == "python" else "",
            pypi=pypi_name(record, self.names),
            systems=() if len(records) == len(names) else tuple(sorted(records)),
        )
        try:
            parse_conda("record", LockedConda((package,)).to_json())
        except LockError as error:
            raise _damaged(channel, record, error.details) from error
        return package

    def _channel(self, record: Mapping[str, Any]) -> Channel:
        url = str(record["channel"]).rstrip("/")
        found = next((one for one in self.channels if one.url == url), None)
        if found is None:
            first = self.channels[0]
            raise _damaged(first, record, (f"it is of `{public_url(url)}`, which was not asked",))
        return found

    def _artifact(self, record: Mapping[str, Any], channel: Channel) -> Artifact:
        url = str(record["url"])
        # A channel may keep its archives elsewhere (CEP 15), but not on the machine of who asks.
        is_below = url.startswith(f"{channel.url}/")
        is_remote = urlsplit(url).scheme in ("http", "https") and public_url(url) == url
        if not _ARCHIVE.fullmatch(url.rpartition("/")[2]) or not (is_below or is_remote):
            raise _damaged(channel, record, (f"its archive is said to be at `{public_url(url)}`",))
        sha256, size = str(record.get("sha256") or ""), record.get("size") or 0
        if not (sha256 and size):
            sha256, size = self._measured(record, url)
        return Artifact(channel.lock(url), sha256, size)

    def _measured(self, record: Mapping[str, Any], url: str) -> tuple[str, int]:
        """The sha256 and size of an archive whose channel does not tell them; old ones give an MD5 only."""
        sha256, md5, size = hashlib.sha256(), hashlib.md5(usedforsecurity=False), 0
        for chunk in self._chunks(url):
            self.cancel.check()
            sha256.update(chunk)
            md5.update(chunk)
            size += len(chunk)
        for said, found in ((record.get("sha256"), sha256), (record.get("md5"), md5)):
            if said and said != found.hexdigest():
                raise NetworkError(
                    f"`{url.rpartition('/')[2]}` is not the file that its channel names",
                    details=(f"from {public_url(url)}", f"expected {said}", f"found    {found.hexdigest()}"),
                    url=public_url(url),
                )  # fmt: skip
        return sha256.hexdigest(), size

    def _chunks(self, url: str) -> Iterable[bytes]:
        try:
            if url.startswith("file:"):
                with Path(url2pathname(urlsplit(url).path)).open("rb") as file:
                    yield from iter(lambda: file.read(_CHUNK), b"")
                return
            place = self.access.places(url)[0]
            header = self.access.authorization(place)
            headers = {"Authorization": header} if header else {}
            client = HttpClient(timeout=self.timeout)
            with client, ended_by(self.cancel, client), client.get(place, headers) as response:
                if response.status != HTTPStatus.OK:
                    raise NetworkError(
                        f"`{public_url(url)}` did not answer as it should",
                        details=(f"HTTP status {response.status}",),
                        url=public_url(url),
                    )
                yield from response.chunks()
        except (OSError, HTTPException) as error:
            self.cancel.check()  # a connection that was cut to stop this is no failure
            raise NetworkError(
                f"`{public_url(url)}` did not answer as it should",
                details=(f"{type(error).__name__}: {error}",),
                url=public_url(url),
            ) from error


def _first_word(text: object) -> str:
    """The name in a dependency."""
    found = re.match(r"[A-Za-z0-9_.-]+", str(text).strip())
    return found[0].lower() if found else ""


def _site(record: Mapping[str, Any]) -> str:
    said = record.get("python_site_packages_path")
    minor = ".".join(str(record["version"]).split(".")[:2])
    return str(said or f"lib/python{minor}/site-packages")


def _damaged(channel: Channel, record: Mapping[str, Any], details: tuple[str, ...]) -> NetworkError:
    name = str(record.get("name"))[:60]
    shown = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in name)
    return NetworkError(
        f"the channel `{channel.written}` says of `{shown}` what cannot be",
        details=details,
        url=public_url(channel.locked),
    )
