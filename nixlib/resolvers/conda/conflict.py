"""A refusal of rattler's solver, said in the notebook's own terms: which of *its* lines is at fault (pure).

The first line names a requirement of the notebook; the solver's tree follows as evidence.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from nixlib.errors import ResolutionError
from nixlib.requirements import CondaRequirement
from nixlib.requirements.refusal import public_line
from nixlib.resolvers.conda.problem import Refused

__all__ = ["CondaAsker", "CondaWanted", "explain_conda", "short_reason"]

_TREE_LINES = 30
_BUILDS_SHOWN = 12
_HEAD = re.compile(
    r"^Cannot solve the request because of: (The following packages are incompatible\n?)?"
)
_BRANCH = re.compile(r"[├└]─ (\S+)")
_ROOT = re.compile(r"^(?:[├└]─ )?([a-z0-9_][a-z0-9_.-]*)(?= )", re.MULTILINE)
_NONE = re.compile(
    r"[Nn]o candidates were found for ([a-z0-9_][a-z0-9_.-]*)([^\n]*?)\.?$", re.MULTILINE
)
_VIRTUAL = re.compile(r"(__[a-z0-9_]+)([^,\n]*), for which no candidates were found")
_DEEPER = re.compile(r"─ ([a-z0-9][a-z0-9_.-]*)([^,\n]*), for which no candidates were found")
_CONSTRAINT = re.compile(r"the constraint (\S+)[^\n]* cannot be fulfilled")
_PATTERN = re.compile(r"\^\((?:[^()]|\([^()]*\))*\)\?([A-Za-z0-9_.-]*)(.*?)\$(?=['\"])")
"""What `nixlib.variants` asks of a build: a word, which is left of it in a message, or more."""
_CUTOFF = "is excluded because the package is uploaded after the cutoff"
_PRIORITY = "is excluded because due to strict channel priority"
_VARIANT_OF = {"__cuda": "cuda", "__glibc": "glibc", "__archspec": "archspec", "__osx": "osx"}


@dataclass(frozen=True)
class CondaWanted:
    """One line of the notebook: where it stands, how it was written, what it means."""

    number: int
    text: str
    requirement: CondaRequirement

    @property
    def subject(self) -> str:
        """As a message names it."""
        return f"requirement {self.number} `{self.text}`"


@dataclass(frozen=True)
class CondaAsker:
    """Who asked, for messages."""

    notebook: str
    wanted: Sequence[CondaWanted]
    channels: Sequence[str]
    python: str | None = None
    exclude_newer: str | None = None

    @property
    def title(self) -> str:
        """The notebook as a message names it."""
        return f"`{self.notebook}`" if self.notebook else "this notebook"


class _Reason(NamedTuple):
    """What is wrong, evidence of our own, and the way out."""

    summary: str
    details: tuple[str, ...] = ()
    hint: str = ""


def explain_conda(refused: Refused, asker: CondaAsker) -> ResolutionError:
    """The error for a refusal."""
    guilty = _guilty(refused, asker)
    first = guilty[0] if guilty else None
    reason = _reason(refused, asker, guilty)
    return ResolutionError(
        f"cannot resolve {asker.title}: {reason.summary}",
        details=(*reason.details, *_tree(refused)),
        hint=reason.hint,
        requirement=first.text if first else "",
        notebook=asker.notebook,
    )


def short_reason(refused: Refused, asker: CondaAsker) -> str:
    """Why a system is left out, in one line."""
    return _reason(refused, asker, _guilty(refused, asker)).summary


def _reason(refused: Refused, asker: CondaAsker, guilty: Sequence[CondaWanted]) -> _Reason:
    found = (reason(refused, asker, guilty) for reason in _REASONS)
    return next((reason for reason in found if reason), None) or _clash(refused, asker, guilty)


def _absent(refused: Refused, asker: CondaAsker, guilty: Sequence[CondaWanted]) -> _Reason | None:
    """What the notebook itself asks for, and no channel has."""
    del guilty
    system = refused.problem.system
    for item in asker.wanted:
        name = item.requirement.name
        if name in refused.known and not refused.known[name]:
            where = ", ".join(f"`{channel}`" for channel in asker.channels)
            summary = f"{item.subject}: no channel has a package `{name}` for {system}"
            return _Reason(summary, (f"asked: {where}",))
    for name, rule in _NONE.findall(refused.said):
        own = next((item for item in asker.wanted if item.requirement.name == name), None)
        if own is not None and refused.known.get(name):
            fitting = f" that is `{rule.strip()}`" if rule.strip(" *") else ""
            summary = f"{own.subject}: there is no `{name}`{fitting} for {system}"
            return _Reason(summary, (f"the channels have {', '.join(refused.known[name])}",))
    return None


def _no_virtual(
    refused: Refused, asker: CondaAsker, guilty: Sequence[CondaWanted]
) -> _Reason | None:
    """A virtual package that is not there, or not as it is needed."""
    del asker
    found = _VIRTUAL.search(refused.said)
    if found is None:
        return None
    name, rule = found[1], found[2].strip()
    system, virtual = refused.problem.system, refused.problem.virtual
    own = next((item for item in virtual if item.startswith(f"{name}=")), "")
    had = f"`{own}`" if own else "none"
    version = re.search(r"\d+(\.\d+)*", rule)
    variant = _VARIANT_OF.get(name)
    hint = ""
    if variant and version:
        hint = f'`"variants": {{"{variant}": "{version[0]}"}}` locks for a machine that has it'
    wanted = f"{name} {rule}".strip()
    return _Reason(
        f"{_subject(guilty)} needs the virtual package `{wanted}`, and {system} is solved for {had}",
        (f"all that it is solved for: {', '.join(f'`{item}`' for item in virtual)}",),
        hint,
    )


def _too_new(refused: Refused, asker: CondaAsker, guilty: Sequence[CondaWanted]) -> _Reason | None:
    """Nothing from before the cut-off."""
    if not (asker.exclude_newer and _CUTOFF in refused.said):
        return None
    return _Reason(
        f"{_subject(guilty)} has no version that is not newer than {asker.exclude_newer}"
    )


def _hidden(refused: Refused, asker: CondaAsker, guilty: Sequence[CondaWanted]) -> _Reason | None:
    """What only a later channel has, of a name that an earlier one has too."""
    if not (_PRIORITY in refused.said and len(asker.channels) > 1):
        return None
    hint = '`"channel-priority": "flexible"` lets a later channel have what an earlier one has not'
    return _Reason(f"{_subject(guilty)} cannot be met with strict channel priority", (), hint)


def _elsewhere(
    refused: Refused, asker: CondaAsker, guilty: Sequence[CondaWanted]
) -> _Reason | None:
    """A dependency that no channel has for this system."""
    del asker
    found = _DEEPER.search(refused.said)
    if found is None:
        return None
    need = f"{found[1]} {found[2].strip(' *')}".strip()
    return _Reason(
        f"{_subject(guilty)} needs `{need}`, which no channel has for {refused.problem.system}"
    )


def _no_variant(
    refused: Refused, asker: CondaAsker, guilty: Sequence[CondaWanted]
) -> _Reason | None:
    """A choice of the variants that a package cannot follow."""
    del asker
    if not (refused.problem.choices and set(_CONSTRAINT.findall(refused.said)) - {"python"}):
        return None
    choices = json.dumps(dict(refused.problem.choices), sort_keys=True)
    details = []
    for name in dict.fromkeys(item.requirement.name for item in guilty):
        if known := refused.known.get(name):
            version = [*known][-1]
            builds = ", ".join(f"`{build}`" for build in known[version][:_BUILDS_SHOWN])
            details.append(f"`{name} {version}` has the builds {builds}")
    return _Reason(f"{_subject(guilty)} does not fit the variants `{choices}`", tuple(details))


_REASONS = (_absent, _no_virtual, _too_new, _hidden, _elsewhere, _no_variant)
"""The most telling first."""


def _clash(refused: Refused, asker: CondaAsker, guilty: Sequence[CondaWanted]) -> _Reason:
    subject = _subject(guilty)
    if others := [item.subject for item in guilty[1:]]:
        return _Reason(f"{subject} does not fit together with {', '.join(others)}")
    if asker.python and re.search(r"\bpython\b", refused.said):
        return _Reason(f"{subject} cannot be met with Python {asker.python}")
    return _Reason(f"{subject} cannot be met")


def _subject(guilty: Sequence[CondaWanted]) -> str:
    return guilty[0].subject if guilty else "what it asks for"


def _guilty(refused: Refused, asker: CondaAsker) -> list[CondaWanted]:
    """The notebook's lines that the tree speaks of: its roots, then what is deeper in it."""
    text = _HEAD.sub("", refused.said)
    roots = set(_ROOT.findall(text))
    named = roots | {*_BRANCH.findall(text), *(name for name, _ in _NONE.findall(text))}
    found = [item for item in asker.wanted if item.requirement.name in named]
    # One with a version or a build is the likelier culprit than one without.
    return sorted(found, key=lambda item: (item.requirement.name not in roots, not _bounds(item)))


def _bounds(item: CondaWanted) -> bool:
    return (item.requirement.version or "*") != "*" or bool(item.requirement.build)


def _tree(refused: Refused) -> tuple[str, ...]:
    lines = [line for line in _HEAD.sub("", refused.said).splitlines() if line.strip()]
    shown = [_PATTERN.sub(r"*\1*", public_line(line)) for line in lines[:_TREE_LINES]]
    return (*shown, "…") if len(lines) > _TREE_LINES else tuple(shown)
