"""PEP 508 lines: packages of PyPI and of other Python indexes (pure)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, ClassVar

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from nixlib.requirements.direct import Direct, FolderLine, checked_folder, parse_direct
from nixlib.requirements.form import Parts
from nixlib.requirements.refusal import Place, public_line


@dataclass(frozen=True, slots=True)
class PypiRequirement:
    """A PEP 508 requirement.

    Attributes:
        name: As it is written; `canonical_name` is what indexes know it by. Empty for a folder, whose
            project says it.
        extras: Sorted.
        version: The specifiers without white space, in the author's order; None for any.
        marker: As `packaging` prints it.
        direct: Where it is, if no index is asked for it.
    """

    name: str
    extras: tuple[str, ...] = ()
    version: str | None = None
    marker: str | None = None
    direct: Direct | None = None

    kind: ClassVar = "pypi"
    build: ClassVar[None] = None
    channel: ClassVar[None] = None

    @property
    def canonical_name(self) -> str:
        """The name in lower case, with `-` for `_` and `.` (PEP 503)."""
        return canonicalize_name(self.name)

    def __str__(self) -> str:
        extras = f"[{','.join(self.extras)}]" if self.extras else ""
        if self.direct:
            # A URL ends at white space only.
            marker = f" ; {self.marker}" if self.marker else ""
            if self.name:
                return f"{self.name}{extras} @ {self.direct}{marker}"
            option = "-e " if self.direct.kind == "editable" else ""
            return f"{option}{self.direct}{extras}{marker}"
        marker = f"; {self.marker}" if self.marker else ""
        return f"{self.name}{extras}{self.version or ''}{marker}"

    def to_json(self) -> dict[str, Any]:
        """What only this kind has."""
        where = self.direct or Direct()
        said = {
            "url": where.url,
            "source": where.kind,
            "commit": where.commit,
            "subdirectory": where.subdirectory,
            "folder": where.folder,
        }
        return {key: value or None for key, value in said.items()}


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
    return PypiRequirement(
        name=requirement.name,
        extras=tuple(sorted(requirement.extras)),
        version=parts.version or None,
        marker=str(requirement.marker) if requirement.marker else None,
        direct=parse_direct(requirement.url, place) if requirement.url is not None else None,
    )


def parse_folder(line: FolderLine, place: Place) -> PypiRequirement:
    """A line that is a folder: the project in it says what it is called.

    Raises:
        RequirementError: It is a folder of one machine, or what stands behind it is no PEP 508.
    """
    folder = checked_folder(line.folder, place)
    marker = f" ; {line.marker}" if line.marker else ""
    try:
        rest = Requirement(f"x[{line.extras}]{marker}")
    except InvalidRequirement as error:
        raise place.refused("is not a folder with extras and a marker behind it") from error
    return PypiRequirement(
        name="",
        extras=tuple(sorted(rest.extras)),
        marker=str(rest.marker) if rest.marker else None,
        direct=Direct("editable" if line.editable else "path", folder=folder),
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
