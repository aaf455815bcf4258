"""The lock: exactly what a notebook gets, by name, URL, size and sha256 (pure).

A lock's digest covers everything but the hints: an artifact's identity is its sha256, and the store hash
beside it only saves work for those who have a reason to believe it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any
from urllib.parse import unquote, urlsplit

from nixlib.canonical import digest
from nixlib.errors import LockError, LockStaleError, LockVersionError
from nixlib.spec import SOURCES, SYSTEMS, Spec

LAYOUT = 1

_SHA256 = re.compile(r"[0-9a-f]{64}")
_SRI = re.compile(r"sha256-[A-Za-z0-9+/]{43}=")
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.!+_-]{0,99}")
_SONAME = re.compile(r"[A-Za-z0-9._+-]{1,100}")


@dataclass(frozen=True, order=True)
class Artifact:
    """One file of a registry: where it was found, and the sha256 (hex) and size (bytes) it must have."""

    url: str
    sha256: str
    size: int

    @property
    def filename(self) -> str:
        """The last part of the URL's path, unquoted."""
        return unquote(urlsplit(self.url).path.rsplit("/", 1)[-1])

    def __str__(self) -> str:
        return f"{self.sha256} {self.size} {self.url}"


@dataclass(frozen=True, order=True)
class LockedPackage:
    """One version of one package.

    Attributes:
        name: Normalised (PEP 503).
        version: As the registry spells it.
        wheels: The best wheel of each system, without repetition.
        requires: Normalised names of its direct dependencies, sorted.
        systems: Nix systems that get it; empty for all of the lock's.
        held: Why it is older than it could be, when it is held to its own time.
        index: The index it came from, when that is not the default one; without secrets.
        uploaded: Date of its first file, where the index tells.
    """

    name: str
    version: str
    wheels: tuple[Artifact, ...] = ()
    requires: tuple[str, ...] = ()
    systems: tuple[str, ...] = ()
    held: str = ""
    index: str = ""
    uploaded: str = ""


@dataclass(frozen=True)
class LockedInterpreter:
    """The Python of the lock.

    Attributes:
        version: All three numbers.
        source: `standalone` or `host`.
        artifacts: For `standalone`: the release tarball of each system.
        trees: For `host`: the SRI NAR hash of the copy, for each system where one was made.
        libraries: Sonames that it still needs from the system.
    """

    version: str
    source: str
    artifacts: Mapping[str, Artifact] = field(default_factory=dict)
    trees: Mapping[str, str] = field(default_factory=dict)
    libraries: tuple[str, ...] = ()


@dataclass(frozen=True)
class Lock:
    """A complete answer to a spec."""

    spec: str
    interpreter: LockedInterpreter
    packages: tuple[LockedPackage, ...]
    systems: tuple[str, ...]
    notes: tuple[str, ...] = ()
    hints: Mapping[str, str] = field(default_factory=dict)
    layout: int = LAYOUT

    @cached_property
    def digest(self) -> str:
        """Sha256 (hex) of the lock; hints do not count."""
        return digest({key: value for key, value in self.to_json().items() if key != "hints"})

    def to_json(self) -> dict[str, Any]:
        """The lock as its JSON object; equal locks print equal bytes."""
        return _stated(
            layout=self.layout,
            spec=self.spec,
            systems=sorted(self.systems),
            interpreter=_stated(
                version=self.interpreter.version,
                source=self.interpreter.source,
                artifacts={k: str(v) for k, v in sorted(self.interpreter.artifacts.items())},
                trees=dict(sorted(self.interpreter.trees.items())),
                libraries=" ".join(sorted(self.interpreter.libraries)),
            ),
            packages=[_package_json(package) for package in sorted(self.packages)],
            notes=list(self.notes),
            hints=dict(sorted(self.hints.items())),
        )

    def with_hints(self, hints: Mapping[str, str]) -> Lock:
        """The same lock with `hints` about its own artifacts added, and of others dropped."""
        own = {wheel.sha256 for package in self.packages for wheel in package.wheels}
        own |= {artifact.sha256 for artifact in self.interpreter.artifacts.values()}
        kept = {sha256: nar for sha256, nar in {**self.hints, **hints}.items() if sha256 in own}
        return replace(self, hints=kept)


def _stated(**fields: Any) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if value not in ("", [], {}, (), None)}


def _package_json(package: LockedPackage) -> dict[str, Any]:
    return _stated(
        name=package.name,
        version=package.version,
        wheels=[str(wheel) for wheel in sorted(package.wheels)],
        requires=" ".join(sorted(package.requires)),
        systems=" ".join(sorted(package.systems)),
        held=package.held,
        index=package.index,
        uploaded=package.uploaded,
    )


def check_fresh(lock: Lock, spec: Spec, *, notebook: str = "") -> None:
    """Make sure that `lock` answers `spec`.

    Raises:
        LockStaleError: The spec has changed since.
    """
    if lock.spec != spec.digest:
        raise LockStaleError(
            f"the lock of `{notebook or 'this notebook'}` is stale: its requirements have changed since",
            details=("`nixenv.lock.spec` is not the digest of what `nixenv` asks for now",),
            hint="`%nixenv lock` resolves them",
            key="nixenv.lock.spec",
            found=lock.spec,
        )


def added_since(lock: Lock, spec: Spec) -> tuple[str, ...]:
    """The last requirements of `spec`, without which `lock` would answer it; none when there are no such.

    Examples:
        >>> from nixlib.spec import Spec
        >>> old, new = Spec(requirements=("a",)), Spec(requirements=("a", "b"))
        >>> added_since(Lock(old.digest, LockedInterpreter("3.11.7", "host"), (), ()), new)
        ('b',)
    """
    lines = spec.requirements
    for count in range(1, len(lines) + 1):
        if spec.with_requirements(lines[:-count]).digest == lock.spec:
            return lines[-count:]
    return ()


