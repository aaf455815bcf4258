"""What PyPI calls a conda package.

The record itself may say so (`purls`). For conda-forge there is a list, made from what its archives really
contain, that our settings name. Where neither speaks, a package that needs Python is called the same.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from packaging.utils import canonicalize_name

from nixlib.cancel import Cancel
from nixlib.errors import NetworkError
from nixlib.lock.fields import NAME
from nixlib.network.ending import ended_by
from nixlib.network.httpclient import HttpClient
from nixlib.network.outages import Outages
from nixlib.settings import Settings

__all__ = ["pypi_name", "read_pypi_names"]

Names = Mapping[str, "str | None"]
"""What PyPI calls each package; None for what is no Python package."""

_PURL = re.compile(r"pkg:pypi/([^@?#]+)")
_FRESH_SECONDS = 86400.0
_LARGEST = 16 << 20  # bytes; the list of 2025 has 1
_PATIENCE = 5.0  # seconds; without the list, names are guessed, which mostly comes to the same
_NEEDS_PYTHON = {"python", "python_abi"}
_NOT_OF_PYPI = {"python", "python_abi", "python-gil", "python-freethreading", "cpython", "pypy"}


def pypi_name(record: Mapping[str, Any], names: Names) -> str:
    """What PyPI calls the package of `record`, normalised (PEP 503); empty where it is none of PyPI's.

    Args:
        record: As the channel has it.
        names: Of conda-forge.

    Examples:
        >>> pypi_name({"name": "pytorch", "purls": ["pkg:pypi/torch@2.5.1"]}, {})
        'torch'
        >>> pypi_name({"name": "six", "depends": ["python"]}, {}), pypi_name({"name": "zlib"}, {})
        ('six', '')
    """
    name = str(record["name"])
    for purl in record.get("purls") or ():
        if found := _PURL.match(str(purl)):
            return _normal(unquote(found[1]))
    if record.get("purls") is not None and record["purls"] != []:
        return ""  # it says what it is, and that is of another index
    if is_conda_forge(str(record.get("channel", ""))) and name in names:
        return _normal(names[name] or "")
    depends = {str(item).partition(" ")[0] for item in record.get("depends", ())}
    is_python = depends & _NEEDS_PYTHON and name not in _NOT_OF_PYPI
    return _normal(name) if is_python else ""


def is_conda_forge(channel: str) -> bool:
    """Whether the list is about the channel at this URL, wherever it is mirrored."""
    return channel.rstrip("/").endswith("/conda-forge")


def _normal(name: str) -> str:
    normal = canonicalize_name(name)
    return normal if NAME.fullmatch(normal) else ""


def read_pypi_names(channels: Sequence[str], settings: Settings, cancel: Cancel) -> Names:
    """The list for conda-forge, asked for once a day; empty where it is not to be had.

    Args:
        channels: URLs of those that packages came from; nothing is asked unless conda-forge is one.
        settings: `conda_names` and `cache_dir` count here.
        cancel: Ends it.

    Raises:
        RealisationCancelledError: The user stopped it.
    """
    if not settings.conda_names or not any(map(is_conda_forge, channels)):
        return {}
    path = settings.cache_dir / "conda-names.json"
    kept = _read(path)
    if kept is not None and kept[0] == settings.conda_names and _is_fresh(path):
        return kept[1]
    stale = kept[1] if kept is not None and kept[0] == settings.conda_names else {}
    outages = Outages(settings.cache_dir / "outages.json")
    if outages.is_down(settings.conda_names):
        return stale
    cancel.check()
    body = _ask(settings.conda_names, min(settings.timeout, _PATIENCE), cancel)
    cancel.check()
    if body is None:
        outages.note(settings.conda_names)
        return stale
    names = _parsed(body)
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        # In one step: another process may read it now.
        partial = path.with_suffix(f".{time.monotonic_ns()}")
        partial.write_text(json.dumps([settings.conda_names, names]), encoding="utf-8")
        partial.replace(path)
    return names


def _is_fresh(path: Path) -> bool:
    with suppress(OSError):
        return 0 <= time.time() - path.stat().st_mtime <= _FRESH_SECONDS
    return False


def _read(path: Path) -> tuple[str, Names] | None:
    try:
        url, names = json.loads(path.read_bytes())
    except (OSError, ValueError, TypeError):
        return None
    return (str(url), names) if isinstance(names, dict) else None


def _ask(url: str, timeout: float, cancel: Cancel) -> bytes | None:
    """What is at `url`; None where it is not to be had."""
    body = bytearray()
    try:
        client = HttpClient(timeout=timeout)
        with client, ended_by(cancel, client), client.get(url) as response:
            if response.status != HTTPStatus.OK:
                return None
            for chunk in response.chunks():
                body += chunk
                if len(body) > _LARGEST:
                    return None
    except (OSError, HTTPException, NetworkError):
        return None
    return bytes(body)


def _parsed(body: bytes) -> Names:
    """The list's names that can be such; conda's may stand for none."""
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    items = found.items() if isinstance(found, dict) else ()
    return {str(name): other for name, other in items if other is None or isinstance(other, str)}
