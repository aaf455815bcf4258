"""Editing the list of requirements: what was typed, against what is there (pure)."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from nixlib.errors import RequirementError
from nixlib.requirements import AnyRequirement, PypiRequirement, parse_line
from nixlib.requirements.refusal import public_line, public_url
from nixlib.spec import Spec


@dataclass(frozen=True, slots=True)
class _Line:
    """A requirement line and what it is about."""

    text: str
    read: AnyRequirement

    @property
    def name(self) -> str:
        """What two lines about the same thing share; a folder has only its path."""
        read = self.read
        if isinstance(read, PypiRequirement):
            return read.canonical_name or str(read.direct)
        return read.name

    @property
    def subject(self) -> tuple[str, str]:
        """The name among those of its own syntax: conda's `graphviz` is another thing than PyPI's."""
        return self.read.kind, self.name


def with_added(existing: Sequence[str], typed: Sequence[str]) -> tuple[str, ...]:
    """`existing` with what was typed: a requirement of the same name is replaced where it stands.

    Several lines of one name that are typed at once all count. What was typed is written without the
    secrets of its URLs.

    Raises:
        RequirementError: A line of either cannot be read.
    """
    lines = _read(existing)
    new: dict[tuple[str, str], dict[str, _Line]] = {}
    for text in typed:
        line = _read_typed(text)
        new.setdefault(line.subject, {})[line.text] = line
    kept: list[_Line] = []
    replaced = set(new)
    for line in lines:
        # Several lines of one name differ by their markers; what is typed now takes their place.
        kept += new.pop(line.subject, {}).values()
        if line.subject not in replaced:
            kept.append(line)
    kept += (line for group in new.values() for line in group.values())
    return tuple(line.text for line in kept)


def without_secrets(spec: Spec) -> Spec:
    """`spec` as it may be written into a notebook: no URL in it holds user info, query or fragment.

    What is typed by hand into the metadata comes this way; credentials are found again through the
    user's own configuration.
    """
    return replace(
        spec,
        requirements=_public(spec.requirements),
        private=tuple(
            replace(group, requirements=_public(group.requirements)) for group in spec.private
        ),
        indexes=tuple(public_url(url) for url in spec.indexes),
    )


def with_removed(existing: Sequence[str], names: Sequence[str]) -> tuple[str, ...]:
    """`existing` without the requirements of these names, whatever syntax they are in.

    A name that is written as an attribute or a match spec removes only lines of that syntax.

    Raises:
        RequirementError: A name is not required; the nearest one is named.
    """
    lines = _read(existing)
    gone = {line for text in names for line in _meant(text, lines)}
    return tuple(line.text for line in lines if line not in gone)


def names_of(lines: Sequence[str]) -> frozenset[str]:
    """What the lines are about, by normalised name.

    Raises:
        RequirementError: One cannot be read.
    """
    return frozenset(line.name for line in _read(lines))


def _public(lines: Sequence[str]) -> tuple[str, ...]:
    return tuple(public_line(line) for line in lines)


def _read(lines: Sequence[str]) -> list[_Line]:
    return [
        _Line(public_line(text.strip()), parse_line(text, number))
        for number, text in enumerate(lines, start=1)
    ]


def _read_typed(text: str) -> _Line:
    """A requirement of the command line, which is not at a place in the notebook yet."""
    try:
        return _Line(public_line(text.strip()), parse_line(text))
    except RequirementError as error:
        raise RequirementError(
            error.summary,
            details=error.details,
            hint=error.hint,
            requirement=text,
            key="requirements",
        ) from error


def _meant(text: str, lines: Sequence[_Line]) -> list[_Line]:
    same = [line for line in lines if line.text == text.strip()]
    if same:
        return same
    typed = _read_typed(text)
    found = [line for line in lines if line.subject == typed.subject]
    if typed.read.kind == "pypi":
        name = typed.read.name.lower()
        found += [line for line in lines if line.name == name and line not in found]
    if found:
        return found
    known = list(dict.fromkeys(line.name for line in lines))
    near = difflib.get_close_matches(typed.name, known, n=1)
    listed = ", ".join(f"`{one}`" for one in known)
    raise RequirementError(
        f"`{text}` is not among the requirements",
        details=(f"they are {listed}" if known else "there are none",),
        hint=f"did you mean `{near[0]}`?" if near else "",
        requirement=text,
        key="nixenv.requirements",
    )
