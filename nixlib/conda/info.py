"""What a conda archive says of itself in `info/`: which package it is, which files it has (pure).

Sources: conda's package specification, conda-build's `info/` (CEP 34), and rattler for packages of before
`paths.json` (2016), which some channels still serve. Nothing in it is believed that can be compared.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from nixlib.conda.facts import INSIDE, EntryPoint, Placeholder
from nixlib.lock.conda import CONDA_NAME

__all__ = [
    "Claim",
    "Identity",
    "InfoError",
    "path_fault",
    "read_claims",
    "read_entry_points",
    "read_identity",
    "target_fault",
]

Kind = Literal["hardlink", "softlink", "directory"]

_KINDS = ("hardlink", "softlink", "directory")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]{0,99}")
_BUILD = re.compile(r"[A-Za-z0-9_.+]{1,128}")
_SUBDIR = re.compile(r"noarch|[a-z0-9]+-[a-z0-9_]{1,20}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_COMMAND = re.compile(r"[^./\\\x00-\x20\x7f\ud800-\udfff][^/\\\x00-\x1f\x7f\ud800-\udfff]{0,199}")
_DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)
# Half a surrogate pair is what JSON can say and no file system can.
_BAD_TEXT = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_BAD_PATH = re.compile(rf"(?:^|/)\.{{0,2}}(?:/|$)|\\|{_BAD_TEXT.pattern}")
_MAX_NAME, _MAX_DEPTH = 255, 100
# Where a file of before 2016 names no placeholder, this is it; conda-build writes it in three parts too,
# so that it is not replaced in its own source.
_OLD_PLACEHOLDER = "/opt/anaconda1" + "anaconda2" + "anaconda3"
_OURS = (*INSIDE, "__clobbers__")


class InfoError(ValueError):
    """`info/` is not what the format says: the member of the archive, and why."""

    def __init__(self, member: str, why: str) -> None:
        super().__init__(member, why)
        self.member = member
        self.why = why


@dataclass(frozen=True, slots=True)
class Identity:
    """`index.json`: which package it is, and what it needs. See `CondaFacts`."""

    name: str
    version: str
    build: str
    build_number: int
    subdir: str
    noarch: str
    depends: tuple[str, ...]
    constrains: tuple[str, ...]

    @property
    def stem(self) -> str:
        """How its archive must be called."""
        return f"{self.name}-{self.version}-{self.build}"


@dataclass(frozen=True, slots=True)
class Claim:
    """What `info/` says of one file.

    Attributes:
        path: In the archive.
        kind: A file, a symbolic link or an empty folder; None where it does not say.
        sha256: Of a file; empty where it does not say.
        size: Of a file; -1 where it does not say.
        placeholder: For a file in which the prefix is replaced.
    """

    path: str
    kind: Kind | None
    sha256: str = ""
    size: int = -1
    placeholder: Placeholder | None = None


def target_fault(target: str) -> str:
    """Why no link can lead to `target`, wherever it is; empty if one can."""
    return (
        "it is empty or has characters that no path has"
        if not target or _BAD_TEXT.search(target)
        else ""
    )


def path_fault(path: str) -> str:
    """Why `path` cannot be that of a file in a prefix; empty if it can."""
    if _BAD_PATH.search(path):
        return "it is not a path inside of the prefix"
    parts = path.split("/")
    if len(parts) > _MAX_DEPTH or any(len(part.encode()) > _MAX_NAME for part in parts):
        return "it is too long"
    return "it is a name that the installer uses itself" if parts[0] in _OURS else ""


def read_identity(data: bytes) -> Identity:
    """The package that an `index.json` describes.

    Raises:
        InfoError: It is malformed.
    """
    member = "info/index.json"
    value = _object(member, data)
    name = str(value.get("name", "")).lower()
    fields = {
        "name": (name, CONDA_NAME),
        "version": (value.get("version"), _VERSION),
        "build": (value.get("build"), _BUILD),
        "subdir": (value.get("subdir", _subdir(value)), _SUBDIR),
    }
    for key, (found, pattern) in fields.items():
        if not isinstance(found, str) or not pattern.fullmatch(found):
            raise InfoError(member, f"`{key}` is {str(found)[:100]!r}")
    number = value.get("build_number", 0)
    if type(number) is not int:
        raise InfoError(member, f"`build_number` is {str(number)[:100]!r}")
    noarch = value.get("noarch")
    return Identity(
        **{key: str(found) for key, (found, _) in fields.items()},
        build_number=number,
        noarch="python" if noarch == "python" else "generic" if noarch else "",
        depends=_texts(member, value, "depends"),
        constrains=_texts(member, value, "constrains"),
    )


def _subdir(value: Mapping[str, Any]) -> str:
    """What packages of before `subdir` say with two fields."""
    bits = {"x86_64": "64", "x86": "32"}.get(str(value.get("arch")), str(value.get("arch")))
    return f"{value['platform']}-{bits}" if value.get("platform") else "noarch"


def _texts(member: str, value: Mapping[str, Any], key: str) -> tuple[str, ...]:
    found = value.get(key) or []
    if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
        raise InfoError(member, f"`{key}` is no list of texts")
    return tuple(found)


def _object(member: str, data: bytes) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InfoError(member, f"it is no JSON: {error}") from error
    if not isinstance(value, dict):
        raise InfoError(member, "it is no JSON object")
    return value


def read_claims(info: Mapping[str, bytes]) -> dict[str, Claim]:
    """What `info/` says of each file, by its path.

    Args:
        info: The files that say it, by their path in the archive, as far as they are there.

    Raises:
        InfoError: It is malformed, names a file twice or one outside of the prefix.
    """
    claims: dict[str, Claim] = {}
    new = "info/paths.json" in info
    member = "info/paths.json" if new else "info/files"
    for claim in _claims(info["info/paths.json"]) if new else _old_claims(info):
        fault = path_fault(claim.path)
        if fault:
            raise InfoError(member, f"{claim.path[:200]!r}: {fault}")
        if claim.path in claims:
            raise InfoError(member, f"it names `{claim.path}` twice")
        claims[claim.path] = claim
    return claims


def _claims(data: bytes) -> Iterator[Claim]:
    member = "info/paths.json"
    paths = _object(member, data).get("paths")
    if not isinstance(paths, list):
        raise InfoError(member, "it has no list of `paths`")
    for entry in paths:
        if not isinstance(entry, dict) or not isinstance(entry.get("_path"), str):
            raise InfoError(member, f"{str(entry)[:100]!r} is no entry of it")
        yield _claim(member, entry)


def _claim(member: str, entry: Mapping[str, Any]) -> Claim:
    path, kind = entry["_path"], entry.get("path_type", "hardlink")
    sha256, size = entry.get("sha256") or "", entry.get("size_in_bytes", -1)
    mode, text = entry.get("file_mode"), entry.get("prefix_placeholder")
    is_sound = (
        kind in _KINDS
        and isinstance(sha256, str)
        and (not sha256 or _SHA256.fullmatch(sha256))
        and type(size) is int
    )
    if not is_sound:
        raise InfoError(member, f"the entry of {path[:200]!r} is malformed")
    placeholder = None
    if mode is not None and text is not None and kind == "hardlink":
        placeholder = _placeholder(member, path, mode, text)
    return Claim(path, kind, sha256, size, placeholder)


def _placeholder(member: str, path: str, mode: object, text: object) -> Placeholder:
    if not isinstance(text, str) or len(text) < 2 or _BAD_TEXT.search(text):  # noqa: PLR2004
        raise InfoError(member, f"the placeholder of {path[:200]!r} is none")
    if mode == "text":
        return Placeholder("text", text)
    if mode == "binary":
        return Placeholder("binary", text)
    raise InfoError(member, f"the file mode of {path[:200]!r} is {str(mode)[:50]!r}")


def _old_claims(info: Mapping[str, bytes]) -> Iterator[Claim]:
    """Of a package of before `paths.json`: a list of files, and one of those with a placeholder."""
    if "info/files" not in info:
        raise InfoError("info/paths.json", "it is missing")
    placeholders = dict(_old_placeholders(_lines(info, "info/has_prefix")))
    for path in _lines(info, "info/files"):
        yield Claim(path, None, placeholder=placeholders.get(path))


def _lines(info: Mapping[str, bytes], member: str) -> list[str]:
    try:
        return [line for line in info.get(member, b"").decode().splitlines() if line]
    except UnicodeDecodeError as error:
        raise InfoError(member, f"it is not UTF-8: {error}") from error


def _old_placeholders(lines: list[str]) -> Iterator[tuple[str, Placeholder]]:
    member = "info/has_prefix"
    for line in lines:
        try:
            words = shlex.split(line)
        except ValueError as error:
            raise InfoError(member, f"{line[:200]!r}: {error}") from error
        if len(words) == 1:
            yield words[0], Placeholder("text", _OLD_PLACEHOLDER)
        elif len(words) == 3:  # noqa: PLR2004 - placeholder, mode, path
            yield words[2], _placeholder(member, words[2], words[1].lower(), words[0])
        else:
            raise InfoError(member, f"{line[:200]!r} is no entry of it")


def read_entry_points(data: bytes) -> tuple[EntryPoint, ...]:
    """The commands that a `link.json` declares.

    Raises:
        InfoError: It is malformed.
    """
    member = "info/link.json"
    noarch = _object(member, data).get("noarch")
    if not isinstance(noarch, dict) or noarch.get("type") != "python":
        return ()
    return tuple(_entry_point(member, line) for line in _texts(member, noarch, "entry_points"))


def _entry_point(member: str, line: str) -> EntryPoint:
    command, equals, goal = (part.strip() for part in line.partition("="))
    module, colon, function = (part.strip() for part in goal.partition(":"))
    is_sound = _COMMAND.fullmatch(command) and _DOTTED.fullmatch(module)
    if not (equals and colon and is_sound and _DOTTED.fullmatch(function)):
        raise InfoError(member, f"{line[:200]!r} is no entry point")
    return EntryPoint(command, module, function)
