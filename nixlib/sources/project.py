"""What a project says of how it is built: `pyproject.toml`, and `PKG-INFO` of an sdist (pure).

PEP 517 and 518, with the fallback that both name for a project that says nothing: setuptools, in the way
in which it builds old projects. PEP 725's `[external]` is read where it is present. Nothing here is trusted:
what leaves has the form that its specification gives it.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from typing import Any

from nixlib.errors import SourceError
from nixlib.wheels.distinfo import is_name, is_version, normalised, parse_headers

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["FALLBACK_BACKEND", "FALLBACK_REQUIRES", "Project", "read_project"]

FALLBACK_BACKEND = "setuptools.build_meta:__legacy__"
FALLBACK_REQUIRES = ("setuptools>=40.8.0", "wheel")
"""What PEP 517 tells frontends to use where a project does not say: the first one with `build_meta`.

`wheel` is setuptools' own requirement before 70.1, which did not always tell.
"""

_MODULE = r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*"
_BACKEND = re.compile(rf"{_MODULE}(?::{_MODULE})?", re.ASCII)
_LINE = re.compile(r"[^\x00-\x1f\x7f]{1,500}")
_FOLDER = re.compile(r"(?!/)(?!.*(?:^|/)\.\.(?:/|$))[^\x00-\x1f\x7f\\]{1,500}")
_EXTERNAL = re.compile(r"(?:dep|virtual):[A-Za-z0-9][!-~]{0,200}")
_EXTERNAL_TABLES = ("build-requires", "host-requires")
_MOST = 200  # entries of a list; the longest seen has 15


@dataclass(frozen=True)
class Project:
    """How a project is built, and what it calls itself.

    Attributes:
        requires: Its build requirements (PEP 508).
        backend: The object with PEP 517's hooks.
        backend_path: Folders where that is looked for first, relative to the project.
        name: Normalised, where it is stated without running anything.
        version: Likewise.
        external: What it needs of the system (PEP 725), as `dep:` URLs.
    """

    requires: tuple[str, ...] = FALLBACK_REQUIRES
    backend: str = FALLBACK_BACKEND
    backend_path: tuple[str, ...] = ()
    name: str = ""
    version: str = ""
    external: tuple[str, ...] = ()


def read_project(pyproject: bytes | None, pkg_info: bytes | None, where: str) -> Project:
    """What the two files of a project say; either may be missing.

    Args:
        pyproject: The bytes of `pyproject.toml`.
        pkg_info: The bytes of `PKG-INFO`, which sdists have.
        where: What the source is called in messages.

    Raises:
        SourceError: `pyproject.toml` does not follow its specification.
    """
    data = _parse(pyproject, where) if pyproject is not None else {}
    stated = _table(data, "project", where)
    system = _table(data, "build-system", where)
    headers = parse_headers(pkg_info) if pkg_info is not None else {}
    name = headers.get("name") or stated.get("name") or ""
    version = headers.get("version") or stated.get("version") or ""
    return Project(
        **_build_system(system, where),
        name=normalised(name) if isinstance(name, str) and is_name(name) else "",
        version=version if isinstance(version, str) and is_version(version) else "",
        external=_external(data),
    )


def _build_system(system: dict[str, Any], where: str) -> dict[str, Any]:
    if not system:
        return {}
    requires = _texts(system, "requires", _LINE, where)
    backend = system.get("build-backend")
    if backend is None:
        # PEP 517: requirements alone mean setuptools, with those and no others.
        return {"requires": requires or FALLBACK_REQUIRES}
    if not isinstance(backend, str) or not _BACKEND.fullmatch(backend):
        raise _bad(where, "build-system.build-backend", backend)
    folders = _texts(system, "backend-path", _FOLDER, where)
    return {"requires": requires, "backend": backend, "backend_path": folders}


def _external(data: dict[str, Any]) -> tuple[str, ...]:
    table = data.get("external")
    if not isinstance(table, dict):  # a draft: a project may mean something else by it
        return ()
    listed = [table.get(key) for key in _EXTERNAL_TABLES]
    lines = [line for lines in listed if isinstance(lines, list) for line in lines[:_MOST]]
    return tuple(line for line in lines if isinstance(line, str) and _EXTERNAL.fullmatch(line))


def _parse(pyproject: bytes, where: str) -> dict[str, Any]:
    try:
        return tomllib.loads(pyproject.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise SourceError(
            f"cannot read the `pyproject.toml` of `{where}`",
            details=(str(error).splitlines()[0],),
            source=where,
            member="pyproject.toml",
        ) from error


def _table(data: dict[str, Any], key: str, where: str) -> dict[str, Any]:
    table = data.get(key, {})
    if not isinstance(table, dict):
        raise _bad(where, key, table)
    return table


def _texts(
    table: dict[str, Any], key: str, pattern: re.Pattern[str], where: str
) -> tuple[str, ...]:
    texts = table.get(key, [])
    if not isinstance(texts, list) or len(texts) > _MOST:
        raise _bad(where, f"build-system.{key}", texts)
    for text in texts:
        if not isinstance(text, str) or not pattern.fullmatch(text.strip()):
            raise _bad(where, f"build-system.{key}", text)
    return tuple(text.strip() for text in texts)


def _bad(where: str, key: str, found: object) -> SourceError:
    return SourceError(
        f"the `pyproject.toml` of `{where}` does not say how it is built: `{key}` is not what PEP 517 asks for",
        details=(f"found {repr(found)[:100]}",),
        source=where,
        member="pyproject.toml",
    )
