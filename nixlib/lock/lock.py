"""The lock as a whole (pure).

A lock's digest covers everything but the hints and what was built: an artifact's identity is its sha256,
and the store hash beside it only saves work for those who have a reason to believe it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from nixlib.canonical import digest
from nixlib.errors import LockStaleError, LockVersionError
from nixlib.lock.attributes import LockedAttribute, parse_attribute
from nixlib.lock.conda import CONDA_NAME, LockedConda, parse_conda
from nixlib.lock.fields import NAME, SHA256, Fields, damaged, sri, stated
from nixlib.lock.interpreter import LockedInterpreter, parse_interpreter
from nixlib.lock.packages import LockedPackage, parse_package
from nixlib.lock.private import LockedGroup, parse_groups
from nixlib.spec import SYSTEMS, Spec

LAYOUT = 1

_BESIDE = ("hints", "built")
"""What is not part of the digest."""

_KEYS = (
    "layout",
    "spec",
    "systems",
    "interpreter",
    "packages",
    "build-packages",
    "conda",
    "attributes",
    "private",
    "choices",
    "substitutions",
    "notes",
    *_BESIDE,
)
_KEYS_OF_A_PROCESS = tuple(key for key in _KEYS if key != "private")
_BUILT = re.compile(rf"{NAME.pattern} ({'|'.join(SYSTEMS)})")
_VARIANT = re.compile(r"[a-z][a-z0-9_-]{0,39}")


@dataclass(frozen=True)
class Lock:
    """A complete answer to a spec.

    Attributes:
        spec: Digest of the spec that it answers.
        interpreter: The Python.
        packages: Of Python indexes, sorted.
        systems: Nix systems that it serves.
        build_packages: What packages are built with that come as source, apart from `packages`: each
            `LockedSource.build` names its own.
        conda: Of conda channels.
        attributes: Of nixpkgs.
        private: Groups of private dependencies, in the order in which they were locked.
        choices: For each bare name that several providers could have given: which one did, and why.
        substitutions: Variants that are not the spec's, because a machine could not have those:
            `{"cuda": "none"}`.
        notes: What the author should know of the choice.
        hints: SRI NAR hash of what each artifact, by sha256, unpacks to.
        built: SRI NAR hash of the unpacked wheel that a build gave, by `name system`.
        layout: How the environment is composed.
    """

    spec: str
    interpreter: LockedInterpreter
    packages: tuple[LockedPackage, ...]
    systems: tuple[str, ...]
    build_packages: tuple[LockedPackage, ...] = ()
    conda: LockedConda = field(default_factory=LockedConda)
    attributes: tuple[LockedAttribute, ...] = ()
    private: tuple[LockedGroup, ...] = ()
    choices: Mapping[str, str] = field(default_factory=dict)
    substitutions: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    hints: Mapping[str, str] = field(default_factory=dict)
    built: Mapping[str, str] = field(default_factory=dict)
    layout: int = LAYOUT

    @cached_property
    def digest(self) -> str:
        """Sha256 (hex) of the lock; neither hints nor what was built count."""
        return digest(self._to_identity())

    def _to_identity(self) -> dict[str, Any]:
        """What of its JSON object the digest is of: nothing that stands beside, in a process's lock neither."""
        said = {key: value for key, value in self.to_json().items() if key not in _BESIDE}
        for group, its in zip(self.private, said.get("private", ()), strict=True):
            if group.process:
                its["process"] = group.process._to_identity()  # noqa: SLF001 - another of this class
        return said

    def to_json(self) -> dict[str, Any]:
        """The lock as its JSON object; equal locks print equal bytes."""
        said = {
            "layout": self.layout,
            "spec": self.spec,
            "systems": sorted(self.systems),
            "interpreter": self.interpreter.to_json(),
            "packages": [package.to_json() for package in sorted(self.packages)],
            "build-packages": [package.to_json() for package in sorted(self.build_packages)],
            "conda": self.conda.to_json(),
            "attributes": [attribute.to_json() for attribute in sorted(self.attributes)],
            "private": [group.to_json() for group in self.private],
            "choices": dict(sorted(self.choices.items())),
            "substitutions": dict(sorted(self.substitutions.items())),
            "notes": list(self.notes),
            "hints": dict(sorted(self.hints.items())),
            "built": dict(sorted(self.built.items())),
        }
        return stated(**said)

    @property
    def indexed(self) -> tuple[LockedPackage, ...]:
        """Every package of an index that a realisation may need here, the groups' and builds' among them."""
        groups = (package for group in self.private for package in group.packages)
        return (*self.packages, *groups, *self.build_packages)

    @property
    def processes(self) -> tuple[Lock, ...]:
        """The locks of groups that have a process of their own."""
        return tuple(group.process for group in self.private if group.process)

    def with_hints(self, hints: Mapping[str, str]) -> Lock:
        """The same lock with `hints` about its own artifacts added, and of others dropped."""
        own = {wheel.sha256 for package in self.indexed for wheel in package.wheels}
        own |= {artifact.sha256 for artifact in self.interpreter.artifacts.values()}
        own |= {package.artifact.sha256 for package in self.conda.packages}
        kept = {sha256: nar for sha256, nar in {**self.hints, **hints}.items() if sha256 in own}
        return replace(self, hints=kept)

    def with_built(self, built: Mapping[str, str]) -> Lock:
        """The same lock with what builds gave added, and what is of no package of its own dropped."""
        own = {package.name for package in self.indexed if package.source}
        kept = {k: v for k, v in {**self.built, **built}.items() if k.split(" ")[0] in own}
        return replace(self, built=kept)


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
    return _parse("nixenv.lock", value, depth=0)


def _parse(key: str, value: object, *, depth: int) -> Lock:
    fields = Fields(key, value, _KEYS if depth == 0 else _KEYS_OF_A_PROCESS)
    layout = fields.take("layout", int)
    if layout > LAYOUT:
        raise LockVersionError(
            f"`{key}.layout` is {layout}, and this nixenv composes up to {LAYOUT}",
            hint="`pip install --upgrade nixenv`",
            key=f"{key}.layout",
            found=layout,
        )
    return Lock(
        layout=layout,
        spec=fields.matching("spec", SHA256),
        systems=fields.words("systems", SYSTEMS.__contains__, as_list=True),
        interpreter=parse_interpreter(f"{key}.interpreter", fields.take("interpreter", dict)),
        packages=fields.each("packages", parse_package),
        build_packages=fields.each("build-packages", parse_package),
        conda=parse_conda(f"{key}.conda", fields.take("conda", dict, {})),
        attributes=fields.each("attributes", parse_attribute),
        private=parse_groups(fields, "private", lambda at, lock: _parse(at, lock, depth=depth + 1)),
        choices=fields.table("choices", CONDA_NAME.fullmatch, _text),
        substitutions=fields.table("substitutions", _VARIANT.fullmatch, _text),
        notes=fields.words("notes", lambda _: True, as_list=True),
        hints=fields.table("hints", SHA256.fullmatch, sri),
        built=fields.table("built", _BUILT.fullmatch, sri),
    )


def _text(key: str, value: object) -> str:
    if not isinstance(value, str):
        raise damaged(key, value)
    return value
