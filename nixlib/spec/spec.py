"""The spec: what a notebook asks for, in `metadata["nixenv"]` (pure).

Parsing is strict: an unknown key is an error that names the nearest known one, because a typing error
that is ignored becomes another environment. Keys that begin with `x-` are kept and ignored.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from nixlib.canonical import digest
from nixlib.errors import LockVersionError, SpecError
from nixlib.spec.private import PrivateGroup, read_groups
from nixlib.spec.values import boolean, kind, python, text, texts, unknown_key, wrong

VERSION = 1
SYSTEMS = ("aarch64-darwin", "aarch64-linux", "x86_64-darwin", "x86_64-linux")
SOURCES = ("conda", "host", "nixpkgs", "standalone")
PRIORITIES = ("flexible", "strict")

_VARIANT = re.compile(r"[a-z][a-z0-9_-]{0,39}")
_CHOICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,39}")
_PROVIDERS = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./-]*(\s*,\s*[A-Za-z0-9_][A-Za-z0-9_./-]*)*")
_SECRET = re.compile(r"/t/|://[^/]*@|[?#]")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2}))?")


@dataclass(frozen=True)
class Spec:
    """What people write; every field has the JSON key of the same name, `_` written as `-`.

    Attributes:
        python: `3.11`, `3.11.7` or a specifier such as `>=3.10,<3.13`; None leaves the choice.
        requirements: Lines that `nixlib.requirements` reads, in the author's order.
        channels: Conda channels in order of priority: names, URLs, or folders relative to the notebook's.
        channel_priority: `strict` (the first channel that has a name) or `flexible` (the first that fits).
        providers: Where a bare name comes from: a normalised name, or `_default`, to an order such as
            `conda-forge,wheel,sdist,nixpkgs`.
        variants: A choice that every source understands, such as `{"blas": "mkl", "cuda": None}`.
        build_inputs: Lines of nixpkgs, or `host#cc`, that builds from source may use.
        indexes: Simple repository URLs (PEP 503), asked before the user's own.
        exclude_newer: A date or RFC 3339 time; nothing uploaded later is chosen.
        era: Whether dependencies of old pins are held to their own time.
        interpreter: Where Python comes from, one of `SOURCES`; None leaves the choice.
        systems: Nix systems that the lock serves.
        collisions: Which package wins a path that two bring: `{"cv2": "opencv-python"}`.
        strict: Refuse wheels that disagree with their own RECORD.
        private: Groups of packages that only those see who name them, by name.
        extra: The `x-…` keys, kept as they are.
    """

    python: str | None = None
    requirements: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    channel_priority: str = "strict"
    providers: Mapping[str, str] = field(default_factory=dict)
    variants: Mapping[str, str | None] = field(default_factory=dict)
    build_inputs: tuple[str, ...] = ()
    indexes: tuple[str, ...] = ()
    exclude_newer: str | None = None
    era: bool = True
    interpreter: str | None = None
    systems: tuple[str, ...] = SYSTEMS
    collisions: Mapping[str, str] = field(default_factory=dict)
    strict: bool = False
    private: tuple[PrivateGroup, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)
    version: int = VERSION

    @cached_property
    def digest(self) -> str:
        """Sha256 (hex) of what is asked for; `x-…` keys do not count."""
        return digest({k: v for k, v in self.to_json().items() if not k.startswith("x-")})

    def to_json(self) -> dict[str, Any]:
        """The spec as its JSON object, without keys that say nothing."""
        said = {
            "python": self.python,
            "channels": list(self.channels),
            "channel-priority": None
            if self.channel_priority == "strict"
            else self.channel_priority,
            "providers": dict(self.providers),
            "variants": dict(self.variants),
            "build-inputs": list(self.build_inputs),
            "indexes": list(self.indexes),
            "exclude-newer": self.exclude_newer,
            "era": None if self.era else False,
            "interpreter": self.interpreter,
            "systems": list(self.systems) if self.systems != SYSTEMS else None,
            "collisions": dict(self.collisions),
            "strict": self.strict or None,
            "private": {group.name: group.to_json() for group in self.private},
        }
        stated = {key: value for key, value in said.items() if value not in (None, [], {})}
        return {
            "version": self.version,
            "requirements": list(self.requirements),
            **stated,
            **self.extra,
        }

    def with_requirements(self, requirements: tuple[str, ...]) -> Spec:
        """The same spec, asking for `requirements`."""
        return replace(self, requirements=requirements)

    def with_group(self, group: PrivateGroup) -> Spec:
        """The same spec with `group`, in the place of one of its name."""
        groups = {**{one.name: one for one in self.private}, group.name: group}
        return replace(self, private=tuple(group for _, group in sorted(groups.items())))

    def without_group(self, name: str) -> Spec:
        """The same spec without the group of that name."""
        return replace(self, private=tuple(one for one in self.private if one.name != name))

    def of_process(self, group: PrivateGroup) -> Spec:
        """What a process of `group` is asked for: its requirements, from where the notebook's come."""
        return replace(
            self,
            python=group.python or self.python,
            requirements=group.requirements,
            private=(),
            extra={},
        )


