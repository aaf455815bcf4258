"""What an environment has, whatever it is from: packages of Python indexes and of conda, attributes (pure)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from packaging.utils import canonicalize_name

from nixlib.engine import KERNEL
from nixlib.errors import RequirementError
from nixlib.lock import Lock, LockedAttribute, LockedCondaPackage, LockedPackage
from nixlib.requirements import AnyRequirement, PypiRequirement, parse_line

_OUTPUT = re.compile(r"[0-9a-z]{32}-(?:.*?)-(?P<version>\d.*)")
_SHOWN = 7  # digits of a commit that are shown, as Git does


@dataclass(frozen=True, slots=True)
class Member:
    """One package or attribute.

    Attributes:
        kind: `pypi`, `conda` or `nixpkgs`.
        name: What its own ecosystem calls it; for an attribute `nixpkgs#graphviz`.
        version: As the ecosystem spells it; for an attribute what its output says.
        build: Conda's build string, or the start of an attribute's revision.
        origin: Where it is from: a channel, `nixpkgs`, `sdist`, `git`, `path` or `editable`; empty for a
            wheel of an index.
        requires: Keys of its direct dependencies.
        held: Why it is older than it could be.
        provides: What PyPI calls a conda package; for messages and for wheels that need it.
        folder: Where its source is, relative to the notebook's folder; a line may say only that.
        lender: Whose it is, of a package that a private group only uses: `the notebook`, or a group's name.
    """

    kind: str
    name: str
    version: str
    build: str = ""
    origin: str = ""
    requires: tuple[str, ...] = ()
    held: str = ""
    provides: str = ""
    folder: str = ""
    lender: str = ""

    @property
    def key(self) -> str:
        """The name, and what tells it from a package of the same name from elsewhere."""
        return f"conda:{self.name}" if self.kind == "conda" else self.name

    @property
    def full_version(self) -> str:
        """The version, and the build where that is a choice too."""
        return f"{self.version} {self.build}".strip()

    def to_json(self) -> dict[str, Any]:
        """What only this kind of member has, and which kind that is."""
        return {
            "source": self.kind,
            **({"build": self.build} if self.build else {}),
            **({"origin": self.origin} if self.origin else {}),
            **({"shared": self.lender} if self.lender else {}),
        }


def members(lock: Lock, system: str | None = None) -> tuple[Member, ...]:
    """What `system` gets, or what all systems of the lock do; by name."""
    packages = [p for p in lock.packages if _is_here(p.systems, system)]
    conda = [p for p in lock.conda.packages if _is_here(p.systems, system)]
    own = {package.name for package in packages}
    provided = {p.pypi: _conda_key(p) for p in conda if p.pypi and p.pypi not in own}
    found = [_of_index(package, provided) for package in packages]
    found += [_of_conda(package) for package in conda]
    found += [
        member
        for attribute in lock.attributes
        if attribute.role in ("requirement", "interpreter")
        for member in _of_nixpkgs(attribute, system)
    ]
    return tuple(sorted(found, key=lambda one: (one.name, one.kind, one.version, one.build)))


def _is_here(systems: Sequence[str], system: str | None) -> bool:
    return system is None or not systems or system in systems


def _conda_key(package: LockedCondaPackage) -> str:
    return f"conda:{package.name}"


def _of_index(package: LockedPackage, provided: Mapping[str, str]) -> Member:
    return Member(
        kind="pypi",
        name=package.name,
        version=package.version,
        origin=package.source.kind if package.source and not package.wheels else "",
        requires=tuple(provided.get(name, name) for name in package.requires),
        held=package.held,
        folder=package.source.location if package.source else "",
    )


def _of_conda(package: LockedCondaPackage) -> Member:
    return Member(
        kind="conda",
        name=package.name,
        version=package.version,
        build=package.build,
        origin=package.channel.rstrip("/").rpartition("/")[2],
        requires=tuple(f"conda:{name}" for name in package.depends),
        provides=package.pypi,
    )


def _of_nixpkgs(attribute: LockedAttribute, system: str | None) -> list[Member]:
    outputs = [paths for one, paths in attribute.outputs.items() if system in (None, one)]
    if not outputs:
        return []
    said = _OUTPUT.fullmatch(outputs[0][0])
    revision = attribute.revision[:_SHOWN]
    return [
        Member(
            kind="nixpkgs",
            name=f"{attribute.source}#{attribute.attribute}",
            version=said["version"] if said else revision,
            build=revision if said else "",
            origin=attribute.source,
        )
    ]


def asked_for(lines: Sequence[str], present: Sequence[Member]) -> dict[str, str]:
    """For each line of a spec, in its order, the key of the member that answers it: `key → line`.

    A line that only names a package may be answered by conda or nixpkgs, where the spec's `providers` say so.
    """
    found: dict[str, str] = {}
    for line in lines:
        for member in answering(line, present):
            found.setdefault(member.key, line)
    return found


def roots_of(
    lock: Lock, asked: Mapping[str, str], present: Mapping[str, Member]
) -> tuple[str, ...]:
    """What was asked for, in the notebook's order, then Python and the kernel, which nobody has to ask for."""
    own = ("conda:python",) if lock.interpreter.source == "conda" else ()
    kernel = [key for name in KERNEL for key in (name, f"conda:{name}")]
    return tuple(key for key in dict.fromkeys([*asked, *own, *kernel]) if key in present)


def answering(line: str, present: Sequence[Member]) -> list[Member]:
    """The members that a requirement, or only a name, means; those of its own kind first."""
    try:
        read = parse_line(line)
    except RequirementError:
        return [member for member in present if member.name == line]
    own = [member for member in present if member.kind == read.kind and _is_meant(read, member)]
    if own or read.kind != "pypi":
        return own
    names = {canonicalize_name(read.name), read.name.lower()}
    return [member for member in present if names & _names(member)]


def _names(member: Member) -> set[str]:
    """What somebody may call it who does not say where it is from."""
    attribute = member.name.rpartition("#")[2]
    python = canonicalize_name(attribute.removeprefix("python3Packages."))
    return {member.name, member.provides, attribute, python} - {""}


def _is_meant(read: AnyRequirement, member: Member) -> bool:
    if isinstance(read, PypiRequirement) and not read.name:
        return read.direct is not None and member.folder == read.direct.folder
    if read.kind == "nixpkgs":
        return member.name.rpartition("#")[2] == read.name
    return member.name == (canonicalize_name(read.name) if read.kind == "pypi" else read.name)
