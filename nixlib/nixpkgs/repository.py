"""Which repository a line means, and where its archives are (pure)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from nixlib.errors import SettingError

if TYPE_CHECKING:
    from nixlib.requirements.nixpkgs import NixpkgsRequirement

NIXPKGS = "NixOS/nixpkgs"
NEWEST, OLDER = "nixpkgs-unstable", "nixos-24.11"
_SINCE = (2, 18)
"""Nix that the branches of nixpkgs want since 25.05 (`lib/minver.nix`); Debian 12 has 2.8."""

_SETTING = re.compile(
    r"(?P<repository>[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9_][A-Za-z0-9._-]{0,99})"
    r"/(?P<branch>(?!.*\.\.)[A-Za-z0-9_][A-Za-z0-9_.+-]*(/[A-Za-z0-9_][A-Za-z0-9_.+-]*)*)"
)


@dataclass(frozen=True, order=True)
class Repository:
    """A repository of packages.

    Attributes:
        name: `owner/name`.
    """

    name: str

    @property
    def source(self) -> str:
        """What a lock calls it."""
        return "nixpkgs" if self.name == NIXPKGS else f"github:{self.name}"

    def archive(self, base: str, revision: str) -> str:
        """The URL of what `git archive` makes of a commit or a branch."""
        return f"{base.rstrip('/')}/{self.name}/archive/{quote(revision)}.tar.gz"


@dataclass(frozen=True)
class Pin:
    """What a line asks for: a commit, or the head of a branch.

    Attributes:
        repository: Where.
        commit: 40 hexadecimal digits; empty for a branch.
        branch: Empty for a commit.
    """

    repository: Repository
    commit: str = ""
    branch: str = ""


def repository_of(source: str) -> Repository:
    """The repository that a lock calls `source`."""
    return Repository(NIXPKGS if source == "nixpkgs" else source.removeprefix("github:"))


def pin_of(requirement: NixpkgsRequirement, setting: str, nix: tuple[int, ...]) -> Pin:
    """What `requirement` asks for.

    Args:
        requirement: The line.
        setting: `OWNER/REPOSITORY/BRANCH` that a bare `nixpkgs` means; empty for the usual one.
        nix: Version of the Nix that will evaluate it.

    Raises:
        SettingError: The setting is not of that form.
    """
    if requirement.repository or requirement.revision:
        repository = Repository(requirement.repository or NIXPKGS)
        if requirement.is_commit:
            return Pin(repository, commit=requirement.revision or "")
        return Pin(repository, branch=requirement.revision or "HEAD")
    return default_pin(setting, nix)


def default_pin(setting: str, nix: tuple[int, ...]) -> Pin:
    """What a bare `nixpkgs` means; see `pin_of`."""
    text = setting or f"{NIXPKGS}/{NEWEST if nix >= _SINCE else OLDER}"
    found = _SETTING.fullmatch(text)
    if found is None:
        raise SettingError(
            f"the setting `nixpkgs` must be `OWNER/REPOSITORY/BRANCH`, not `{text[:120]}`",
            hint=f"`{NIXPKGS}/{NEWEST}`",
            key="nixpkgs",
            found=text,
        )
    return Pin(Repository(found["repository"]), branch=found["branch"])
