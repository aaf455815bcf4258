"""Conda channels as people write them, as URLs, and as a lock names them.

`conda-forge` is below the alias, a URL is itself, `./channel` is a folder beside the notebook. A lock spells the
last one `file://./channel`, so that it holds wherever the folder is that has both.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import quote, unquote, urlsplit

from nixlib.errors import SpecError
from nixlib.requirements.refusal import public_url

__all__ = ["Channel", "find_channel", "located", "parse_channel", "parse_channels"]

_NAME = re.compile(
    r"(?!.*(^|/)\.{1,2}(/|$))[A-Za-z0-9_][A-Za-z0-9_.+-]*(/[A-Za-z0-9_][A-Za-z0-9_.+-]*)*"
)
_URL = re.compile(
    r"(https?://[A-Za-z0-9][A-Za-z0-9.-]*(:\d{1,5})?|file://)(/(?!\.{1,2}(/|$))[A-Za-z0-9._~%+:,=-]*)*"
)
_SUBDIR = re.compile(r"/(noarch|(linux|osx|win)-[a-z0-9_]{1,20})$")
_DEFAULTS = ("https://repo.anaconda.com/pkgs/main", "https://repo.anaconda.com/pkgs/r")
_HERE = "file://."
"""How the URL of a file begins that is found from the notebook's folder."""


@dataclass(frozen=True)
class Channel:
    """One channel.

    Attributes:
        written: As the notebook has it.
        url: Where it is, without a slash at its end.
        locked: As a lock names it.
    """

    written: str
    url: str
    locked: str

    def lock(self, url: str) -> str:
        """The URL of a file of this channel as a lock names it."""
        return self.locked + url.removeprefix(self.url) if url.startswith(f"{self.url}/") else url


def parse_channels(
    written: Iterable[str], folder: Path, alias: str, custom: Mapping[str, str] | None = None
) -> tuple[Channel, ...]:
    """The channels of a notebook in order, none twice.

    Args:
        written: Names, URLs, and folders.
        folder: The notebook's own.
        alias: Where names are.
        custom: Where some names are instead, out of the user's configuration.

    Raises:
        SpecError: One is none of these.
    """
    found: dict[str, Channel] = {}
    for text in written:
        for channel in parse_channel(text, folder, alias, custom or {}):
            found.setdefault(channel.url, channel)
    return tuple(found.values())


def parse_channel(
    text: str, folder: Path, alias: str, custom: Mapping[str, str] | None = None
) -> tuple[Channel, ...]:
    """What `text` stands for: one channel, or the two that conda calls `defaults`.

    Raises:
        SpecError: It is neither a name, a URL nor a folder relative to the notebook's.

    Examples:
        >>> parse_channel("conda-forge", Path("/n"), "https://conda.anaconda.org")[0].url
        'https://conda.anaconda.org/conda-forge'
        >>> parse_channel("./channel", Path("/n"), "")[0]
        Channel(written='./channel', url='file:///n/channel', locked='file://./channel')
    """
    bare = _SUBDIR.sub("", text.strip().rstrip("/"))
    if bare == "defaults":
        return tuple(Channel(bare, url, url) for url in _DEFAULTS)
    if re.match(r"\.{1,2}(/|$)", bare):
        return (_folder(text, bare, folder),)
    if re.match(r"[a-z]+://", bare):
        if not _URL.fullmatch(bare) or any(mark in bare for mark in "@?#"):
            raise _wrong(text)
        host, slash, path = bare.partition("://")[2].partition("/")
        # As rattler spells it, so that its records are found to be of this channel.
        url = f"{bare.partition('://')[0]}://{host.lower()}{slash}{path}"
        url = re.sub(r"^(http://[^/]*):80(?=/|$)|^(https://[^/]*):443(?=/|$)", r"\1\2", url)
        return (Channel(text, url, url),)
    if not _NAME.fullmatch(bare):
        raise _wrong(text)
    first, _, rest = bare.partition("/")
    base = (custom or {}).get(first, "")
    url = "/".join(filter(None, (base, rest))) if base else f"{alias.rstrip('/')}/{bare}"
    return (Channel(text, url, url),)


def _folder(text: str, bare: str, folder: Path) -> Channel:
    path = PurePosixPath(bare)
    if any(not character.isprintable() for character in bare):
        raise _wrong(text)
    place = Path(_normal(folder / path))
    spelled = bare if bare.startswith("..") else f"./{path}" if str(path) != "." else "."
    return Channel(text, place.as_uri(), f"file://{quote(spelled)}")


def _normal(path: Path) -> str:
    """`path` without `..`, links left as they are."""
    parts: list[str] = []
    for part in path.absolute().parts:
        if part == "..":
            parts[1:] = parts[1:-1]
        else:
            parts.append(part)
    return str(Path(*parts))


def _wrong(text: str) -> SpecError:
    shown = public_url(text)[:100] if "://" in text else text[:100]
    return SpecError(
        f"`nixenv.channels` has `{shown}`, which is neither a channel's name, its URL nor a folder",
        details=(
            "a folder begins with `./` or `../`, from the notebook's; one of this machine is a `file:///…` URL",
        ),
        hint='`"channels": ["conda-forge"]`',
        key="nixenv.channels",
        found=shown,
    )


def find_channel(name: str, channels: Sequence[Channel]) -> Channel | None:
    """Which of `channels` a requirement means that says `name::`; None where it is none of them."""
    for channel in channels:
        if name.rstrip("/") in (channel.written.rstrip("/"), channel.url):
            return channel
    if "://" in name:
        return None
    return next((one for one in channels if one.url.endswith(f"/{name}")), None)


def located(url: str, folder: Path) -> str:
    """The URL of a locked file, one beside the notebook found from its `folder`.

    Examples:
        >>> located("file://../channel/noarch/a-1-0.conda", Path("/home/me/notebooks"))
        'file:///home/me/channel/noarch/a-1-0.conda'
        >>> located("https://host/a.conda", Path("/home/me"))
        'https://host/a.conda'
    """
    if not url.startswith(_HERE):
        return url
    parts = urlsplit(url)
    return Path(_normal(folder / f"{unquote(parts.netloc)}{unquote(parts.path)}")).as_uri()
