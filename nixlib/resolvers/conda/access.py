"""How channels are reached: with the user's own credentials, and through mirrors.

Credentials are where rattler, pixi, conda and everybody else keep them: rattler's file, tokens in `.condarc`,
netrc. They are kept by host, beside the URLs and never in them, so nothing of a lock or a message can carry one.
The desktop's keyring is not asked: a server has none, and waiting for one that is locked has no end.
"""

from __future__ import annotations

import json
import os
import re
import ssl
from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

import yaml

from nixlib.errors import SettingError
from nixlib.requirements.refusal import public_line, public_url
from nixlib.resolvers.config_files import read_netrc
from nixlib.settings import Settings

__all__ = ["ChannelAccess", "read_channel_access"]

_MIRROR = re.compile(r"((?:https?|file)://\S+?)=((?:https?|file)://\S+)")
_TOKEN = re.compile(r"^/t/([^/]+)(/.*)?$")

Login = Mapping[str, Any]
"""One of rattler's: `{"BasicHTTP": {"username", "password"}}`, `{"BearerToken": …}`, `{"CondaToken": …}`."""


@dataclass(frozen=True)
class ChannelAccess:
    """Who we are at each host, and where channels really are.

    Attributes:
        logins: By host, or `*.domain`.
        mirrors: Prefixes of URLs, and where else each is to be had, best first.
        alias: Where channels are that have only a name.
        custom: Where some of these are instead.
    """

    logins: Mapping[str, Login] = field(default_factory=dict, repr=False)
    mirrors: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    alias: str = ""
    custom: Mapping[str, str] = field(default_factory=dict)

    def places(self, url: str) -> tuple[str, ...]:
        """Where to ask for `url`, in order: its mirrors with a token in the path where one belongs there."""
        prefixes = [prefix for prefix in self.mirrors if f"{url}/".startswith(f"{prefix}/")]
        if not prefixes:
            return (self._with_token(url),)
        prefix = max(prefixes, key=len)
        return tuple(
            self._with_token(mirror + url.removeprefix(prefix)) for mirror in self.mirrors[prefix]
        )

    def authorization(self, url: str) -> str | None:
        """The header `Authorization` for a request; None for none."""
        login = self._login(url)
        if "BearerToken" in login:
            return f"Bearer {login['BearerToken']}"
        basic = login.get("BasicHTTP")
        if not isinstance(basic, Mapping):
            return None
        text = f"{basic.get('username', '')}:{basic.get('password', '')}"
        return f"Basic {b64encode(text.encode()).decode()}"

    def config(self, logins_file: Path) -> str:
        """Rattler's configuration in TOML, which reads the logins from `logins_file`."""
        paths = ssl.get_default_verify_paths()
        roots = "system" if paths.cafile or paths.capath else "webpki"
        lines = [
            f"authentication-override-file = {json.dumps(str(logins_file))}",
            f'tls-root-certs = "{roots}"',
            "[mirrors]",
            *(f"{json.dumps(one)} = {json.dumps(list(to))}" for one, to in self.mirrors.items()),
            "[repodata-config]",
            "disable-bzip2 = true",  # two requests less for each channel; nobody has only that
        ]
        return "\n".join(lines) + "\n"

    def _with_token(self, url: str) -> str:
        token = self._login(url).get("CondaToken")
        parts = urlsplit(url)
        if not isinstance(token, str) or _TOKEN.match(parts.path):
            return url
        return urlunsplit(parts._replace(path=f"/t/{token}{parts.path}"))

    def _login(self, url: str) -> Login:
        host = urlsplit(url).hostname or ""
        if host in self.logins:
            return self.logins[host]
        labels = host.split(".")
        wild = (f"*.{'.'.join(labels[start:])}" for start in range(len(labels)))
        return next((self.logins[name] for name in wild if name in self.logins), {})


