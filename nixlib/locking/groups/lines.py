"""The lines of a group in the notebook's process, and what of the notebook's own lines is the group's."""

from __future__ import annotations

from dataclasses import dataclass, replace

from nixlib.errors import PrivateGroupError, RequirementError
from nixlib.locking.asked import Asked
from nixlib.locking.groups.refusals import line_refused, process_hint, refused
from nixlib.locking.lines import ChosenLines
from nixlib.private.singletons import reason
from nixlib.requirements import PypiRequirement, parse_line
from nixlib.requirements.refusal import public_line
from nixlib.spec import PrivateGroup, Spec

__all__ = ["GroupLines", "asks_for", "left_to_groups", "read_group"]

_OTHERS = {
    "conda": "is a conda match spec, and conda's packages find each other in one prefix, of which a process has one",
    "nixpkgs": "is an attribute of nixpkgs, and the packages of nixpkgs find each other in one prefix",
}


@dataclass(frozen=True)
class GroupLines:
    """What a group asks for.

    Attributes:
        group: As the spec has it.
        texts: Its lines, that of the notebook for the package that it is for among them.
        names: Normalised names of what they ask for.
    """

    group: PrivateGroup
    texts: tuple[str, ...]
    names: tuple[str, ...]


def read_group(asked: Asked, group: PrivateGroup) -> GroupLines:
    """The lines of `group`, if packages of indexes are all that they ask for.

    Raises:
        RequirementError: A line cannot be read.
        PrivateGroupError: It asks for what cannot be private in the notebook's process.
    """
    texts = (*_moved(asked.spec, group), *group.requirements)
    texts = tuple(dict.fromkeys(texts))
    names: list[str] = []
    for number, text in enumerate(group.requirements, start=1):
        try:
            read = parse_line(text, number)
        except RequirementError as error:
            raise line_refused(error, group) from error
        why = _why_not(read)
        if why:
            hint = process_hint(group, texts)
            raise refused(group, asked.notebook, f"`{public_line(text)}` {why}", hint=hint)
        if isinstance(read, PypiRequirement) and read.name:
            names.append(read.canonical_name)
    if group.package and group.package not in names:
        names.append(group.package)
        if not _moved(asked.spec, group):
            texts = (group.package, *texts)
    why_once = reason(group.package) if group.package else None
    if why_once:
        raise refused(
            group,
            asked.notebook,
            f"`{group.package}` cannot have a group of its own",
            reasons=[f"a process can hold only one `{group.package}`: {why_once}"],
            packages=[group.package],
        )
    return GroupLines(group, texts, tuple(names))


def _why_not(read: object) -> str:
    """Why a line cannot be a group's in the notebook's process; empty where it can."""
    if not isinstance(read, PypiRequirement):
        return _OTHERS[getattr(read, "kind", "conda")]
    if read.direct is not None and read.direct.kind == "editable":
        return "is a folder to be edited in place, which only the notebook's own packages can be"
    return ""


def _moved(spec: Spec, group: PrivateGroup) -> tuple[str, ...]:
    """The notebook's own lines that ask for the package that `group` is for."""
    if not group.package:
        return ()
    return tuple(text for text in spec.requirements if asks_for(text, group.package))


def asks_for(text: str, name: str) -> bool:
    """Whether a line asks an index for the package of that normalised name."""
    read = parse_line(text)
    return isinstance(read, PypiRequirement) and bool(read.name) and read.canonical_name == name


def left_to_groups(asked: Asked, chosen: ChosenLines) -> ChosenLines:
    """The notebook's lines without those that are a group's.

    Raises:
        PrivateGroupError: A package that a group is for comes from elsewhere than an index.
    """
    owners = {group.package: group for group in asked.spec.private if group.package}
    if not owners:
        return chosen
    for line in chosen.lines.conda:
        if line.read.name in owners:
            raise _from_elsewhere(owners[line.read.name], line.text, "conda", asked.notebook)
    for attribute in chosen.lines.nixpkgs:
        name = attribute.read.name.rpartition(".")[2].lower()
        if name in owners:
            raise _from_elsewhere(owners[name], attribute.text, "nixpkgs", asked.notebook)
    kept = tuple(
        line
        for line in chosen.lines.pypi
        if not line.read.name or line.read.canonical_name not in owners
    )
    return replace(chosen, lines=replace(chosen.lines, pypi=kept))


def _from_elsewhere(
    group: PrivateGroup, text: str, source: str, notebook: str
) -> PrivateGroupError:
    return refused(
        group,
        notebook,
        f"`{public_line(text)}` is of {source}, and only packages of Python indexes can have dependencies of their own",
        packages=[group.package],
    )
