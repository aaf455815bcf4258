"""The small texts of a `*.dist-info` directory: WHEEL, METADATA, entry_points.txt (pure)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

# Core metadata, `Name`; also what a store path's name and a file name can hold.
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,198}[A-Za-z0-9])?")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.!+_-]{0,198}")
# Entry points specification; narrower than "any text", because this becomes a file name and a program.
_SCRIPT = re.compile(r"(?!\.\.?$)[A-Za-z0-9_.+-][A-Za-z0-9_.+ -]{0,198}")
_OBJECT = re.compile(
    r"([^\W\d]\w*(?:\.[^\W\d]\w*)*)\s*:\s*([^\W\d]\w*(?:\.[^\W\d]\w*)*)\s*(?:\[.*\])?"
)


@dataclass(frozen=True)
class Scripts:
    """Commands that entry points define, and the lines that define none for a reason.

    Attributes:
        console: `{"f2py": "numpy.f2py.f2py2e:main"}`, extras dropped.
        gui: The same, for programs with a window.
        refused: What is wrong with each line that was left out.
    """

    console: Mapping[str, str] = field(default_factory=dict)
    gui: Mapping[str, str] = field(default_factory=dict)
    refused: tuple[str, ...] = ()


def parse_headers(data: bytes) -> Mapping[str, str]:
    """The first value of each header of an e-mail like text, names in lower case, body ignored."""
    found: dict[str, str] = {}
    for line in data.decode("utf-8", "replace").lstrip("\ufeff").splitlines():
        if not line:
            break
        name, colon, value = line.partition(":")
        if colon and not line[0].isspace():
            found.setdefault(name.strip().lower(), value.strip())
    return found


def normalised(name: str) -> str:
    """A project's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def is_name(text: str) -> bool:
    """Whether `text` may be the name of a project (core metadata specification)."""
    return _NAME.fullmatch(text) is not None


def is_version(text: str) -> bool:
    """Whether `text` has only characters that a version has (PEP 440, legacy ones included)."""
    return _VERSION.fullmatch(text) is not None


def same_version(one: str, other: str) -> bool:
    """Whether two spellings are one version (PEP 440: `1.0` and `1.0.0`, `1.0_1` and `1.0-1`)."""
    if one.replace("_", "-") == other.replace("_", "-"):
        return True
    from packaging.version import InvalidVersion, Version  # noqa: PLC0415 - rarely needed, 10 ms

    try:
        return Version(one.replace("_", "-")) == Version(other.replace("_", "-"))
    except InvalidVersion:
        return False


def parse_scripts(data: bytes) -> Scripts:
    """The commands of an entry_points.txt; nothing in it can stop a package from being installed."""
    import configparser  # noqa: PLC0415 - two wheels in three have no entry points

    parser = configparser.RawConfigParser(delimiters=("=",), strict=False)
    parser.optionxform = str  # type: ignore[assignment, method-assign] # entry points mind the case
    try:
        parser.read_string(data.decode("utf-8-sig"))
    except (configparser.Error, UnicodeDecodeError) as error:
        return Scripts(refused=(f"it cannot be read: {str(error).splitlines()[0]}",))
    refused: list[str] = []

    def section(title: str) -> Mapping[str, str]:
        kept: dict[str, str] = {}
        for name, value in parser.items(title) if parser.has_section(title) else ():
            found = _OBJECT.fullmatch(value.strip())
            if found and _SCRIPT.fullmatch(name):
                kept[name] = f"{found[1]}:{found[2]}"
            else:
                refused.append(f"`{name} = {value}` is not a command".replace("\n", " "))
        return kept

    return Scripts(section("console_scripts"), section("gui_scripts"), tuple(refused))
