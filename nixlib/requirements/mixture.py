"""Lines that are half in one syntax and half in another, or are two lines in one (pure)."""

from __future__ import annotations

import re

from nixlib.requirements.conda import CondaRequirement
from nixlib.requirements.form import Parts
from nixlib.requirements.pypi import as_specifiers, is_pypi
from nixlib.requirements.refusal import Place


def refuse_mixture(parts: Parts, place: Place, conda: CondaRequirement | None = None) -> None:
    """Nothing, if `parts` are of one syntax; `conda` is what conda's part of them says.

    Raises:
        RequirementError: They are not; it says how to write each reading.
    """
    if conda is None:
        _refuse_words(parts, place)
        return
    if parts.extras is None and parts.marker is None:
        return
    raise place.two_readings(
        f"as a PEP 508 requirement: {_as_pypi(parts, conda)}",
        f"as a conda match spec, which has no extras and no markers: `{conda}`",
    )


def _refuse_words(parts: Parts, place: Place) -> None:
    words = (parts.version, *parts.more)
    is_two_words = len(words) == 1 and re.fullmatch(r"[A-Za-z][A-Za-z0-9_.-]*", parts.version)
    if is_two_words and parts.name and not parts.brackets and parts.marker is None:
        raise place.two_readings(
            f"as two requirements, each a line: `{parts.name}`, `{parts.version}`",
            f"as a conda match spec with a build string: `{parts.name} * {parts.version}`",
        )


def _as_pypi(parts: Parts, conda: CondaRequirement) -> str:
    """The line as PEP 508 would have it, without what PEP 508 has no words for."""
    specifiers = as_specifiers(conda.version or "*")
    extras = f"[{parts.extras.strip()}]" if parts.extras else ""
    marker = f"; {parts.marker}" if parts.marker else ""
    text = f"{parts.name}{extras}{specifiers or ''}{marker}"
    if specifiers is None or not is_pypi(text):
        return "its versions joined by commas, without `|`, `::` and `[key=value]`"
    return f"`{text}`"
