"""One requirement line, read in the words of the ecosystem that it is for (pure).

Three syntaxes share one list: PEP 508, conda's match specs, attributes of nixpkgs. Which one a line is in is
decided by its form and never by its names: what conda's grammar has and PEP 508's has not (`::`, `|`, a
single `=`, a version without an operator, a build string, `[key=value]`) makes a match spec, a `#` an
attribute, `./` or `-e` in front a folder, and the rest is PEP 508. No line is valid in two of them, and one that mixes them is refused with
both readings. Lines come from strangers' notebooks: nothing of one leaves here that no grammar has let pass.
"""

from __future__ import annotations

from typing import TypeAlias

from nixlib.requirements.conda import CondaRequirement, parse_conda
from nixlib.requirements.direct import split_folder
from nixlib.requirements.form import split_line
from nixlib.requirements.mixture import refuse_mixture
from nixlib.requirements.nixpkgs import NixpkgsRequirement, parse_nixpkgs
from nixlib.requirements.pypi import PypiRequirement, parse_folder, parse_pypi
from nixlib.requirements.refusal import Place

__all__ = [
    "AnyRequirement",
    "CondaRequirement",
    "NixpkgsRequirement",
    "PypiRequirement",
    "parse_line",
]

AnyRequirement: TypeAlias = PypiRequirement | CondaRequirement | NixpkgsRequirement


def parse_line(line: str, number: int | None = None) -> AnyRequirement:
    """How `line` is read; `number` counts from 1 and is only for messages.

    Printing what comes back and parsing that again gives the same.

    Raises:
        RequirementError: It is in none of the syntaxes, in two of them, or asks for what a lock cannot hold.

    Examples:
        >>> parse_line("pandas[excel] >= 1.5; python_version > '3.8'").version
        '>=1.5'
        >>> str(parse_line("openjdk =8|11"))
        'openjdk 8.*|==11'
        >>> parse_line("nixpkgs#graphviz").name
        'graphviz'
        >>> str(parse_line("-e ./lib/"))
        '-e ./lib'
    """
    place = Place(line, number)
    text = place.checked_text()
    folder = split_folder(text)
    if folder is not None:
        return parse_folder(folder, place)
    parts = split_line(text)
    if parts.attribute is not None:
        return parse_nixpkgs(parts, place)
    if not parts.is_conda:
        refuse_mixture(parts, place)
        return parse_pypi(text, parts, place)
    conda = parse_conda(parts, place)
    refuse_mixture(parts, place, conda)
    return conda
