"""The files in which users keep their index settings: uv's, pip's and netrc, each as plain values.

A file that is absent, unreadable or malformed counts as empty: it is another tool's file, and that tool
is the one to complain about it.
"""

from __future__ import annotations

import configparser
import netrc
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["pip_options", "read_netrc", "read_uv_credentials", "uv_options"]


def _toml(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found


def _config_home(environ: Mapping[str, str], home: Path) -> Path:
    return Path(environ.get("XDG_CONFIG_HOME") or home / ".config")


def _config_dirs(environ: Mapping[str, str]) -> list[Path]:
    return [
        Path(item) for item in (environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":") if item
    ]


def uv_options(environ: Mapping[str, str], home: Path) -> dict[str, Any]:
    """The user's and the machine's uv.toml as uv merges them: the user's wins, lists are joined.

    A `uv.toml` or `pyproject.toml` in or above the working directory is not looked at.
    """
    if environ.get("UV_CONFIG_FILE"):
        return _toml(Path(environ["UV_CONFIG_FILE"]))
    machine = next(
        (found for base in _config_dirs(environ) if (found := _toml(base / "uv/uv.toml"))), {}
    ) or _toml(Path("/etc/uv/uv.toml"))
    merged = dict(machine)
    for key, value in _toml(_config_home(environ, home) / "uv/uv.toml").items():
        before = merged.get(key)
        joined = isinstance(value, list) and isinstance(before, list)
        merged[key] = [*value, *before] if joined else value  # type: ignore[misc]
    return merged


def pip_options(environ: Mapping[str, str], home: Path) -> dict[str, str]:
    """What pip's configuration says about indexes; environment variables win over files."""
    names = ("index-url", "extra-index-url", "find-links", "cert")
    found: dict[str, str] = {}
    for path in _pip_files(environ, home):
        parser = configparser.RawConfigParser()
        try:
            parser.read(path, encoding="utf-8")
        except (configparser.Error, OSError, UnicodeDecodeError):
            continue
        for section in ("global", "install"):
            for name in names:
                if parser.has_option(section, name):
                    found[name] = parser.get(section, name)
    variables = {name: environ.get("PIP_" + name.upper().replace("-", "_")) for name in names}
    return {**found, **{name: value for name, value in variables.items() if value}}


def _pip_files(environ: Mapping[str, str], home: Path) -> Iterator[Path]:
    """Each file that pip reads, the stronger later (pip's documentation, "Location")."""
    chosen = environ.get("PIP_CONFIG_FILE", "")
    if chosen == "/dev/null":  # pip's own way to say: no configuration files
        return
    yield from (base / "pip/pip.conf" for base in reversed(_config_dirs(environ)))
    yield Path("/etc/pip.conf")
    yield home / ".pip/pip.conf"
    if sys.platform == "darwin":
        yield home / "Library/Application Support/pip/pip.conf"
    yield _config_home(environ, home) / "pip/pip.conf"
    if chosen:
        yield Path(chosen)


def read_netrc(environ: Mapping[str, str], home: Path) -> dict[str, tuple[str, str]]:
    """User name and password of each host in the user's netrc."""
    path = Path(environ.get("NETRC") or home / ".netrc")
    try:
        hosts = netrc.netrc(str(path)).hosts
    except (OSError, netrc.NetrcParseError, UnicodeDecodeError):
        return {}
    return {host: (login, password or "") for host, (login, _, password) in hosts.items()}


def read_uv_credentials(environ: Mapping[str, str], home: Path) -> dict[str, tuple[str, str]]:
    """What `uv auth login` has stored in plain text: credentials by service URL."""
    data = Path(environ.get("XDG_DATA_HOME") or home / ".local/share")
    folder = Path(environ.get("UV_CREDENTIALS_DIR") or data / "uv/credentials")
    items = _toml(folder / "credentials.toml").get("credential", [])
    return {
        str(item["service"]): (str(item.get("username") or "__token__"), str(item["password"]))
        for item in items
        if isinstance(item, dict) and item.get("service") and item.get("password")
    }
