"""What pages may say to the server: the bodies and paths of requests as values, or a refusal (pure).

A page runs in a browser that other sites run in too, so nothing of a request is believed before it has
the one form that it may have. What is refused is refused with one sentence.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, NoReturn

from nixenv.errors import RequestError
from nixenv.notebook.formatting import format_bytes, printable

BODY_LIMIT = 1 << 20
"""Bytes of a request's body. A lock has half a kilobyte a package, so this is a lock of 2,000; parsing it
takes the event loop 10 ms."""

PATH_LIMIT = 4096
"""Bytes of a path, as of Linux."""

DEPTH_LIMIT = 32
"""Objects and lists inside each other; a lock has six."""

_SHOWN = 200
"""Characters of somebody's text that a sentence quotes."""

_KINDS = {dict: "an object", list: "a list", str: "a text", bool: "a boolean", type(None): "null"}


@dataclass(frozen=True, slots=True)
class Word:
    """What a page says about a notebook that it has open.

    Attributes:
        nixenv: The value of `metadata.nixenv` as the page has it, of whatever type, or None. That it is
            a spec is not checked here: the kernel that starts from it says what is wrong with it.
        is_dirty: The page holds something that is not saved.
        size: Bytes that it took to say so.
    """

    nixenv: Any
    is_dirty: bool
    size: int = 0


def parse_path(text: object) -> str:
    """A contents path, without slashes at its ends; a drive's prefix (`RTC:`) stays.

    Raises:
        RequestError: It names nothing, or could lead out of where notebooks are.
    """
    if not isinstance(text, str):
        _refuse(f"`path` must be a text, not {_kind(text)}")
    try:
        length = len(text.encode())
    except UnicodeEncodeError:
        _refuse("a path cannot be written as UTF-8")
    if length > PATH_LIMIT:
        _refuse(f"a path has {length:,} bytes, and {PATH_LIMIT:,} is the limit")
    parts = [part for part in text.split("/") if part]
    if not parts:
        _refuse("a path is empty")
    if "\0" in text or not {".", ".."}.isdisjoint(parts):
        _refuse(f"{_quoted(text)} is not the path of a notebook")
    return "/".join(parts)


def parse_word(body: bytes) -> Word:
    """The body of `PUT documents/<path>`.

    Raises:
        RequestError: It is not `{"nixenv": value, "dirty": boolean}`.
    """
    said = _object(body, ("nixenv", "dirty"))
    if not isinstance(said["dirty"], bool):
        _refuse(f"`dirty` must be true or false, not {_kind(said['dirty'])}")
    return Word(said["nixenv"], said["dirty"], len(body))


def parse_order(body: bytes) -> str:
    """The contents path in the body of `POST tasks`.

    Raises:
        RequestError: It is not `{"path": contents path}`.
    """
    return parse_path(_object(body, ("path",))["path"])


def _object(body: bytes, fields: tuple[str, ...]) -> dict[str, Any]:
    if len(body) > BODY_LIMIT:
        found, limit = format_bytes(len(body)), format_bytes(BODY_LIMIT)
        _refuse(f"the request's body has {found}, and {limit} is the limit", 413)
    try:
        value = json.loads(body, parse_constant=_not_json)
    except RecursionError:
        _refuse_depth()
    except ValueError:
        _refuse("the request's body is not JSON")
    if not isinstance(value, dict):
        _refuse(f"the request's body must be an object, not {_kind(value)}")
    if unknown := [name for name in value if name not in fields]:
        _refuse(f"{_quoted(unknown[0])} is not a field here; there are {_list(fields)}")
    if missing := [name for name in fields if name not in value]:
        _refuse(f"the request's body has no {_list(missing)}")
    if _is_deep(value):
        _refuse_depth()
    return value


def _not_json(constant: str) -> NoReturn:
    raise ValueError(constant)


def _is_deep(value: object) -> bool:
    level = [value]
    for _ in range(DEPTH_LIMIT):
        level = [
            inner
            for outer in level
            if isinstance(outer, (dict, list))
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
    return any(isinstance(inner, (dict, list)) for inner in level)


def _quoted(text: str) -> str:
    shown = printable(text[:_SHOWN])
    return f"`{shown}…`" if len(text) > _SHOWN else f"`{shown}`"


def _list(names: tuple[str, ...] | list[str]) -> str:
    return " and ".join(f"`{name}`" for name in names)


def _kind(value: object) -> str:
    return _KINDS.get(type(value), "a number")


def _refuse_depth() -> NoReturn:
    _refuse(f"the request's body is nested more than {DEPTH_LIMIT} deep")


def _refuse(sentence: str, status: int = 400) -> NoReturn:
    raise RequestError(sentence, status=status)
