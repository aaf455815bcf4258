"""The fields of a lock's JSON objects, each taken with the check that it needs (pure)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from nixlib.errors import LockError
from nixlib.lock.artifact import Artifact

SHA256 = re.compile(r"[0-9a-f]{64}")
NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.!+_-]{0,99}")
_SRI = re.compile(r"sha256-[A-Za-z0-9+/]{43}=")


def stated(**fields: Any) -> dict[str, Any]:
    """`fields` without those that say nothing."""
    return {key: value for key, value in fields.items() if value not in ("", [], {}, (), None)}


def damaged(key: str, found: object) -> LockError:
    """The error for a value that is not what stands at `key` in any lock."""
    shown = repr(found) if len(repr(found)) < 100 else f"{repr(found)[:100]}…"  # noqa: PLR2004
    return LockError(
        f"the lock is damaged at `{key}`",
        details=(f"found {shown}",),
        hint="`%nixenv lock` makes a new one",
        key=key,
        found=found,
    )


def sri(key: str, value: object) -> str:
    """An SRI hash, `sha256-…`."""
    if not isinstance(value, str) or not _SRI.fullmatch(value):
        raise damaged(key, value)
    return value


_ARTIFACT = re.compile(
    r"(?P<sha256>[0-9a-f]{64}) (?P<size>\d{1,13}) (?P<url>(https?|file)://[!-~\u00a1-\U0010ffff]+)"
)


def artifact(key: str, value: object) -> Artifact:
    """`SHA256 SIZE URL`."""
    match = _ARTIFACT.fullmatch(value) if isinstance(value, str) else None
    if not match:
        raise damaged(key, value)
    found = Artifact(url=match["url"], sha256=match["sha256"], size=int(match["size"]))
    try:
        name = found.filename
    except ValueError:  # a host that is none
        raise damaged(key, value) from None
    # Names stand in messages, and some become part of another.
    if "/" in name or not name.isprintable():
        raise damaged(key, value)
    return found


_MISSING = object()


class Fields:
    """The fields of one JSON object of a lock, each taken with the check that it needs."""

    def __init__(self, key: str, value: object, known: tuple[str, ...]) -> None:
        if not isinstance(value, dict):
            raise damaged(key, value)
        for name in value:
            if name not in known:
                raise damaged(f"{key}.{name}", name)
        self.key = key
        self.value = value

    def take(self, name: str, kind: type, default: Any = _MISSING) -> Any:
        """The value at `name`, of exactly `kind`."""
        value = self.value.get(name, default)
        if type(value) is not kind:
            raise damaged(f"{self.key}.{name}", "nothing" if value is _MISSING else value)
        return value

    def matching(self, name: str, pattern: re.Pattern[str]) -> str:
        """The text at `name`, which all of `pattern` matches."""
        value: str = self.take(name, str)
        if not pattern.fullmatch(value):
            raise damaged(f"{self.key}.{name}", value)
        return value

    def optional(self, name: str, pattern: re.Pattern[str]) -> str:
        """The text at `name`, which all of `pattern` matches; empty where there is none."""
        return self.matching(name, pattern) if name in self.value else ""

    def each(self, name: str, read: Callable[[str, object], Any]) -> tuple[Any, ...]:
        """The items of the list at `name`, each read."""
        return tuple(
            read(f"{self.key}.{name}[{number}]", item)
            for number, item in enumerate(self.take(name, list, []))
        )

    def words(
        self, name: str, accept: Callable[[str], object], *, as_list: bool = False
    ) -> tuple[str, ...]:
        """The texts at `name`: a list, or one text with spaces between them."""
        items = self.take(name, list, []) if as_list else self.take(name, str, "").split()
        for item in items:
            if not isinstance(item, str) or not accept(item):
                raise damaged(f"{self.key}.{name}", item)
        return tuple(items)

    def table(
        self, name: str, accept: Callable[[str], object], read: Callable[[str, object], Any]
    ) -> dict[str, Any]:
        """The object at `name`, its keys and values checked one by one."""
        for item in (table := self.take(name, dict, {})):
            if not accept(item):
                raise damaged(f"{self.key}.{name}", item)
        return {item: read(f"{self.key}.{name}.{item}", value) for item, value in table.items()}
