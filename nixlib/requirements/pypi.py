"""PEP 508 lines: packages of PyPI and of other Python indexes (pure)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import unquote, urlsplit

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from nixlib.requirements.form import Parts
from nixlib.requirements.refusal import Place, public_line, public_url


@dataclass(frozen=True, slots=True)
class PypiRequirement:
    """A PEP 508 requirement.

    Attributes:
        name: As it is written; `canonical_name` is what indexes know it by.
        extras: Sorted.
        version: The specifiers without white space, in the author's order; None for any.
        marker: As `packaging` prints it.
        url: Of a wheel, without what may be secret in it.
    """

    name: str
    extras: tuple[str, ...] = ()
    version: str | None = None
    marker: str | None = None
    url: str | None = None

    kind: ClassVar = "pypi"
    build: ClassVar[None] = None
    channel: ClassVar[None] = None

    @property
    def canonical_name(self) -> str:
        """The name in lower case, with `-` for `_` and `.` (PEP 503)."""
        return canonicalize_name(self.name)

    def __str__(self) -> str:
        extras = f"[{','.join(self.extras)}]" if self.extras else ""
        if self.url:
            # A URL ends at white space only.
            marker = f" ; {self.marker}" if self.marker else ""
            return f"{self.name}{extras} @ {self.url}{marker}"
        marker = f"; {self.marker}" if self.marker else ""
        return f"{self.name}{extras}{self.version or ''}{marker}"

    def to_json(self) -> dict[str, Any]:
        """What only this kind has."""
        return {"url": self.url}


def parse_pypi(text: str, parts: Parts, place: Place) -> PypiRequirement:
    """`text` as PEP 508.

    Raises:
        RequirementError: It does not parse, or asks for what a lock cannot hold.
    """
    try:
        requirement = Requirement(text)
    except InvalidRequirement as error:
        reason = public_line(str(error).splitlines()[0])
        raise place.refused(f"is not a PEP 508 requirement: {reason}") from error
    # `packaging` reads `pandas===` as the version that is no text at all, which no release is.
    if any(not clause.version for clause in requirement.specifier):
        raise place.refused("is not a PEP 508 requirement: a version is missing")
    if requirement.url is not None:
        _check_url(requirement.url, place)
    return PypiRequirement(
        name=requirement.name,
        extras=tuple(sorted(requirement.extras)),
        version=parts.version or None,
        marker=str(requirement.marker) if requirement.marker else None,
        url=public_url(requirement.url) if requirement.url else None,
    )


def _check_url(url: str, place: Place) -> None:
    try:
        address = urlsplit(url)
    except ValueError as error:
        raise place.refused(f"has no proper URL: {error}") from error
    scheme = address.scheme.lower()
    if "+" in scheme:
        raise place.refused("is a version control address, which a lock cannot hold")
    if scheme not in ("http", "https"):
        raise place.refused(f"has a `{scheme or 'file'}:` URL, which other machines cannot follow")
    filename = unquote(address.path).rsplit("/", 1)[-1]
    if not filename.endswith(".whl"):
        raise place.refused(
            f"points to `{filename[:80]}`, not to a wheel: sdists are not supported yet"
        )


def is_pypi(text: str) -> bool:
    """Whether `text` is PEP 508."""
    try:
        Requirement(text)
    except InvalidRequirement:
        return False
    return True


def as_specifiers(version: str) -> str | None:
    """A canonical conda version as PEP 440 specifiers; None where there is no such thing.

    Examples:
        >>> as_specifiers(">=3.0.8,3.0.*"), as_specifiers("8.*|==11")
        ('>=3.0.8,==3.0.*', None)
    """
    if version == "*":
        return ""
    clauses = version.split(",")
    text = ",".join(f"=={one}" if re.match(r"\d", one) else one for one in clauses)
    return text if is_pypi(f"x{text}") else None
