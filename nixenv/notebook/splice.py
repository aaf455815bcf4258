"""Replacing one value inside a JSON document, every other byte kept (pure).

A notebook that is parsed and dumped again changes wherever its writer had other habits: key order,
escapes, floats, the last newline. So the text is never dumped: the value's span is found with the
scanner that `json` itself uses, and only that span is written anew, in the document's own manner.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
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
    key, after = _DECODER.raw_decode(text, position)
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
    return _set(text, _skip(text, 0), path, value, _manner(text))


@dataclass(frozen=True, slots=True)
class _Manner:
    """How the document is written, and how deep in it we are."""

    indent: str | None
    newline: str
    ascii: bool
    separators: tuple[str, str]
    depth: int = 0

    @property
    def deeper(self) -> _Manner:
        return replace(self, depth=self.depth + 1)

    @property
    def line(self) -> str:
        """What separates this depth's lines; nothing in a document of one line."""
        return "" if self.indent is None else self.newline + self.indent * self.depth


def _manner(text: str) -> _Manner:
    opening = re.match(r'\s*\{(\r?\n)?([ \t]*)"', text)
    newline = opening.group(1) if opening and opening.group(1) else "\n"
    indent = opening.group(2) if opening and opening.group(1) else None
    escapes = text.isascii() and re.search(r"\\u[0-9a-fA-F]{4}", text) is not None
    tight = indent is None and re.search(r'":[^\s]', text[:4096]) is not None
    return _Manner(indent, newline, escapes, (",", ":") if tight else (", ", ": "))


def _set(text: str, start: int, path: tuple[str, ...], value: Any, manner: _Manner) -> str:
    found = members(text, start)
    present = [member for member in found if member.key == path[0]]
    if not present:
        if value is None:
            return text
        for key in reversed(path[1:]):
            value = {key: value}
        return _insert(text, start, found, (path[0], value), manner)
    member = present[-1]
    if len(path) > 1:
        return _set(text, member.start, path[1:], value, manner.deeper)
    if value is None:
        return _remove(text, found, member)
    return text[: member.start] + _dump(value, manner.deeper) + text[member.end :]


def _insert(
    text: str, start: int, found: tuple[Member, ...], item: tuple[str, Any], manner: _Manner
) -> str:
    key = json.dumps(item[0], ensure_ascii=manner.ascii)
    member = f"{key}{manner.separators[1]}{_dump(item[1], manner.deeper)}"
    if not found:
        end = text.index("}", start)
        return f"{text[:start]}{{{manner.deeper.line}{member}{manner.line}}}{text[end + 1 :]}"
    gap = manner.deeper.line or manner.separators[0][1:]
    keys = [one.key for one in found]
    later = [one for one in found if one.key > item[0]] if keys == sorted(keys) else []
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


def _dump(value: Any, manner: _Manner) -> str:
    """`value` as it stands at this depth: its lines indented to match, keys sorted as nbformat does."""
    text = json.dumps(
        value,
        indent=manner.indent,
        sort_keys=True,
        ensure_ascii=manner.ascii,
        separators=manner.separators if manner.indent is None else (",", ": "),
    )
    return text.replace("\n", manner.line) if manner.indent is not None else text
