"""`nixenv tree`: which package needs which, from the notebook's requirements down, and why each is from where."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nixenv.cli.carried import Carried, read_carried
from nixenv.cli.command import Context
from nixenv.cli.members import Member, answering, asked_for, members
from nixenv.cli.report import Report
from nixenv.errors import UsageError
from nixlib.engine import KERNEL
from nixlib.lock import Lock
from nixlib.platforms import current_system
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
    asked = asked_for(carried.spec.requirements, tuple(present.values()))
    if arguments.why:
        targets = _known(arguments.why, tuple(present.values()))
        present = _leading_to(targets, present)
    reasons = {} if arguments.why is None else _reasons(lock, asked, present)
    forest = grow(_roots(asked, carried, present), present, reasons)
    return Report({"tree": forest}, "\n".join(_drawn(forest)), is_answer=True)


def _roots(
    asked: Mapping[str, str], carried: Carried, present: Mapping[str, Member]
) -> tuple[str, ...]:
    """What was asked for, in the notebook's order, then Python and the kernel, which nobody has to ask for."""
    source = carried.lock.interpreter.source if carried.lock else ""
    own = ("conda:python",) if source == "conda" else ()
    kernel = [key for name in KERNEL for key in (name, f"conda:{name}")]
    return tuple(key for key in dict.fromkeys([*asked, *own, *kernel]) if key in present)


def _reasons(lock: Lock, asked: Mapping[str, str], present: Mapping[str, Member]) -> dict[str, str]:
    """Why what was asked for is from where it is."""
    found = {
        key: "the kernel, which every notebook has"
        for name in KERNEL
        for key in (name, f"conda:{name}")
        if key in present
    }
    if lock.interpreter.source == "conda" and "conda:python" in present:
        found["conda:python"] = "the Python that conda's packages are for"
    for key in asked:
        if member := present.get(key):
            names = (member.provides, member.name, member.name.rpartition(".")[2])
            chosen = [lock.choices[name] for name in names if name in lock.choices]
            form = f"{_form(member, asked[key])}: `{public_line(asked[key])}`"
            found[key] = chosen[0] if chosen else form
    return found


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
    words += [f"({origin})"] if origin and not reason.startswith(f"{origin}:") else []
    words += ["(above)"] if node.get("seen") else []
    return f"{' '.join(words)}{f': {reason}' if reason else ''}"
