"""Attributes of nixpkgs in a lock: their revision, and the store paths that they are (pure)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nixlib.lock.fields import Fields, damaged, sri, stated
from nixlib.spec import SYSTEMS

_KEYS = ("attribute", "source", "revision", "tree", "role", "branch", "python", "outputs")
_ATTRIBUTE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*(\.[A-Za-z0-9_][A-Za-z0-9_-]*)*")
_SOURCE = re.compile(
    r"nixpkgs|github:[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9_][A-Za-z0-9._-]{0,99}"
)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_BRANCH = re.compile(r"(?!.*\.\.)[A-Za-z0-9_][A-Za-z0-9_.+-]*(/[A-Za-z0-9_][A-Za-z0-9_.+-]*)*")
_PYTHON = re.compile(r"3\.\d{1,3}\.\d{1,3}[a-z0-9]*")
_ROLE = re.compile(r"requirement|build|library|interpreter")
_STORE_NAME = re.compile(r"[0-9a-df-np-sv-z]{32}-[0-9a-zA-Z+\-_?=][0-9a-zA-Z+\-._?=]{0,210}")


@dataclass(frozen=True, order=True)
class LockedAttribute:
    """One attribute of one revision.

    Attributes:
        attribute: Its path, such as `python3Packages.numpy`.
        source: `nixpkgs` or `github:owner/repository`.
        revision: The commit.
        tree: SRI NAR hash of the revision's source tree.
        role: `requirement` (the notebook asks for it), `build` (an input of builds from source),
            `library` (wheels need it) or `interpreter`.
        branch: The branch whose head the revision was; empty for a commit that the notebook names.
        python: For a Python package: the version of the Python that it is built for.
        outputs: For each Nix system the base names of the store paths that join the environment; the
            first is the main output.
    """

    attribute: str
    source: str
    revision: str
    tree: str
    role: str = "requirement"
    branch: str = ""
    python: str = ""
    outputs: Mapping[str, tuple[str, ...]] = field(default_factory=dict, compare=False)

    def to_json(self) -> dict[str, Any]:
        """Its JSON object."""
        return stated(
            attribute=self.attribute,
            source=self.source,
            revision=self.revision,
            tree=self.tree,
            role=self.role,
            branch=self.branch,
            python=self.python,
            outputs={system: " ".join(paths) for system, paths in sorted(self.outputs.items())},
        )


def parse_attribute(key: str, value: object) -> LockedAttribute:
    """An attribute out of its JSON object.

    Raises:
        LockError: It is damaged.
    """
    fields = Fields(key, value, _KEYS)
    outputs = Fields(f"{key}.outputs", fields.take("outputs", dict, {}), SYSTEMS)
    found = {system: outputs.words(system, _STORE_NAME.fullmatch) for system in outputs.value}
    for system, paths in found.items():
        if not paths:
            raise damaged(f"{key}.outputs.{system}", "nothing")
    return LockedAttribute(
        attribute=fields.matching("attribute", _ATTRIBUTE),
        source=fields.matching("source", _SOURCE),
        revision=fields.matching("revision", _COMMIT),
        tree=sri(f"{key}.tree", fields.take("tree", str)),
        role=fields.matching("role", _ROLE),
        branch=fields.optional("branch", _BRANCH),
        python=fields.optional("python", _PYTHON),
        outputs=found,
    )
