"""Which indexes are asked, and with whose credentials: the user's own configuration, read once.

uv reads its configuration from wherever it stands, and `--config-file` replaces all of it. So the index
settings of the user (uv.toml, pip.conf, their environment variables) are read here and handed to uv in
one generated file. Credentials are kept beside the URLs, never in them: nothing of a lock, a message or a
file that we write can carry one.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from nixlib.resolvers.config_files import pip_options, read_netrc, read_uv_credentials, uv_options
from nixlib.resolvers.requirements import public_url

__all__ = ["PYPI", "Credentials", "Index", "Indexes", "auth_for", "read_indexes"]

PYPI = "https://pypi.org/simple"

# Settings of the user's uv.toml that decide how an index is reached. Those that decide which
# version is chosen (resolution, prerelease, overrides) would make a lock depend on its author's machine.
_REACHING = (
    "allow-insecure-host",
    "cache-dir",
    "concurrent-downloads",
    "http-proxy",
    "https-proxy",
    "index-strategy",
    "keyring-provider",
    "native-tls",
    "no-proxy",
    "offline",
    "system-certs",
)
_KEYRING_SECONDS = 10.0

Credentials = tuple[str, str]


@dataclass(frozen=True)
class Index:
    """One index: where it is, and who we are there.

    `url` has no user info; it may have a query, which is secret. `public` has neither.
    """

    url: str
    credentials: Credentials | None = field(default=None, repr=False)
    flat: bool = False

    @property
    def public(self) -> str:
        """The URL as a lock may show it."""
        return public_url(self.url).rstrip("/")


@dataclass(frozen=True)
class Indexes:
    """All indexes in the order in which they are asked; the last one is the default.

    Attributes:
        asked: uv takes a package from the first that knows its name.
        settings: What the user's uv.toml says about reaching them, to be copied.
        skipped: Local indexes, which no other machine could follow.
        replaced: The default index, where it is one of those and PyPI is asked in its place.
        certificates: A bundle that pip was told to trust, for those who set nothing else.
        netrc: Credentials by host name.
        stored: Credentials by service URL, from `uv auth login`.
    """

    asked: tuple[Index, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    skipped: tuple[str, ...] = ()
    replaced: str = ""
    certificates: str = ""
    netrc: Mapping[str, Credentials] = field(default_factory=dict, repr=False)
    stored: Mapping[str, Credentials] = field(default_factory=dict, repr=False)

    @property
    def default(self) -> Index:
        """The index that is asked last."""
        return self.asked[-1]

    def simple(self) -> Iterator[Index]:
        """Those that have one page per project."""
        return (index for index in self.asked if not index.flat)

    def credentials(self, url: str) -> Credentials | None:
        """Who we are at `url`: the index nearest to it, then uv's store, netrc and the keyring."""
        realm = _realm(url)
        same = [index for index in self.asked if index.credentials and _realm(index.url) == realm]
        for index in sorted(same, key=lambda index: -_shared(index.url, url)):
            user, password = index.credentials or ("", "")
            if password:
                return user, password
            found = self._from_keyring(url, user)
            if found is not None:
                return found
        for service, login in self.stored.items():
            if _realm(service) == realm and url.startswith(service):
                return login
        return self.netrc.get(urlsplit(url).hostname or "")

    def _from_keyring(self, url: str, user: str) -> Credentials | None:
        if self.settings.get("keyring-provider") != "subprocess" or not user:
            return None
        for service in (public_url(url), urlsplit(url).netloc.rpartition("@")[2]):
            password = _ask_keyring(service, user)
            if password:
                return user, password
        return None