def parse_spec(value: object) -> Spec:
    """A spec out of the JSON value of `metadata["nixenv"]`; its `lock` is not looked at.

    Raises:
        SpecError: It is not a spec; `key` and `found` say where and what.
        LockVersionError: Its version is newer than this nixenv.
    """
    if not isinstance(value, dict):
        raise SpecError(
            f"`nixenv` in the metadata must be an object, not {kind(value)}",
            hint='`"nixenv": {"version": 1, "requirements": ["pandas"]}`',
            key="nixenv",
            found=kind(value),
        )
    _check_version(value.get("version"))
    for key in value:
        if key not in _READERS and key not in ("version", "lock") and not key.startswith("x-"):
            raise unknown_key(key, [*_READERS, "version", "lock"])
    fields: dict[str, Any] = {
        key.replace("-", "_"): read(key, value[key])
        for key, read in _READERS.items()
        if key in value
    }
    return Spec(**fields, extra={k: v for k, v in value.items() if k.startswith("x-")})


def _check_version(version: object) -> None:
    if isinstance(version, int) and not isinstance(version, bool) and version > VERSION:
        raise LockVersionError(
            f"`nixenv.version` is {version}, and this nixenv reads up to {VERSION}",
            hint="`pip install --upgrade nixenv`",
            key="nixenv.version",
            found=version,
        )
    if version != VERSION or isinstance(version, bool):
        raise SpecError(
            f"`nixenv.version` must be {VERSION}, not {kind(version) if version is None else repr(version)}",
            key="nixenv.version",
            found=version,
        )


def _date(key: str, value: object) -> str:
    said = text(key, value)
    if not _DATE.fullmatch(said):
        raise wrong(key, "a date such as `2023-03-01`", value)
    return said


def _source(key: str, value: object) -> str:
    if value not in SOURCES:
        raise wrong(key, f"one of {', '.join(SOURCES)}", value)
    return text(key, value)


def _systems(key: str, value: object) -> tuple[str, ...]:
    systems = tuple(sorted(set(texts(key, value))))
    unknown = [system for system in systems if system not in SYSTEMS]
    if unknown or not systems:
        raise wrong(key, f"a list out of {', '.join(SYSTEMS)}", unknown[0] if unknown else value)
    return systems


def _priority(key: str, value: object) -> str:
    if value not in PRIORITIES:
        raise wrong(key, f"one of {', '.join(PRIORITIES)}", value)
    return text(key, value)


def _channels(key: str, value: object) -> tuple[str, ...]:
    channels = texts(key, value)
    for number, channel in enumerate(channels):
        if _SECRET.search(channel):
            wanted = "a channel without a login or a token: those stay in your own configuration"
            raise wrong(f"{key}[{number}]", wanted, value)
    return channels


def _providers(key: str, value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        raise wrong(key, "an object from a package, or `_default`, to an order", value)
    for name, order in value.items():
        if not isinstance(order, str) or not _PROVIDERS.fullmatch(order.strip()):
            raise wrong(f"{key}.{name}", "an order such as `conda-forge,wheel,sdist`", order)
    return {text(key, name): order.strip() for name, order in value.items()}


def _variants(key: str, value: object) -> dict[str, str | None]:
    if not isinstance(value, dict):
        raise wrong(key, 'an object such as `{"blas": "mkl", "cuda": null}`', value)
    for name, choice in value.items():
        if not _VARIANT.fullmatch(name):
            raise wrong(key, "an object whose keys are words such as `blas`", name)
        if choice is not None and not (isinstance(choice, str) and _CHOICE.fullmatch(choice)):
            raise wrong(
                f"{key}.{name}", "a word or a version such as `mkl` or `12.4`, or null", choice
            )
    return dict(value)


def _collisions(key: str, value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        raise wrong(key, "an object from a path to a package", value)
    return {text(key, path): text(f"{key}.{path}", package) for path, package in value.items()}


def _url_list(key: str, value: object) -> tuple[str, ...]:
    urls = texts(key, value)
    for number, url in enumerate(urls):
        if not url.startswith(("https://", "http://")):
            raise wrong(f"{key}[{number}]", "a URL that begins with `https://`", url)
    return urls


_READERS: dict[str, Callable[[str, object], Any]] = {
    "python": python,
    "requirements": texts,
    "channels": _channels,
    "channel-priority": _priority,
    "providers": _providers,
    "variants": _variants,
    "build-inputs": texts,
    "indexes": _url_list,
    "exclude-newer": _date,
    "era": boolean,
    "interpreter": _source,
    "systems": _systems,
    "collisions": _collisions,
    "strict": boolean,
    "private": read_groups,
}
