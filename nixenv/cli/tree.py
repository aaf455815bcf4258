"""`nixenv tree`: which package needs which, from the notebook's requirements down, and why each is from where."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Collection, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from nixenv.cli.carried import read_carried
from nixenv.cli.command import Context
from nixenv.cli.group_members import GroupMembers, group_members, group_of, hoisted, tops
from nixenv.cli.members import Member, answering, asked_for, members, roots_of
from nixenv.cli.report import Report
from nixenv.errors import UsageError
from nixlib.engine import KERNEL
from nixlib.lock import Lock
from nixlib.platforms import current_system
from nixlib.private.singletons import reason
from nixlib.requirements import PypiRequirement, parse_line
from nixlib.requirements.refusal import public_line

Node = dict[str, Any]

_FORMS = {
    "conda": "asked for as a match spec",
    "nixpkgs": "asked for as an attribute",
    "pypi": "the Python index, which bare names are from",
}


def run(arguments: argparse.Namespace, context: Context) -> Report:
    """Show the tree of `arguments.notebook`'s lock; with `arguments.why` the ways to it, and each choice."""
    del context
    carried = read_carried(arguments.notebook)
    lock = carried.fresh_lock()
    present = {member.key: member for member in members(lock, current_system())}
    groups = [
        (group, group.present, group.roots(group_of(carried.spec.private, group.name)))
        for group in group_members(lock, current_system())
    ]
    asked = asked_for(carried.spec.requirements, tuple(present.values()))
    if arguments.why:
        every = (*present.values(), *(one for _, there, _ in groups for one in there.values()))
        targets = _known(arguments.why, every)
        present = _leading_to(_keys(targets, present), present)
        groups = [
            (group, _leading_to(_keys(targets, there), there), asks)
            for group, there, asks in groups
        ]
    roots = roots_of(lock, asked, present)
    brought = hoisted(present, [group for group, _, _ in groups])
    is_told = arguments.why is not None
    reasons = _reasons(lock, asked, present, brought) if is_told else {}
    forest = grow((*roots, *tops(brought, present)), present, reasons)
    private, text = [], list(_drawn(forest))
    for group, there, asks in groups:
        grown = grow(tuple(asks), there, _group_reasons(group, asks) if is_told else {})
        if grown or not arguments.why:
            private.append({**group.to_json(), "tree": grown})
            text += ["", f"private {group.name}", *(f"  {line}" for line in _drawn(grown))]
    text = text[1:] if text and not text[0] else text
    return Report({"tree": forest, "private": private}, "\n".join(text), is_answer=True)


def _reasons(
    lock: Lock,
    asked: Mapping[str, str],
    present: Mapping[str, Member],
    brought: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, str]:
    """Why what was asked for is from where it is, and for which group the others are there."""
    found = {
        key: "the kernel, which every notebook has"
        for name in KERNEL
        for key in (name, f"conda:{name}")
        if key in present
    }
    if lock.interpreter.source == "conda" and "conda:python" in present:
        found["conda:python"] = "the Python that conda's packages are for"
    found |= {
        key: f"for the private group `{group}`: a process holds one{_since(key)}"
        for key, group in brought.items()
    }
    for key in asked:
        if member := present.get(key):
            names = (member.provides, member.name, member.name.rpartition(".")[2])
            chosen = [lock.choices[name] for name in names if name in lock.choices]
            form = f"{_form(member, asked[key])}: `{public_line(asked[key])}`"
            found[key] = chosen[0] if chosen else form
    return found


def _since(name: str) -> str:
    """Why a process holds one only, where that is known of the package itself."""
    why = reason(name)
    return f", since {why}" if why else ""


def _group_reasons(group: GroupMembers, asked: Mapping[str, str]) -> dict[str, str]:
    """Why a group has what it was asked for."""
    package = group.locked.package
    return {
        key: "the notebook imports it by its plain name"
        if key == package
        else f"`{public_line(line)}`"
        for key, line in asked.items()
    }


def _form(member: Member, line: str) -> str:
    read = parse_line(line)
    if isinstance(read, PypiRequirement) and read.direct is not None:
        return "asked for by where it is"
    return _FORMS[member.kind]


def grow(
    roots: Sequence[str], packages: Mapping[str, Member], reasons: Mapping[str, str] | None = None
) -> list[Node]:
    """The tree below `roots`, each with its reason; a package's own dependencies are given where it first appears.

    Otherwise a hundred packages make a tree of tens of thousands of lines; `seen` marks the others.
    """
    grown: set[str] = set()

    def node(key: str) -> Node:
        package = packages[key]
        is_seen = key in grown
        grown.add(key)
        below = [] if is_seen else [node(one) for one in package.requires if one in packages]
        return {
            "name": package.name,
            "version": package.version,
            **package.to_json(),
            "dependencies": below,
            **({"seen": True} if is_seen and package.requires else {}),
        }

    said = {key: {"reason": reason} for key, reason in (reasons or {}).items()}
    return [{**node(key), **said.get(key, {})} for key in roots if key in packages]


def _leading_to(targets: Sequence[str], packages: Mapping[str, Member]) -> dict[str, Member]:
    """Only the packages from which one of `targets` can be reached."""
    reaching = set(targets)
    while more := {
        key
        for key, package in packages.items()
        if key not in reaching and reaching.intersection(package.requires)
    }:
        reaching |= more
    return {key: packages[key] for key in packages if key in reaching}


def _keys(targets: Collection[str], packages: Mapping[str, Member]) -> list[str]:
    """How `packages` knows those of the members `targets` that it has."""
    return [key for key, member in packages.items() if member.key in targets]


def _known(text: str, present: Sequence[Member]) -> tuple[str, ...]:
    """The keys of what a name means.

    Raises:
        UsageError: Nothing of that name is there; the nearest is named.
    """
    if meant := answering(text, present):
        return tuple(member.key for member in meant)
    near = difflib.get_close_matches(text.lower(), [member.name for member in present], n=1)
    raise UsageError(
        f"`{text}` is not in the environment",
        hint=f"did you mean `{near[0]}`?" if near else "`nixenv list` shows every package",
        key="--why",
    )


def _drawn(nodes: Sequence[Node]) -> Iterator[str]:
    for node in nodes:
        yield _label(node)
        yield from _drawn_below(node["dependencies"], "")


def _drawn_below(nodes: Sequence[Node], indent: str) -> Iterator[str]:
    for number, node in enumerate(nodes, start=1):
        branch, below = ("└── ", "    ") if number == len(nodes) else ("├── ", "│   ")
        yield f"{indent}{branch}{_label(node)}"
        yield from _drawn_below(node["dependencies"], indent + below)


def _label(node: Node) -> str:
    words = [node["name"], node["version"]]
    words += [node["build"]] if node.get("build") else []
    reason, origin = node.get("reason", ""), node.get("origin", "")
    words += [f"({node['shared']}'s)"] if "shared" in node else []
    words += [f"({origin})"] if origin and not reason.startswith(f"{origin}:") else []
    words += ["(above)"] if node.get("seen") else []
    return f"{' '.join(words)}{f': {reason}' if reason else ''}"
