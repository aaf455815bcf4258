"""The conda half of a lock: records of channels, and what they were solved for (pure)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nixlib.lock.artifact import Artifact
from nixlib.lock.fields import NAME, Fields, artifact, stated
from nixlib.spec import SYSTEMS

_KEYS = ("channels", "virtual", "needs", "packages")
_PACKAGE_KEYS = (
    "name",
    "version",
    "build",
    "subdir",
    "channel",
    "artifact",
    "depends",
    "noarch",
    "site",
    "pypi",
    "systems",
)
CONDA_NAME = re.compile(r"[a-z0-9_][a-z0-9_.-]{0,127}")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]{0,99}")
_BUILD = re.compile(r"[A-Za-z0-9_.+]{1,128}")
_SUBDIR = re.compile(r"noarch|(linux|osx)-[a-z0-9_]{1,20}")
_NOARCH = re.compile(r"python|generic")
_SITE = re.compile(r"lib/python3\.\d{1,3}t?/site-packages")
_VIRTUAL = re.compile(r"__[a-z0-9_]{1,40}=[A-Za-z0-9._+-]{1,60}(=[A-Za-z0-9._+-]{1,60})?")
_NEED = re.compile(r"__[a-z0-9_]{1,40}( [A-Za-z0-9._+*<>=!~,|-]{1,60}){0,2}")
_CHANNEL = re.compile(r"(https?|file)://[^\s\x00-\x1f\x7f@?#]{1,500}")


@dataclass(frozen=True, order=True)
class LockedCondaPackage:
    """One archive of a conda channel.

    Attributes:
        name: Conda's name.
        version: As the channel spells it.
        build: The build string.
        subdir: `noarch`, `linux-64` …
        channel: The channel's URL, without secrets.
        artifact: The archive, `.conda` or `.tar.bz2`.
        depends: Names of its direct dependencies among the lock's conda packages, sorted.
        noarch: `python`, `generic`, or empty for a package of one platform.
        site: For Python itself: where `noarch: python` packages go (`python_site_packages_path`).
        pypi: What PyPI calls it, normalised (PEP 503); empty where it is no Python package.
        systems: Nix systems that get it; empty for all of the lock's.
    """

    name: str
    version: str
    build: str
    subdir: str
    channel: str
    artifact: Artifact
    depends: tuple[str, ...] = ()
    noarch: str = ""
    site: str = ""
    pypi: str = ""
    systems: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Its JSON object."""
        return stated(
            name=self.name,
            version=self.version,
            build=self.build,
            subdir=self.subdir,
            channel=self.channel,
            artifact=str(self.artifact),
            depends=" ".join(sorted(self.depends)),
            noarch=self.noarch,
            site=self.site,
            pypi=self.pypi,
            systems=" ".join(sorted(self.systems)),
        )


@dataclass(frozen=True)
class LockedConda:
    """What the conda resolver chose.

    Attributes:
        packages: Sorted.
        channels: URLs of the channels that were asked, in order of priority, without secrets.
        virtual: For each Nix system the virtual packages that it was solved for, such as
            `__cuda=12.4`, sorted: what the *author* had or asked for, not what this machine has.
        needs: For each Nix system what its packages ask of a machine, as match specs of virtual
            packages such as `__cuda >=12`, sorted.
    """

    packages: tuple[LockedCondaPackage, ...] = ()
    channels: tuple[str, ...] = ()
    virtual: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    needs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def of_system(self, system: str) -> tuple[LockedCondaPackage, ...]:
        """The packages that `system` gets."""
        return tuple(p for p in self.packages if not p.systems or system in p.systems)

    def to_json(self) -> dict[str, Any]:
        """Its JSON object; empty for none."""
        return stated(
            channels=list(self.channels),
            virtual={system: " ".join(found) for system, found in sorted(self.virtual.items())},
            needs={system: list(asked) for system, asked in sorted(self.needs.items())},
            packages=[package.to_json() for package in sorted(self.packages)],
        )


def parse_conda(key: str, value: object) -> LockedConda:
    """The conda half out of its JSON object.

    Raises:
        LockError: It is damaged.
    """
    fields = Fields(key, value, _KEYS)
    virtual = fields.take("virtual", dict, {})
    each = Fields(f"{key}.virtual", virtual, SYSTEMS)
    needs = Fields(f"{key}.needs", fields.take("needs", dict, {}), SYSTEMS)
    return LockedConda(
        packages=fields.each("packages", _parse_package),
        channels=fields.words("channels", _CHANNEL.fullmatch, as_list=True),
        virtual={system: each.words(system, _VIRTUAL.fullmatch) for system in virtual},
        needs={s: needs.words(s, _NEED.fullmatch, as_list=True) for s in needs.value},
    )


def _parse_package(key: str, value: object) -> LockedCondaPackage:
    fields = Fields(key, value, _PACKAGE_KEYS)
    return LockedCondaPackage(
        name=fields.matching("name", CONDA_NAME),
        version=fields.matching("version", _VERSION),
        build=fields.matching("build", _BUILD),
        subdir=fields.matching("subdir", _SUBDIR),
        channel=fields.matching("channel", _CHANNEL),
        artifact=artifact(f"{key}.artifact", fields.take("artifact", str)),
        depends=fields.words("depends", CONDA_NAME.fullmatch),
        noarch=fields.optional("noarch", _NOARCH),
        site=fields.optional("site", _SITE),
        pypi=fields.optional("pypi", NAME),
        systems=fields.words("systems", SYSTEMS.__contains__),
    )