def parse_lock(value: object) -> Lock:
    """A lock out of its JSON value.

    Raises:
        LockError: It is damaged; `key` and `found` say where.
        LockVersionError: Its layout is newer than this nixenv.
    """
    fields = _Fields("nixenv.lock", value, _LOCK_KEYS)
    layout = fields.take("layout", int)
    if layout > LAYOUT:
        raise LockVersionError(
            f"`nixenv.lock.layout` is {layout}, and this nixenv composes up to {LAYOUT}",
            hint="`pip install --upgrade nixenv`",
            key="nixenv.lock.layout",
            found=layout,
        )
    systems = fields.words("systems", SYSTEMS.__contains__, as_list=True)
    return Lock(
        layout=layout,
        spec=fields.matching("spec", _SHA256),
        systems=systems,
        interpreter=_parse_interpreter(fields.take("interpreter", dict)),
        packages=tuple(
            _parse_package(f"nixenv.lock.packages[{number}]", item)
            for number, item in enumerate(fields.take("packages", list, []))
        ),
        notes=fields.words("notes", lambda _: True, as_list=True),
        hints=fields.table("hints", _SHA256.fullmatch, _sri),
    )


def _parse_interpreter(value: object) -> LockedInterpreter:
    fields = _Fields("nixenv.lock.interpreter", value, _INTERPRETER_KEYS)
    return LockedInterpreter(
        version=fields.matching("version", re.compile(r"3\.\d{1,3}\.\d{1,3}[a-z0-9]*")),
        source=fields.matching("source", re.compile("|".join(SOURCES))),
        artifacts=fields.table("artifacts", SYSTEMS.__contains__, _artifact),
        trees=fields.table("trees", SYSTEMS.__contains__, _sri),
        libraries=fields.words("libraries", _SONAME.fullmatch),
    )


def _parse_package(key: str, value: object) -> LockedPackage:
    fields = _Fields(key, value, _PACKAGE_KEYS)
    return LockedPackage(
        name=fields.matching("name", _NAME),
        version=fields.matching("version", _VERSION),
        wheels=tuple(
            _artifact(f"{key}.wheels[{number}]", item)
            for number, item in enumerate(fields.take("wheels", list, []))
        ),
        requires=fields.words("requires", _NAME.fullmatch),
        systems=fields.words("systems", SYSTEMS.__contains__),
        held=fields.take("held", str, ""),
        index=fields.take("index", str, ""),
        uploaded=fields.take("uploaded", str, ""),
    )


_LOCK_KEYS = ("layout", "spec", "systems", "interpreter", "packages", "notes", "hints")
_INTERPRETER_KEYS = ("version", "source", "artifacts", "trees", "libraries")
_PACKAGE_KEYS = ("name", "version", "wheels", "requires", "systems", "held", "index", "uploaded")


def _damaged(key: str, found: object) -> LockError:
    shown = repr(found) if len(repr(found)) < 100 else f"{repr(found)[:100]}…"  # noqa: PLR2004
    return LockError(
        f"the lock is damaged at `{key}`",
        details=(f"found {shown}",),
        hint="`%nixenv lock` makes a new one",
        key=key,
        found=found,
    )


def _sri(key: str, value: object) -> str:
    if not isinstance(value, str) or not _SRI.fullmatch(value):
        raise _damaged(key, value)
    return value


_ARTIFACT = re.compile(
    r"(?P<sha256>[0-9a-f]{64}) (?P<size>\d{1,13}) (?P<url>(https?|file)://[!-~\u00a1-\U0010ffff]+)"
)


def _artifact(key: str, value: object) -> Artifact:
    match = _ARTIFACT.fullmatch(value) if isinstance(value, str) else None
    if not match:
        raise _damaged(key, value)
    return Artifact(url=match["url"], sha256=match["sha256"], size=int(match["size"]))


_MISSING = object()


class _Fields:
    """The fields of one JSON object of a lock, each taken with the check that it needs."""

    def __init__(self, key: str, value: object, known: tuple[str, ...]) -> None:
        if not isinstance(value, dict):
            raise _damaged(key, value)
        for name in value:
            if name not in known:
                raise _damaged(f"{key}.{name}", name)
        self.key = key
        self.value = value

    def take(self, name: str, kind: type, default: Any = _MISSING) -> Any:
        """The value at `name`, of exactly `kind`."""
        value = self.value.get(name, default)
        if type(value) is not kind:
            raise _damaged(f"{self.key}.{name}", "nothing" if value is _MISSING else value)
        return value

    def matching(self, name: str, pattern: re.Pattern[str]) -> str:
        """The text at `name`, which all of `pattern` matches."""
        value: str = self.take(name, str)
        if not pattern.fullmatch(value):
            raise _damaged(f"{self.key}.{name}", value)
        return value

    def words(
        self, name: str, accept: Callable[[str], object], *, as_list: bool = False
    ) -> tuple[str, ...]:
        """The texts at `name`: a list, or one text with spaces between them."""
        items = self.take(name, list, []) if as_list else self.take(name, str, "").split()
        for item in items:
            if not isinstance(item, str) or not accept(item):
                raise _damaged(f"{self.key}.{name}", item)
        return tuple(items)

    def table(
        self, name: str, accept: Callable[[str], object], read: Callable[[str, object], Any]
    ) -> dict[str, Any]:
        """The object at `name`, its keys and values checked one by one."""
        for item in (table := self.take(name, dict, {})):
            if not accept(item):
                raise _damaged(f"{self.key}.{name}", item)
        return {item: read(f"{self.key}.{name}.{item}", value) for item, value in table.items()}
