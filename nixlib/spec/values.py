"""One JSON value of a spec, read with the check that it needs (pure)."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection

from nixlib.errors import SpecError

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# Half of a character, as JSON can say it and no file can hold it.
_HALF = re.compile(r"[\ud800-\udfff]")
_PYTHON = re.compile(
    r"3(\.\d{1,3}){1,2}|((===?|~=|!=|<=?|>=?)\s*3(\.\d{1,3}){0,2}(\.\*)?\s*(,\s*|$))+"
)


def kind(value: object) -> str:
    """What a JSON value is, for messages."""
    names: dict[type, str] = {dict: "an object", list: "a list", str: "a text", bool: "a boolean"}
    return "nothing" if value is None else names.get(type(value), f"the number {value!r}")


def wrong(key: str, wanted: str, value: object) -> SpecError:
    """Why `value` at `key` is refused: it must be `wanted`."""
    is_shown = isinstance(value, str) and len(value) < 80 and not _HALF.search(value)  # noqa: PLR2004
    shown = f"`{value}`" if is_shown else kind(value)
    return SpecError(
        f"`nixenv.{key}` must be {wanted}, not {shown}", key=f"nixenv.{key}", found=value
    )


def text(key: str, value: object) -> str:
    """A text on one line.

    Raises:
        SpecError: It is none.
    """
    if not isinstance(value, str) or not value or _CONTROL.search(value) or _HALF.search(value):
        raise wrong(key, "a text on one line", value)
    return value


def texts(key: str, value: object) -> tuple[str, ...]:
    """A list of texts, each on one line.

    Raises:
        SpecError: It is none.
    """
    if not isinstance(value, list):
        raise wrong(key, "a list of texts", value)
    return tuple(text(f"{key}[{number}]", item) for number, item in enumerate(value))


def boolean(key: str, value: object) -> bool:
    """True or false.

    Raises:
        SpecError: It is none.
    """
    if not isinstance(value, bool):
        raise wrong(key, "true or false", value)
    return value


def python(key: str, value: object) -> str:
    """A Python version, or a specifier.

    Raises:
        SpecError: It is none.
    """
    said = text(key, value)
    if not _PYTHON.fullmatch(said):
        raise wrong(key, "a Python version such as `3.11`, `3.11.7` or `>=3.10,<3.13`", value)
    return said


def unknown_key(key: str, known: Collection[str], *, within: str = "nixenv") -> SpecError:
    """Why `key` of the object `within` is refused, and the known one that was meant."""
    near = difflib.get_close_matches(key, known, n=1)
    guess = f"did you mean `{near[0]}`? " if near else ""
    return SpecError(
        f"`{within}.{key}` is not a key that this nixenv knows",
        details=(f"known keys: {', '.join(sorted(known))}",),
        hint=f"{guess}keys of your own begin with `x-`",
        key=f"{within}.{key}",
        found=key,
    )
