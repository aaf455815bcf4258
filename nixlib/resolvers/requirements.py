"""The notebook's requirement lines as what uv can resolve, read as untrusted text (pure).

A notebook comes from anywhere. Its lines reach uv only as parsed PEP 508 requirements that are printed
again by us, so no line can smuggle in an option, a file of this machine or a build script.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from packaging.requirements import Requirement
from packaging.specifiers import Specifier
from packaging.utils import canonicalize_name

from nixlib.errors import RequirementError
from nixlib.requirements import AnyRequirement, PypiRequirement, parse_line
from nixlib.requirements.pypi import as_specifiers
from nixlib.requirements.refusal import Place, public_line, public_url

__all__ = [
    "Wanted",
    "bounded_above",
    "parse_requirement",
    "parse_requirements",
    "public_line",
    "public_url",
]

_UPPER = {"<", "<=", "==", "===", "~="}
_UNRESOLVED = {
    "conda": "is a conda match spec, and conda is not resolved yet",
    "nixpkgs": "is an attribute of nixpkgs, and nixpkgs is not resolved yet",
}


@dataclass(frozen=True)
class Wanted:
    """One requirement of the notebook: where it stands, how it was written, what it means."""

    number: int
    text: str
    name: str
    requirement: Requirement

    @property
    def capped(self) -> bool:
        """Whether its author set an upper bound on the version."""
        return bounded_above(self.requirement)


def bounded_above(requirement: Requirement) -> bool:
    """Whether the line says up to which version; a URL does, `!=` and `>=` do not."""
    return requirement.url is not None or any(_caps(item) for item in requirement.specifier)


def _caps(specifier: Specifier) -> bool:
    return specifier.operator in _UPPER


def parse_requirements(lines: Sequence[str]) -> tuple[Wanted, ...]:
    """Every line of the notebook, read.

    Raises:
        RequirementError: The first line that is not a requirement we can honour.
    """
    return tuple(parse_requirement(line, number) for number, line in enumerate(lines, start=1))


def parse_requirement(line: str, number: int = 1) -> Wanted:
    """One line; `number` counts from 1 and is only for messages.

    Raises:
        RequirementError: It cannot be read, or asks for what a lock cannot hold yet.
    """
    read = parse_line(line, number)
    if not isinstance(read, PypiRequirement):
        raise _unresolved(read, Place(line, number))
    text = line.strip()
    # Not of what was read: that has no secrets, and the credentials of a URL are needed to fetch it.
    requirement = Requirement(text)
    return Wanted(number, public_line(text), canonicalize_name(requirement.name), requirement)


def _unresolved(read: AnyRequirement, place: Place) -> RequirementError:
    details = (f"read as `{read}`",) if str(read) != place.line.strip() else ()
    return place.refused(_UNRESOLVED[read.kind], details=details, hint=_from_pypi(read))


def _from_pypi(read: AnyRequirement) -> str:
    """How PyPI is asked for the same, where somebody may have meant that: `pandas 1.5`."""
    if read.kind != "conda" or read.build or read.channel or read.name.startswith("_"):
        return ""
    specifiers = as_specifiers(read.version or "*")
    return f"`{read.name}{specifiers}` asks PyPI for it" if specifiers else ""
