"""The lines of a spec, each given to the ecosystem that it is for (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from nixlib.requirements import AnyRequirement, parse_line
from nixlib.requirements.conda import CondaRequirement
from nixlib.requirements.nixpkgs import NixpkgsRequirement
from nixlib.requirements.pypi import PypiRequirement

__all__ = ["Line", "Lines", "read_lines", "sort_lines"]

_Read_co = TypeVar("_Read_co", bound=AnyRequirement, covariant=True)


@dataclass(frozen=True, slots=True)
class Line(Generic[_Read_co]):
    """One line.

    Attributes:
        number: Where it stands in the spec, from 1.
        text: As it was written.
        read: What it means.
    """

    number: int
    text: str
    read: _Read_co


@dataclass(frozen=True, slots=True)
class Lines:
    """The lines of a spec, by ecosystem, each in the author's order."""

    pypi: tuple[Line[PypiRequirement], ...]
    conda: tuple[Line[CondaRequirement], ...]
    nixpkgs: tuple[Line[NixpkgsRequirement], ...]


def read_lines(texts: Sequence[str]) -> tuple[Line[AnyRequirement], ...]:
    """Every line read.

    Raises:
        RequirementError: The first line that is in none of the syntaxes, or in two.
    """
    return tuple(Line(n, text, parse_line(text, n)) for n, text in enumerate(texts, start=1))


def sort_lines(lines: Sequence[Line[AnyRequirement]]) -> Lines:
    """Every line given to whom it is for.

    Examples:
        >>> found = sort_lines(read_lines(["pandas", "nixpkgs#graphviz", "numpy >1"]))
        >>> [line.number for line in found.pypi], [line.number for line in found.nixpkgs]
        ([1, 3], [2])
    """
    pypi, conda, nixpkgs = [], [], []
    for line in lines:
        if isinstance(line.read, PypiRequirement):
            pypi.append(Line(line.number, line.text, line.read))
        elif isinstance(line.read, CondaRequirement):
            conda.append(Line(line.number, line.text, line.read))
        else:
            nixpkgs.append(Line(line.number, line.text, line.read))
    return Lines(tuple(pypi), tuple(conda), tuple(nixpkgs))
