"""Replacing one value inside a JSON document, every other byte kept (pure).

A notebook that is parsed and dumped again changes wherever its writer had other habits: key order,
escapes, floats, the last newline. So the text is never dumped: the value's span is found with the
scanner that `json` itself uses, and only that span is written anew, in the document's own manner.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from json.decoder import scanstring
from typing import Any

_SPACE = re.compile(r"[ \t\n\r]*")
_DECODER = json.JSONDecoder()


@dataclass(frozen=True, slots=True)
class Member:
    """One member of a JSON object: `text[key_start:end]`, its value at `text[start:end]`."""

    key: str
    key_start: int
    start: int
    end: int
    value: Any


def members(text: str, start: int = 0) -> tuple[Member, ...]:
    """The members of the object that begins at `text[start]` (white space before it is skipped).

    Raises:
        ValueError: There is no JSON object (`json.JSONDecodeError` where the text is no JSON).
    """
    position = _skip(text, start)
    if text[position : position + 1] != "{":
        msg = "not an object"
        raise ValueError(msg)
    found: list[Member] = []
    position = _skip(text, position + 1)
    if text[position : position + 1] == "}":
        return ()
    while True:
        member = _member(text, position)
        found.append(member)
        position = _skip(text, member.end)
        if text[position : position + 1] == "}":
            return tuple(found)
        _expect(text, position, ",")
        position = _skip(text, position + 1)


def _member(text: str, position: int) -> Member:
    _expect(text, position, '"')
    key, after = scanstring(text, position + 1)
    colon = _skip(text, after)
    _expect(text, colon, ":")
    start = _skip(text, colon + 1)
    value, end = _DECODER.raw_decode(text, start)
    return Member(key, position, start, end, value)


def _skip(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position


def _expect(text: str, position: int, character: str) -> None:
    if text[position : position + 1] != character:
        raise json.JSONDecodeError(f"expected `{character}`", text, position)


def with_member(text: str, path: tuple[str, ...], value: Any) -> str:
    """`text` with the member at `path` set to `value`, or removed when that is None.

    Objects on the way that are missing are made. A new member goes where sorting puts it if its object
    is sorted, else to the end. Of a repeated key the last one counts, as for every JSON reader.

    Raises:
        ValueError: `text` is not a JSON object, or something on the way is not one.
    """
    return _set(text, _skip(text, 0), path, value, depth=0, style=_style(text))


@dataclass(frozen=True, slots=True)
class _Style:
    indent: str | None
    newline: str
    ascii: bool
    separators: tuple[str, str]


def _style(text: str) -> _Style:
    inside = re.match(r'\s*\{(\r?\n)?([ \t]*)"', text)
    newline = inside.group(1) if inside and inside.group(1) else "\n"
    indent = inside.group(2) if inside and inside.group(1) else None
    escapes = text.isascii() and re.search(r"\\u[0-9a-fA-F]{4}", text) is not None
    tight = indent is None and re.search(r'":[^\s]', text[:4096]) is not None
    return _Style(indent, newline, escapes, (",", ":") if tight else (", ", ": "))


def _set(text: str, start: int, path: tuple[str, ...], value: Any, *, depth: int, style: _Style) -> str:
    found = members(text, start)
    present = [member for member in found if member.key == path[0]]
    if not present:
        if value is None:
            return text
        for key in reversed(path[1:]):
            value = {key: value}
        return _insert(text, start, found, path[0], value, depth=depth, style=style)
    member = present[-1]
    if len(path) > 1:
        return _set(text, member.start, path[1:], value, depth=depth + 1, style=style)
    if value is None:
        return _remove(text, found, member)
    return text[: member.start] + _dump(value, depth + 1, style) + text[member.end :]


def _insert(
    text: str,
    start: int,
    found: tuple[Member, ...],
    key: str,
    value: Any,
    *,
    depth: int,
    style: _Style,
) -> str:
    member = f"{json.dumps(key, ensure_ascii=style.ascii)}{style.separators[1]}{_dump(value, depth + 1, style)}"
    line = "" if style.indent is None else style.newline + style.indent * (depth + 1)
    gap = line or style.separators[0][1:]
    if not found:
        close = "" if style.indent is None else style.newline + style.indent * depth
        end = text.index("}", start)
        return f"{text[:start]}{{{line}{member}{close}}}{text[end + 1 :]}"
    keys = [one.key for one in found]
    later = [one for one in found if one.key > key] if keys == sorted(keys) else []
    if later:
        at = later[0].key_start
        return f"{text[:at]}{member},{gap}{text[at:]}"
    at = found[-1].end
    return f"{text[:at]},{gap}{member}{text[at:]}"


def _remove(text: str, found: tuple[Member, ...], member: Member) -> str:
    number = found.index(member)
    if number + 1 < len(found):
        return text[: member.key_start] + text[found[number + 1].key_start :]
    if number:
        return text[: found[number - 1].end] + text[member.end :]
    opened = text.rindex("{", 0, member.key_start)
    return text[: opened + 1] + text[text.index("}", member.end) :]


def _dump(value: Any, depth: int, style: _Style) -> str:
    """`value` as it stands at `depth`: nested lines indented to match, keys sorted as nbformat does."""
    text = json.dumps(
        value,
        indent=style.indent,
        sort_keys=True,
        ensure_ascii=style.ascii,
        separators=style.separators if style.indent is None else (",", ": "),
    )
    return text if style.indent is None else text.replace("\n", style.newline + style.indent * depth)
