"""What a wheel's own metadata asks for: the `.metadata` file beside it (PEP 658), or METADATA inside.

Parsing is lenient on purpose: metadata of ten years ago says `pytz (>=2011k)`, which no standard knows any
more. A line that cannot be read is kept by its name alone, and the caller is told.
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement

from nixlib.resolvers.cache import FactCache
from nixlib.resolvers.web import Web

__all__ = ["Metadata", "MetadataSource", "parse_metadata"]


_METADATA = re.compile(r"[^/]+\.dist-info/METADATA")
_BLOCK = 1 << 15  # bytes; the directory and METADATA of most wheels fit into two such pieces
_DEVELOPERS = frozenset(
    {"ci", "dev", "develop", "development", "doc", "docs", "lint", "test", "testing", "tests"}
)

_COLLISIONS = 20


@dataclass(frozen=True)
class Metadata:
    """The dependency half of one distribution's metadata.

    Attributes:
        requires: Its dependencies, each readable by today's standards.
        mended: The original text of those lines that were not.
        requires_python: Its specifier of Pythons, as written.
        extras: The names of its extras, as written.
    """

    requires: tuple[Requirement, ...] = ()
    mended: tuple[str, ...] = ()
    requires_python: str = ""
    extras: tuple[str, ...] = ()

    def active(
        self, environment: Mapping[str, str], extras: Iterable[str] = ()
    ) -> list[Requirement]:
        """The dependencies that count in a marker environment, with these extras asked for."""
        cases = [{**environment, "extra": extra} for extra in ("", *extras)]
        return [
            item
            for item in self.requires
            if item.marker is None or any(item.marker.evaluate(case) for case in cases)
        ]

    def optional(self, environment: Mapping[str, str]) -> list[Requirement]:
        """The dependencies that its extras name, but for those that only its developers want."""
        extras = [extra for extra in self.extras if extra.lower() not in _DEVELOPERS]
        always = {str(item) for item in self.active(environment)}
        return [item for item in self.active(environment, extras) if str(item) not in always]


def parse_metadata(text: str) -> Metadata:
    r"""Read the header of a METADATA file; the description after the first empty line is not looked at.

    Examples:
        >>> found = parse_metadata("Name: x\nRequires-Dist: pytz (>=2011k)\n")
        >>> [str(item) for item in found.requires], found.mended
        (['pytz'], ('pytz (>=2011k)',))
    """
    header = re.split(r"\r?\n\r?\n", text, maxsplit=1)[0]
    header = re.sub(r"\r?\n[ \t]+", " ", header)  # RFC 822 continuation lines
    fields = re.findall(
        r"^(Requires-Dist|Requires-Python|Provides-Extra):[ \t]*(.*?)[ \t\r]*$",
        header,
        re.MULTILINE,
    )
    lines = [value for name, value in fields if name == "Requires-Dist" and value]
    read = [_requirement(line) for line in lines]
    return Metadata(
        requires=tuple(item for item, _ in read if item is not None),
        mended=tuple(line for line, (_, mended) in zip(lines, read, strict=True) if mended),
        requires_python=next((value for name, value in fields if name == "Requires-Python"), ""),
        extras=tuple(value for name, value in fields if name == "Provides-Extra"),
    )


def _requirement(line: str) -> tuple[Requirement | None, bool]:
    """A dependency, and whether it had to be mended; None when not even its name can be read."""
    name = re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*(\s*\[[^\]]*\])?", line)
    bare = name[0] if name else ""
    marker = line.partition(";")[2]
    readings = (_read(text) for text in (line, f"{bare};{marker}", bare))
    found = next((requirement for requirement in readings if requirement is not None), None)
    return found, _read(line) is None


def _read(text: str) -> Requirement | None:
    for _ in range(_COLLISIONS):
        try:
            return Requirement(text)
        except InvalidRequirement:  # noqa: PERF203 - one round is what there is but for the case below
            return None
        except SystemError:
            # Python 3.11 before 3.11.8 counts the depth of all threads that parse literals as one, and says
            # then that it does not come out even (https://github.com/python/cpython/issues/106905).
            continue
    return Requirement(text)


class MetadataSource:
    """Metadata of wheels by sha256, fetched once and kept for ever: a wheel never changes."""

    def __init__(self, web: Web, cache: FactCache) -> None:
        self._web = web
        self._cache = cache
        self._parsed: dict[str, Metadata | None] = {}

    def fetch(self, wheels: Iterable[tuple[str, str]]) -> None:
        """Read the metadata of `(sha256, url)` pairs, many at a time."""
        self._web.each(lambda pair: self.get(*pair), sorted(set(wheels)))

    def get(self, sha256: str, url: str) -> Metadata | None:
        """The metadata of one wheel; None where it cannot be had.

        Raises:
            NetworkError: The index did not answer.
        """
        if sha256 not in self._parsed:
            text = self._text(sha256, url)
            self._parsed[sha256] = parse_metadata(text) if text is not None else None
        return self._parsed[sha256]

    def _text(self, sha256: str, url: str) -> str | None:
        kept = self._cache.body(f"metadata {sha256}") if sha256 else None
        if kept is None:
            base, _, query = url.partition("?")
            answer = self._web.get(f"{base}.metadata" + (f"?{query}" if query else ""))
            kept = answer.content if answer is not None else metadata_inside(self._web, url)
            if kept is None:
                return None
            if sha256:
                self._cache.put_body(f"metadata {sha256}", kept)
        return kept.decode("utf-8", errors="replace")


def metadata_inside(web: Web, url: str) -> bytes | None:
    """METADATA out of a wheel at `url`, of which only the end and that one member are fetched.

    For indexes that serve no `.metadata` beside a wheel, as uv and pip do it. None when the file is not
    there, or no wheel.

    Raises:
        NetworkError: The index did not answer.
    """
    try:
        with zipfile.ZipFile(io.BufferedReader(_Remote(web, url), _BLOCK)) as archive:
            names = [name for name in archive.namelist() if _METADATA.fullmatch(name)]
            return archive.read(names[0]) if names else None
    except (zipfile.BadZipFile, FileNotFoundError, NotImplementedError, RuntimeError, zlib.error):
        return None


class _Remote(io.RawIOBase):
    """A file behind a URL, read in pieces by HTTP ranges."""

    def __init__(self, web: Web, url: str) -> None:
        self._web = web
        self._url = url
        self._size = web.size(url)
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        self._place = max(0, start + offset)
        return self._place

    def readinto(self, buffer: Any) -> int:
        last = min(self._size, self._place + len(buffer))
        if last <= self._place:
            return 0
        found = self._web.part(self._url, self._place, last)
        if found is None:
            raise FileNotFoundError(self._url)
        buffer[: len(found)] = found
        self._place += len(found)
        return len(found)