def _ask_keyring(service: str, user: str) -> str:
    try:
        # The name is looked up on the user's own PATH, exactly as pip and uv do it.
        done = subprocess.run(
            ["keyring", "get", service, user],  # noqa: S607
            capture_output=True,
            timeout=_KEYRING_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode(errors="replace").strip() if done.returncode == 0 else ""


def _realm(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    ports = {"http": 80, "https": 443}
    try:
        port = parts.port
    except ValueError:
        port = -1
    return parts.scheme, (parts.hostname or "").lower(), port or ports.get(parts.scheme)


def _shared(one: str, other: str) -> int:
    return len(os.path.commonprefix([urlsplit(one).path, urlsplit(other).path]))  # noqa: RUF071


def split_credentials(url: str) -> Index:
    """An index out of a URL as people write it, user info and all."""
    parts = urlsplit(url.strip())
    info, _, host = parts.netloc.rpartition("@")
    bare = urlunsplit((parts.scheme, host, parts.path.rstrip("/"), parts.query, ""))
    user, _, password = info.partition(":")
    return Index(bare, (unquote(user), unquote(password)) if info else None)


def read_indexes(
    asked: tuple[str, ...] = (),
    *,
    environ: Mapping[str, str] | None = None,
    home: Path | None = None,
) -> Indexes:
    """The indexes that the notebook names, then those that the user has configured.

    Args:
        asked: URLs out of the spec. One that the user has configured too gets the user's credentials.
        environ: Stands in for the process's environment.
        home: Stands in for the user's home directory.
    """
    environ = os.environ if environ is None else environ
    home = Path(environ.get("HOME", "~")).expanduser() if home is None else home
    uv, pip = uv_options(environ, home), pip_options(environ, home)
    extra, default = _configured(uv, pip, environ)
    named = tuple(split_credentials(url) for url in asked)
    everything = _distinct((*named, *extra, default))
    usable = tuple(index for index in everything if _remote(index.url))
    if not usable or not _remote(default.url):
        usable = (*usable, Index(PYPI))
    settings = {key: uv[key] for key in _REACHING if key in uv}
    if "UV_KEYRING_PROVIDER" in environ:
        settings["keyring-provider"] = environ["UV_KEYRING_PROVIDER"]
    return Indexes(
        asked=usable,
        settings=settings,
        skipped=tuple(index.public for index in everything if not _remote(index.url)),
        replaced="" if _remote(default.url) else default.public,
        certificates=pip.get("cert", ""),
        netrc=read_netrc(environ, home),
        stored=read_uv_credentials(environ, home),
    )


def _remote(url: str) -> bool:
    return url.startswith(("https://", "http://"))


def _configured(
    uv: Mapping[str, Any], pip: Mapping[str, str], environ: Mapping[str, str]
) -> tuple[list[Index], Index]:
    """Every extra index in uv's order of priority, and the default one."""
    extra = [_named(text, environ) for text in environ.get("UV_INDEX", "").split()]
    extra += [split_credentials(text) for text in environ.get("UV_EXTRA_INDEX_URL", "").split()]
    tables = [
        item
        for item in _list(uv.get("index"))
        if isinstance(item, dict) and not item.get("explicit")
    ]
    extra += [_from_table(item, environ) for item in tables if not item.get("default")]
    extra += [split_credentials(str(url)) for url in _list(uv.get("extra-index-url"))]
    extra += [split_credentials(text) for text in pip.get("extra-index-url", "").split()]
    flat = [*environ.get("UV_FIND_LINKS", "").split(","), *map(str, _list(uv.get("find-links")))]
    flat += pip.get("find-links", "").split()
    extra += [replace(split_credentials(text), flat=True) for text in flat if text.strip()]
    defaults = [_named(environ.get("UV_DEFAULT_INDEX", ""), environ)]
    defaults += [split_credentials(environ.get("UV_INDEX_URL", ""))]
    defaults += [_from_table(item, environ) for item in tables if item.get("default")]
    defaults += [
        split_credentials(str(uv.get("index-url", ""))),
        split_credentials(pip.get("index-url", "")),
    ]
    return extra, next((index for index in defaults if index.url), Index(PYPI))


def _list(value: object) -> list[Any]:
    return list(value) if isinstance(value, list) else []


def _from_table(table: Mapping[str, Any], environ: Mapping[str, str]) -> Index:
    index = split_credentials(str(table.get("url", "")))
    index = replace(index, flat=table.get("format") == "flat")
    return _with_environment(index, str(table.get("name", "")), environ)


def _named(text: str, environ: Mapping[str, str]) -> Index:
    """An index in uv's environment syntax: `URL` or `NAME=URL`."""
    found = re.fullmatch(r"([A-Za-z0-9._-]+)=(.*)", text)
    name, url = (found[1], found[2]) if found else ("", text)
    return _with_environment(split_credentials(url), name, environ)


def _with_environment(index: Index, name: str, environ: Mapping[str, str]) -> Index:
    key = "UV_INDEX_" + re.sub(r"[^A-Z0-9]", "_", name.upper())
    user, password = environ.get(f"{key}_USERNAME", ""), environ.get(f"{key}_PASSWORD", "")
    if not name or not (user or password):
        return index
    known = index.credentials or ("", "")
    return replace(index, credentials=(user or known[0], password or known[1]))


def _distinct(indexes: tuple[Index, ...]) -> tuple[Index, ...]:
    """Each place once, where it is first named, with the credentials that anybody gave for it."""
    best: dict[str, Index] = {}
    for index in indexes:
        first = best.setdefault(index.public, index)
        if first.credentials is None and index.credentials is not None:
            best[index.public] = replace(first, credentials=index.credentials)
    if (
        indexes and indexes[-1].public in best
    ):  # the default is asked last, even if also named before
        best[indexes[-1].public] = best.pop(indexes[-1].public)
    return tuple(best.values())


def auth_for(url: str) -> Credentials | None:
    """User name and password for a download of a lock's artifact, from the user's own settings.

    Reads the configuration at each call (0.5 ms); `credentials_source` reads it once.
    """
    return read_indexes().credentials(url)


def credentials_source(asked: tuple[str, ...] = ()) -> Callable[[str], Credentials | None]:
    """`auth_for` that reads the configuration once: for a whole lock's downloads."""
    return read_indexes(asked).credentials
