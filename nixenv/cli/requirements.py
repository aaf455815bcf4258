"""Editing the list of requirements: what was typed, against what is there (pure)."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from nixlib.errors import RequirementError


def requirement_name(text: str, *, key: str = "requirements") -> str:
    """The normalised name (PEP 503) that a PEP 508 requirement is about.

    Raises:
        RequirementError: It cannot be read; the evidence has a caret under the place.
    """
    from packaging.requirements import InvalidRequirement, Requirement  # noqa: PLC0415
    from packaging.utils import canonicalize_name  # noqa: PLC0415

    try:
        return canonicalize_name(Requirement(text).name)
    except InvalidRequirement as error:
        reason, *picture = str(error).splitlines()
        raise RequirementError(
            f"cannot read the requirement `{text}`: {reason[:1].lower()}{reason[1:]}",
            details=tuple(picture),
            requirement=text,
            key=key,
        ) from error


def with_added(existing: Sequence[str], wanted: Sequence[str]) -> tuple[str, ...]:
    """`existing` with `wanted`: a requirement of the same name is replaced where it stands.

    Raises:
        RequirementError: One of either cannot be read.
    """
    lines = list(existing)
    for text in wanted:
        name = requirement_name(text)
        places = [number for number, line in enumerate(lines) if _name_at(lines, number) == name]
        # Several lines of one name differ by their markers; what is typed now takes their place.
        for number in reversed(places[1:]):
            del lines[number]
        if places:
            lines[places[0]] = text
        else:
            lines.append(text)
    return tuple(lines)


def with_removed(existing: Sequence[str], names: Sequence[str]) -> tuple[str, ...]:
    """`existing` without the requirements of these names.

    Raises:
        RequirementError: A name is not required; the nearest one is named.
    """
    lines = list(existing)
    known = [_name_at(lines, number) for number in range(len(lines))]
    gone = {_known_name(text, known) for text in names}
    return tuple(line for line, name in zip(lines, known, strict=True) if name not in gone)


def _known_name(text: str, known: list[str]) -> str:
    name = requirement_name(text)
    if name in known:
        return name
    near = difflib.get_close_matches(name, known, n=1)
    raise RequirementError(
        f"`{text}` is not among the requirements",
        details=(f"they are {', '.join(f'`{one}`' for one in known)}",) if known else ("there are none",),
        hint=f"did you mean `{near[0]}`?" if near else "",
        requirement=text,
        key="nixenv.requirements",
    )


def _name_at(lines: Sequence[str], number: int) -> str:
    return requirement_name(lines[number], key=f"nixenv.requirements[{number}]")
