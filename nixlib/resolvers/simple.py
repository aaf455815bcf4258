"""Pages of a simple repository (PEP 503 HTML, PEP 691 JSON): which files a project has, and since when.

uv keeps to itself when the versions that it did *not* choose were uploaded; the rule for old pins needs
to know. (pure, except `ProjectPages`)
"""

from __future__ import annotations

import html
import json
import re
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

from packaging.version import InvalidVersion, Version

from nixlib.errors import NetworkError
from nixlib.resolvers.cache import FactCache
from nixlib.resolvers.indexes import Index, Indexes
from nixlib.resolvers.requirements import public_url
from nixlib.resolvers.web import Web

__all__ = ["IndexFile", "ProjectPages", "file_version", "parse_page", "parsed_version"]

_ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.01"
# uv believes a page for ten minutes; a page that we remember longer could contradict it.
_PAGE_SECONDS = 600.0
# PEP 503 pages are flat lists of anchors. A full HTML parser takes ten times as long on the
# 5,000 links of a page such as numpy's, and old pins need dozens of pages.
_ANCHOR = re.compile(r"<a\s+([^>]*)>", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"""([a-zA-Z-]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'))?""")


@dataclass(frozen=True, slots=True)
class IndexFile:
    """One file of a project, as an index lists it.

    `size` is in bytes, 0 where the index does not say; `uploaded` is RFC 3339, empty likewise.
    """

    filename: str
    url: str
    sha256: str = ""
    size: int = 0
    uploaded: str = ""
    requires_python: str = ""
    yanked: bool = False
    metadata: bool = False


def parse_page(body: bytes, content_type: str, base: str) -> tuple[IndexFile, ...]:
    """Every file on one project page; `base` is the URL that the page came from.

    Raises:
        ValueError: The body is not what `content_type` says.
    """
    if "json" in content_type:
        return tuple(_from_json(item, base) for item in json.loads(body).get("files", []))
    return tuple(_from_html(body.decode("utf-8", errors="replace"), base))


def _from_json(item: dict[str, Any], base: str) -> IndexFile:
    metadata = item.get("core-metadata", item.get("dist-info-metadata", False))
    return IndexFile(
        filename=str(item["filename"]),
        url=urljoin(base, str(item["url"])),
        sha256=str((item.get("hashes") or {}).get("sha256", "")),
        size=int(item.get("size") or 0),
        uploaded=str(item.get("upload-time") or ""),
        requires_python=str(item.get("requires-python") or ""),
        yanked=bool(item.get("yanked", False)),
        metadata=bool(metadata),
    )


def _from_html(page: str, base: str) -> Iterator[IndexFile]:
    for anchor in _ANCHOR.finditer(page):
        attributes = {
            found[1].lower(): html.unescape(found[2] or found[3] or "")
            for found in _ATTRIBUTE.finditer(anchor[1])
        }
        url = urljoin(base, attributes.get("href", ""))
        parts = urlsplit(url)
        digest = re.fullmatch(r"sha256=([0-9a-f]{64})", parts.fragment)
        yield IndexFile(
            filename=unquote(parts.path.rsplit("/", 1)[-1]),
            url=url.partition("#")[0],
            sha256=digest[1] if digest else "",
            uploaded=attributes.get("data-upload-time", ""),
            requires_python=attributes.get("data-requires-python", ""),
            yanked="data-yanked" in attributes,
            metadata="data-core-metadata" in attributes or "data-dist-info-metadata" in attributes,
        )


def file_version(filename: str) -> Version | None:
    """The version in a distribution's file name; None when there is none that PEP 440 knows.

    Examples:
        >>> file_version("numpy-1.26.4-cp312-cp312-win_amd64.whl"), file_version("numpy-1.26.4.tar.gz")
        (<Version('1.26.4')>, <Version('1.26.4')>)
    """
    if filename.endswith(".whl"):
        return parsed_version(filename.split("-")[1] if filename.count("-") >= 4 else "")  # noqa: PLR2004
    stem = re.sub(r"\.(zip|tgz|tar\.\w+)$", "", filename)
    return parsed_version(stem.rpartition("-")[2])


def parsed_version(text: str) -> Version | None:
    """`text` as a version; None when PEP 440 knows no such."""
    try:
        return Version(text)
    except InvalidVersion:
        return None


class ProjectPages:
    """The files of projects, each from the first index that knows the name, as uv takes them."""

    def __init__(self, indexes: Indexes, web: Web, cache: FactCache) -> None:
        self._indexes = indexes
        self._web = web
        self._cache = cache
        self._known: dict[str, tuple[IndexFile, ...]] = {}
        self._found_at: dict[str, str] = {}
        self._lock = threading.Lock()

    def fetch(self, names: Iterable[str]) -> None:
        """Read the pages of `names` that are not known yet, many at a time."""
        with self._lock:
            missing = sorted(set(names) - self._known.keys())
        self._web.each(self.files, missing)

    def files(self, name: str) -> tuple[IndexFile, ...]:
        """Every file of `name` (normalised); none when no index knows it.

        Raises:
            NetworkError: An index did not answer, or answered with something else than a page.
        """
        with self._lock:
            if name in self._known:
                return self._known[name]
        for index in self._indexes.simple():
            found = self._read(index, name)
            if found:
                self._found_at[name] = index.public
                break
        else:
            found = ()
        with self._lock:
            return self._known.setdefault(name, found)

    def index_of(self, name: str) -> str:
        """The URL, without secrets, of the index that has a project; empty when none has."""
        return self._found_at.get(name, "") if self.files(name) else ""

    def _read(self, index: Index, name: str) -> tuple[IndexFile, ...]:
        base, _, query = index.url.partition("?")
        url = f"{base}/{name}/" + (f"?{query}" if query else "")
        # The key is public: a query can be a secret, and the cache is a file.
        key = f"page {index.public}/{name}"
        kept = self._cache.body(key, seconds=_PAGE_SECONDS)
        if kept is None:
            kept = self._download(url)
            self._cache.put_body(key, kept)
        head, _, body = kept.partition(b"\n")
        if not head:
            return ()
        content_type, _, final = head.decode().partition(" ")
        try:
            return parse_page(body, content_type, final)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            shown = public_url(url)
            raise NetworkError(f"`{shown}` is not a page of a simple index", url=shown) from error

    def _download(self, url: str) -> bytes:
        answer = self._web.get(url, accept=_ACCEPT)
        if answer is None:
            return b"\n"
        kind = (
            answer.headers.get("content-type", "text/html").partition(";")[0].strip() or "text/html"
        )
        return f"{kind} {public_url(answer.url)}\n".encode() + answer.content
