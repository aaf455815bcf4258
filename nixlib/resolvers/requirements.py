"""The notebook's requirement lines as what uv can resolve, read as untrusted text (pure).

A notebook comes from anywhere. Its lines reach uv only as parsed PEP 508 requirements that are printed
again by us, so no line can smuggle in an option, a file of this machine or a build script.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from packaging.requirements import Requirement
from packaging.specifiers import Specifier, SpecifierSet
from packaging.utils import canonicalize_name

from nixlib.errors import RequirementError
from nixlib.requirements import AnyRequirement, PypiRequirement, parse_line
from nixlib.requirements.direct import Direct
from nixlib.requirements.pypi import as_specifiers
from nixlib.requirements.refusal import Place, public_line, public_url
from nixlib.sources.source import SourceWanted

__all__ = [
    "Wanted",
    "bounded_above",
    "parse_requirement",
    "parse_requirements",
    "public_line",
    "public_url",
]

_UPPER = {"<", "<=", "==", "===", "~="}
_NOT_OURS = {
    "conda": "is a conda match spec, which no Python index has an answer to",
    "nixpkgs": "is an attribute of nixpkgs, which no Python index has an answer to",
}


@dataclass(frozen=True)
class Wanted:
    """One requirement of the notebook: where it stands, how it was written, what it means.

    Attributes:
        number: Its place among the requirements, from 1.
        text: The line, without what may be secret in it.
        name: Normalised; of a folder whose project is not known yet the folder.
        requirement: What uv is asked; of a source only once it is `opened`.
        source: What its wheel is built from, where it is no index that gives it.
    """

    number: int
    text: str
    name: str
    requirement: Requirement
    source: SourceWanted | None = None

    @property
    def is_direct(self) -> bool:
        """Whether it says where the package is, so that its version is nobody's choice."""
        return self.source is not None or self.requirement.url is not None

    @property
    def capped(self) -> bool:
        """Whether its author set an upper bound on the version."""
        return self.is_direct or bounded_above(self.requirement)

    def opened(self, name: str, version: str) -> Wanted:
        """The same requirement, now that its source has said what it is."""
        requirement = Requirement(str(self.requirement))
        requirement.name, requirement.specifier = name, SpecifierSet(f"=={version}")
        return replace(self, name=name, requirement=requirement)


def bounded_above(requirement: Requirement) -> bool:
    """Whether the line says up to which version; a URL does, `!=` and `>=` do not."""
    return requirement.url is not None or any(_caps(item) for item in requirement.specifier)


def _caps(specifier: Specifier) -> bool:
    return specifier.operator in _UPPER


def parse_requirements(lines: Sequence[str], numbers: Sequence[int] = ()) -> tuple[Wanted, ...]:
    """Every line of the notebook, read; `numbers` says where each stands, if not one after another.

    Raises:
        RequirementError: The first line that is not a requirement we can honour.
    """
    places = numbers or range(1, len(lines) + 1)
    return tuple(parse_requirement(*pair) for pair in zip(lines, places, strict=True))


def parse_requirement(line: str, number: int = 1) -> Wanted:
    """One line; `number` counts from 1 and is only for messages.

    Raises:
        RequirementError: It cannot be read, or is not for Python indexes.
    """
    read = parse_line(line, number)
    if not isinstance(read, PypiRequirement):
        raise _not_ours(read, Place(line, number))
    text = line.strip()
    if read.direct is not None and read.direct.kind is not None:
        return _from_source(read, read.direct, number, text)
    # Not of what was read: that has no secrets, and the credentials of a URL are needed to fetch it.
    requirement = Requirement(text)
    return Wanted(number, public_line(text), canonicalize_name(requirement.name), requirement)


def _from_source(read: PypiRequirement, direct: Direct, number: int, text: str) -> Wanted:
    extras = f"[{','.join(read.extras)}]" if read.extras else ""
    marker = f" ; {read.marker}" if read.marker else ""
    name = canonicalize_name(read.name)
    source = SourceWanted(
        kind=direct.kind or "",
        # As it was typed: the credentials in it are needed to fetch it.
        url=(Requirement(text).url or "").partition("#")[0] if direct.kind == "sdist" else "",
        location=direct.folder or (direct.url if direct.kind == "git" else ""),
        commit=direct.commit,
        subdirectory=direct.subdirectory,
        name=name,
    )
    requirement = Requirement(f"{name or 'unnamed'}{extras}{marker}")
    return Wanted(number, str(read), name or direct.folder, requirement, source)


def _not_ours(read: AnyRequirement, place: Place) -> RequirementError:
    details = (f"read as `{read}`",) if str(read) != place.line.strip() else ()
    return place.refused(_NOT_OURS[read.kind], details=details, hint=_from_pypi(read))


def _from_pypi(read: AnyRequirement) -> str:
    """How PyPI is asked for the same, where somebody may have meant that: `pandas 1.5`."""
    if read.kind != "conda" or read.build or read.channel or read.name.startswith("_"):
        return ""
    specifiers = as_specifiers(read.version or "*")
    return f"`{read.name}{specifiers}` asks PyPI for it" if specifiers else ""
