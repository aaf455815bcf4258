"""Editing the list of requirements: what was typed, against what is there (pure)."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import replace

from nixlib.errors import RequirementError
from nixlib.resolvers.requirements import (
    Wanted,
    parse_requirement,
    parse_requirements,
    public_line,
    public_url,
)
from nixlib.spec import Spec


def with_added(existing: Sequence[str], typed: Sequence[str]) -> tuple[str, ...]:
    """`existing` with what was typed: a requirement of the same name is replaced where it stands.

    Several lines of one name that are typed at once all count. What was typed is written without the
    secrets of its URLs.

    Raises:
        RequirementError: A line of either cannot be read.
    """
    lines = list(parse_requirements(existing))
    new: dict[str, dict[str, Wanted]] = {}
    for number, text in enumerate(typed, start=1):
        wanted = _parse_typed(text, number)
        new.setdefault(wanted.name, {})[wanted.text] = wanted
    kept: list[Wanted] = []
    replaced = set(new)
    for line in lines:
        # Several lines of one name differ by their markers; what is typed now takes their place.
        kept += new.pop(line.name, {}).values()
        if line.name not in replaced:
            kept.append(line)
    kept += (wanted for group in new.values() for wanted in group.values())
    return tuple(line.text for line in kept)


def without_secrets(spec: Spec) -> Spec:
    """`spec` as it may be written into a notebook: no URL in it holds user info, query or fragment.

    What is typed by hand into the metadata comes this way; credentials are found again through the
    user's own configuration.
    """
    return replace(
        spec,
        requirements=tuple(public_line(line) for line in spec.requirements),
        indexes=tuple(public_url(url) for url in spec.indexes),
    )


def with_removed(existing: Sequence[str], names: Sequence[str]) -> tuple[str, ...]:
    """`existing` without the requirements of these names.

    Raises:
        RequirementError: A name is not required; the nearest one is named.
    """
    lines = parse_requirements(existing)
    known = [line.name for line in lines]
    gone = {_known_name(text, known) for text in names}
    return tuple(line.text for line in lines if line.name not in gone)


def _parse_typed(text: str, number: int) -> Wanted:
    """A requirement of the command line, which is not at a place in the notebook yet."""
    try:
        return parse_requirement(text, number)
    except RequirementError as error:
        raise RequirementError(
            error.summary.replace(f"requirement {number} ", "the requirement ", 1),
            details=error.details,
            hint=error.hint,
            requirement=text,
            key="requirements",
        ) from error


def _known_name(text: str, known: list[str]) -> str:
    name = _parse_typed(text, 1).name
    if name in known:
        return name
    near = difflib.get_close_matches(name, known, n=1)
    listed = ", ".join(f"`{one}`" for one in known)
    raise RequirementError(
        f"`{text}` is not among the requirements",
        details=(f"they are {listed}" if known else "there are none",),
        hint=f"did you mean `{near[0]}`?" if near else "",
        requirement=text,
        key="nixenv.requirements",
    )
