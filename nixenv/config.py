"""The settings in force, and where each came from.

Five layers, the later wins: the defaults, a Jupyter server's traits (`c.Nixenv.downloads = 8`), the
system's file, the user's file, the environment variables `NIXENV_*`; an option of the command line beats
them all. The files are `config.json` in `/etc/nixenv` and `$XDG_CONFIG_HOME/nixenv`, in the shape of
Jupyter's own (`{"Nixenv": {"downloads": 8}}`), so that a paragraph can move from one to the other.

The traits (`nixenv.traits`) check every value; they are imported only when somebody has set one, because
traitlets alone costs as much as the rest of a cache hit.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from nixenv.errors import UsageError
from nixlib.settings import Settings

SYSTEM_FILE = Path("/etc/nixenv/config.json")
SECTION = "Nixenv"
VARIABLE_PREFIX = "NIXENV_"
TRAITS_VARIABLE = "NIXENV_TRAITS"
"""The server's traits, for the engine's process: a JSON object; the lowest layer above the defaults."""


@dataclass(frozen=True)
class Configuration(Settings):
    """The engine's settings, and what only the Jupyter side has.

    Attributes:
        patience: Seconds that a server's kernel start waits for a build.
    """

    patience: float = 30.0


_NAMES = tuple(field.name for field in fields(Configuration))


@dataclass(frozen=True, slots=True)
class Setting:
    """One value and its source: `default`, `traits`, a file's path, a variable's name or an option."""

    name: str
    value: Any
    source: str


def load_settings(
    options: Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None
) -> Configuration:
    """The settings in force for this process.

    Args:
        options: Values of the command line, by field name.
        environ: The process's variables; `os.environ` when absent.

    Raises:
        UsageError: A file or a variable holds what no setting can be.
    """
    found = find_settings(options, environ)
    return Configuration(**{setting.name: setting.value for setting in found})


def find_settings(
    options: Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None
) -> tuple[Setting, ...]:
    """Every setting with its source, in the order of `Configuration`.

    Raises:
        UsageError: As `load_settings`.
    """
    environ = os.environ if environ is None else environ
    chosen = {setting.name: setting for setting in _defaults(environ)}
    layers = [
        *_layer_of_traits(environ),
        *_layer_of_file(SYSTEM_FILE),
        *_layer_of_file(user_file(environ)),
        *_layer_of_variables(environ),
        *(Setting(name, value, f"--{name}") for name, value in (options or {}).items()),
    ]
    if layers:
        from nixenv.traits import checked_value  # noqa: PLC0415

        chosen |= {
            found.name: Setting(found.name, checked_value(found, _NAMES), found.source)
            for found in layers
        }
    return tuple(chosen[name] for name in _NAMES)


def user_file(environ: Mapping[str, str]) -> Path:
    """The user's own configuration file, which need not exist."""
    return _xdg(environ, "XDG_CONFIG_HOME", ".config") / "nixenv" / "config.json"


def _defaults(environ: Mapping[str, str]) -> tuple[Setting, ...]:
    settings = Configuration(
        cache_dir=_xdg(environ, "XDG_CACHE_HOME", ".cache") / "nixenv",
        state_dir=_xdg(environ, "XDG_STATE_HOME", ".local/state") / "nixenv",
    )
    return tuple(Setting(name, getattr(settings, name), "default") for name in _NAMES)


def _xdg(environ: Mapping[str, str], variable: str, fallback: str) -> Path:
    # The specification: a relative path is invalid and must be ignored.
    if os.path.isabs(value := environ.get(variable, "")):  # noqa: PTH117 - also says no to ""
        return Path(value)
    return Path(environ.get("HOME") or "~").expanduser() / fallback


def _layer_of_traits(environ: Mapping[str, str]) -> list[Setting]:
    if not (text := environ.get(TRAITS_VARIABLE)):
        return []
    return _settings_of(_parse_object(text, TRAITS_VARIABLE), "traits")


def _layer_of_file(path: Path) -> list[Setting]:
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the settings in `{path}`: {error}", key=str(path)) from error
    return _settings_of(_parse_object(text, str(path)).get(SECTION, {}), str(path))


def _parse_object(text: str, source: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise UsageError(f"`{source}` is not JSON: {error}", key=source) from error
    if not isinstance(value, dict):
        raise UsageError(f"`{source}` must hold a JSON object", key=source)
    return value


def _settings_of(values: object, source: str) -> list[Setting]:
    if not isinstance(values, dict):
        raise UsageError(f"`{SECTION}` in `{source}` must be an object", key=SECTION)
    return [Setting(name, value, source) for name, value in values.items()]


def _layer_of_variables(environ: Mapping[str, str]) -> list[Setting]:
    named = ((name, VARIABLE_PREFIX + name.upper()) for name in _NAMES)
    # An empty variable says nothing, as everywhere in XDG.
    return [Setting(name, environ[key], key) for name, key in named if environ.get(key)]
