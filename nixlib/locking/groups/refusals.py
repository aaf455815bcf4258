"""Why a group cannot be, in the group's own words: its lines, what it would need, and the way out (pure)."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from nixlib.errors import (
    NixError,
    PrivateGroupError,
    RequirementError,
    ResolutionError,
    SourceBuildError,
)
from nixlib.platforms import PYTHONS
from nixlib.requirements.refusal import public_line, typed
from nixlib.spec import PrivateGroup

__all__ = ["build_in_words_of", "called", "in_words_of", "line_refused", "process_hint", "refused"]

_TITLE = re.compile(r"^cannot resolve (this notebook|`[^`]*`): ")
_FOR_PYTHONS = re.compile(r"Python ([23]\.\d+(?:, [23]\.\d+)*) on ([^;]+)")
_SYSTEM = re.compile(r" on (\w+-(?:linux|darwin))\b")
_PLACES = {
    "x86_64-linux": {"Linux x86_64"},
    "aarch64-linux": {"Linux aarch64"},
    "x86_64-darwin": {"macOS x86_64", "macOS universal2"},
    "aarch64-darwin": {"macOS arm64", "macOS universal2"},
}


def called(group: PrivateGroup) -> str:
    """What messages call a group."""
    return f"private group `{group.name}`"


def refused(
    group: PrivateGroup,
    notebook: str,
    why: str,
    *,
    reasons: Sequence[str] = (),
    packages: Sequence[str] = (),
    hint: str = "",
) -> PrivateGroupError:
    """The error that says which group, of which notebook, and `why` not."""
    where = f" of `{notebook}`" if notebook else ""
    return PrivateGroupError(
        f"{called(group)}{where}: {why}",
        details=tuple(reasons),
        hint=hint,
        group=group.name,
        packages=tuple(packages),
        reasons=tuple(reasons) or (why,),
        notebook=notebook,
    )


def process_hint(group: PrivateGroup, lines: Sequence[str], *, python: str = "") -> str:
    """How the group gets a process of its own, in which nothing is shared."""
    value = {"requirements": [public_line(line) for line in lines], "mode": "process"}
    if python:
        value["python"] = python
    said = json.dumps({group.name: value}, ensure_ascii=False)
    words = " ".join(typed(public_line(line)) for line in lines)
    option = f" --python {python}" if python else ""
    if group.package:
        return f'`"private": {said}` gives it a process of its own'
    command = f"%nixenv add --private {group.name} --process{option} {words}"
    return f'`"private": {said}` gives it a process of its own: `{command}`'


def line_refused(error: RequirementError, group: PrivateGroup) -> RequirementError:
    """The error of a line, as one of the group's."""
    summary = re.sub(r"^requirement \d+ ", "", error.summary)
    lines = f"nixenv.private.{group.name}.requirements"
    fields = {
        **error.fields,
        "key": error.fields.get("key", "").replace("nixenv.requirements", lines),
    }
    told = RequirementError(summary, details=error.details, hint=error.hint, **fields)
    return told.within(called(group))


def in_words_of(
    error: ResolutionError,
    group: PrivateGroup,
    lines: Sequence[str],
    notebook: str,
    *,
    once: str = "",
) -> PrivateGroupError:
    """A failed resolution of the group's lines, told of the group.

    Args:
        error: As the resolver tells it of a notebook.
        group: Whose lines they are.
        lines: All that were resolved.
        notebook: Its name, for the message.
        once: Why a process can hold only one of what the notebook brings, if that is what stands in the way.
    """
    why = re.sub(r"requirement \d+ (?=`)", "", _TITLE.sub("", error.summary))
    why = why.replace("the notebook's kernel", "what it asks for")
    evidence = tuple(line.replace("this notebook", "the group") for line in error.details)
    name = error.fields.get("provided", "")
    hint = error.hint
    if group.is_process:
        pass
    elif name:
        # The index has them; the group has the notebook's one to choose from.
        none = f"there is no version of {name}"
        evidence = tuple(
            re.sub(rf"{re.escape(none)}(?![\w-])", f"the notebook has no {name}", line)
            for line in evidence
        )
        evidence = (f"a process can hold only one `{name}`: {once}", *evidence)
        hint = process_hint(group, lines)
    elif python := _other_python(error):
        hint = process_hint(group, lines, python=python)
    return refused(
        group,
        notebook,
        why,
        reasons=evidence,
        packages=[name or error.fields.get("requirement", "")],
        hint=hint,
    )


def build_in_words_of(
    error: SourceBuildError, group: PrivateGroup, lines: Sequence[str]
) -> SourceBuildError:
    """A failed build for a group; where another Python has wheels of it, that is the way out."""
    python = "" if group.is_process else _other_python(error)
    hint = process_hint(group, lines, python=python) if python else error.hint
    told = SourceBuildError(error.summary, details=error.details, hint=hint, **error.fields)
    return told.within(called(group))


def _other_python(error: NixError) -> str:
    """A Python that would do where the notebook's does not; empty for none."""
    asked = error.fields.get("python", "")
    if asked:
        try:
            bounds = SpecifierSet(asked.strip(" ,."))
        except InvalidSpecifier:
            return ""
        return next((one for one in PYTHONS if bounds.contains(f"{one}.20")), "")
    system = _SYSTEM.search(error.summary)
    places = _PLACES.get(system[1], set()) if system else _PLACES["x86_64-linux"]
    told = [
        {
            version
            for versions, place in _FOR_PYTHONS.findall(line)
            if place in places
            for version in versions.split(", ")
        }
        for line in error.details
        if "has wheels for" in line
    ]
    return next((one for one in PYTHONS if told and all(one in line for line in told)), "")
