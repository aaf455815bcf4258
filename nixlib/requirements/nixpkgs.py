"""Attributes of nixpkgs, or of a repository of the same shape (pure).

Whatever these texts become later, a Nix expression, a command line or a URL, they cannot be more in it than a
name: no quote, no space, no `$`, no `..`, nothing that begins with `-`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, ClassVar

from nixlib.requirements.form import Parts
from nixlib.requirements.refusal import Place

_ATTRIBUTE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*(\.[A-Za-z0-9_][A-Za-z0-9_-]*)*")
_REVISION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*(/[A-Za-z0-9_][A-Za-z0-9_.+-]*)*")
_OWNER = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,38})"
_NAME = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}"
_FLAKE = re.compile(rf"(?:nixpkgs|github:(?P<repository>{_OWNER}/{_NAME}))(?:/(?P<revision>.*))?")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_ABBREVIATED = re.compile(r"[0-9a-fA-F]{7,39}")
_FORMS = "`nixpkgs#ATTRIBUTE`, `nixpkgs/REVISION#ATTRIBUTE` or `github:OWNER/REPOSITORY#ATTRIBUTE`"


@dataclass(frozen=True, slots=True)
class NixpkgsRequirement:
    """An attribute of nixpkgs.

    Attributes:
        name: The attribute path, such as `python3Packages.numpy`.
        revision: A commit (40 hexadecimal digits) or a branch; None for the pinned one.
        repository: `owner/name` on GitHub; None for nixpkgs.
    """

    name: str
    revision: str | None = None
    repository: str | None = None

    kind: ClassVar = "nixpkgs"
    extras: ClassVar[tuple[str, ...]] = ()
    version: ClassVar[None] = None
    build: ClassVar[None] = None
    channel: ClassVar[None] = None
    marker: ClassVar[None] = None

    @property
    def is_commit(self) -> bool:
        """Whether the revision is a commit and not a branch, which moves."""
        return self.revision is not None and _COMMIT.fullmatch(self.revision) is not None

    def __str__(self) -> str:
        source = f"github:{self.repository}" if self.repository else "nixpkgs"
        revision = f"/{self.revision}" if self.revision else ""
        return f"{source}{revision}#{self.name}"

    def to_json(self) -> dict[str, Any]:
        """What only this kind has."""
        return {"repository": self.repository, "revision": self.revision}


def parse_nixpkgs(parts: Parts, place: Place) -> NixpkgsRequirement:
    """The attribute that `parts` name.

    Raises:
        RequirementError: A part of it is not what its grammar says, or it could be a comment.
    """
    flake, attribute = parts.name.rstrip(), (parts.attribute or "").strip()
    found = _FLAKE.fullmatch(flake)
    if not found and flake == "host":
        raise place.refused(
            "is of this machine, which only builds from source may use",
            hint='`"build-inputs": ["host#cc"]`, beside `requirements` in the notebook\'s metadata',
        )
    if not found:
        raise place.refused(f"has a `#`, which belongs to {_FORMS}; comments are not read")
    if f"{flake}#{attribute}" != f"{parts.name}#{parts.attribute}".strip():
        raise place.two_readings(
            f"as an attribute: `{flake}#{attribute}`",
            f"as `{flake}` with a comment: `{flake}`",
        )
    if not _ATTRIBUTE.fullmatch(attribute):
        shown = f"has `{attribute[:60]}`" if attribute else "has nothing"
        raise place.refused(
            f"{shown} where an attribute such as `graphviz` or `python3Packages.numpy` belongs"
        )
    revision = found["revision"]
    if revision is not None:
        _check_revision(revision, flake.removesuffix(f"/{revision}"), attribute, place)
    return NixpkgsRequirement(attribute, revision, found["repository"])


def _check_revision(revision: str, source: str, attribute: str, place: Place) -> None:
    is_name = _REVISION.fullmatch(revision) and not re.search(r"\.\.|\.lock(/|$)|\.(/|$)", revision)
    if not is_name:
        raise place.refused(
            f"has `{revision[:60]}` where a commit (40 hexadecimal digits) or a branch belongs"
        )
    if _ABBREVIATED.fullmatch(revision):
        raise place.two_readings(
            f"as a commit, which is written with all of its 40 digits: `{source}/{revision}…#{attribute}`",
            f"as a branch: `{source}/refs/heads/{revision}#{attribute}`",
        )