def read_channel_access(
    settings: Settings, *, environ: Mapping[str, str] | None = None, home: Path | None = None
) -> ChannelAccess:
    """The user's own configuration and ours, read once for one resolution.

    Args:
        settings: `conda_alias` and `conda_mirrors` count here.
        environ: Stands in for the process's environment.
        home: Stands in for the user's home directory.

    Raises:
        SettingError: A mirror is none.
    """
    environ = os.environ if environ is None else environ
    home = Path(environ.get("HOME", "~")).expanduser() if home is None else home
    netrc = {
        host: {"BasicHTTP": {"username": user, "password": password}}
        for host, (user, password) in read_netrc(environ, home).items()
    }
    condarc = _condarc(environ, home)
    custom = {
        name: f"{_public(url)}/{name}"
        for name, url in _texts(condarc.get("custom_channels")).items()
    }
    return ChannelAccess(
        logins={**netrc, **_condarc_logins(condarc), **_stored(environ, home)},
        mirrors=_mirrors(settings.conda_mirrors),
        alias=settings.conda_alias,
        custom=custom,
    )


def _mirrors(said: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Mirrors by what they mirror, in their order."""
    found: dict[str, tuple[str, ...]] = {}
    for item in said:
        pair = _MIRROR.fullmatch(item)
        if pair is None:
            raise SettingError(
                f"the setting `conda_mirrors` has `{public_line(item)}`, which is not `URL=MIRROR`",
                key="conda_mirrors",
                found=item,
            )
        one, other = pair[1].rstrip("/"), pair[2].rstrip("/")
        found[one] = (*found.get(one, ()), other)
    return found


def _stored(environ: Mapping[str, str], home: Path) -> dict[str, Login]:
    """What `rattler auth login` and pixi have written."""
    path = Path(environ.get("RATTLER_AUTH_FILE") or home / ".rattler/credentials.json")
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    items = found.items() if isinstance(found, dict) else ()
    return {host: login for host, login in items if isinstance(login, dict)}


def _condarc(environ: Mapping[str, str], home: Path) -> dict[str, Any]:
    """Conda's configuration, the stronger file last (conda's documentation, "Searching for .condarc")."""
    places = [Path("/etc/conda/.condarc")]
    places += [home / ".conda/.condarc", home / ".config/conda/.condarc", home / ".condarc"]
    if environ.get("CONDARC"):
        places.append(Path(environ["CONDARC"]))
    merged: dict[str, Any] = {}
    for place in places:
        try:
            found = yaml.safe_load(place.read_text(encoding="utf-8"))
        except (OSError, ValueError, yaml.YAMLError):
            continue
        merged.update(found if isinstance(found, dict) else {})
    return merged


def _condarc_logins(condarc: Mapping[str, Any]) -> dict[str, Login]:
    """Tokens and logins that stand in the URLs of a `.condarc`."""
    found: dict[str, Login] = {}
    for url in _urls(condarc):
        parts = urlsplit(url)
        token = _TOKEN.match(parts.path)
        if parts.hostname and token:
            found[parts.hostname] = {"CondaToken": token[1]}
        elif parts.hostname and parts.username:
            login = {"username": unquote(parts.username), "password": unquote(parts.password or "")}
            found[parts.hostname] = {"BasicHTTP": login}
    return found


def _urls(condarc: Mapping[str, Any]) -> Iterator[str]:
    lists = [condarc.get(key) for key in ("channels", "default_channels", "allowlist_channels")]
    items = [item for found in lists if isinstance(found, list) for item in found]
    items += [condarc.get("channel_alias"), *_texts(condarc.get("custom_channels")).values()]
    for item in items:
        if isinstance(item, str) and re.match(r"https?://", item):
            try:
                urlsplit(item)
            except ValueError:
                continue
            yield item


def _texts(value: object) -> dict[str, str]:
    items = value.items() if isinstance(value, dict) else ()
    return {str(key): str(item) for key, item in items if isinstance(item, str)}


def _public(url: str) -> str:
    """`url` without login and token."""
    parts = urlsplit(public_url(url))
    found = _TOKEN.match(parts.path)
    path = (found[2] or "") if found else parts.path
    return f"{parts.scheme}://{parts.netloc}{path.rstrip('/')}"
