"""`nixenv tree`: which package needs which, from the notebook's requirements down."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nixenv.cli.carried import Carried, read_carried
from nixenv.cli.changes import packages_here
from nixenv.cli.command import Context
from nixenv.cli.report import Report
from nixenv.errors import UsageError
from nixlib.engine import KERNEL
from nixlib.lock import LockedPackage
from nixlib.platforms import current_system
from nixlib.resolvers.requirements import parse_requirement, parse_requirements

Node = dict[str, Any]


def run(arguments: argparse.Namespace, context: Context) -> Report:
    """Show the tree of `arguments.notebook`'s lock, or only the ways to `arguments.why`."""
    del context
    carried = read_carried(arguments.notebook)
    packages = {
        package.name: package for package in packages_here(carried.fresh_lock(), current_system())
    }
    roots = _roots(carried, packages)
    if arguments.why:
        target = parse_requirement(arguments.why).name
        _check_known(arguments.why, target, packages)
        packages = _leading_to(target, packages)
    forest = grow(roots, packages)
    return Report({"tree": forest}, "\n".join(_drawn(forest)), is_answer=True)


def _roots(carried: Carried, packages: Mapping[str, LockedPackage]) -> tuple[str, ...]:
    """What was asked for, in the notebook's order, then the kernel that nobody has to ask for."""
    asked = [line.name for line in parse_requirements(carried.spec.requirements)]
    names = dict.fromkeys([*asked, *KERNEL])
    return tuple(name for name in names if name in packages)


def grow(roots: Sequence[str], packages: Mapping[str, LockedPackage]) -> list[Node]:
    """The tree below `roots`; a package's own dependencies are given where it first appears.

    Otherwise a hundred packages make a tree of tens of thousands of lines; `seen` marks the others.
    """
    grown: set[str] = set()

    def node(name: str) -> Node:
        package = packages[name]
        is_seen = name in grown
        grown.add(name)
        below = [] if is_seen else [node(one) for one in package.requires if one in packages]
        return {
            "name": name,
            "version": package.version,
            "dependencies": below,
            **({"seen": True} if is_seen and package.requires else {}),
        }

    return [node(name) for name in roots if name in packages]


def _leading_to(target: str, packages: Mapping[str, LockedPackage]) -> dict[str, LockedPackage]:
    """Only the packages from which `target` can be reached; it stays without dependencies of its own."""
    reaching = {target}
    while more := {
        name
        for name, package in packages.items()
        if name not in reaching and reaching.intersection(package.requires)
    }:
        reaching |= more
    return {name: packages[name] for name in packages if name in reaching}


def _check_known(text: str, name: str, packages: Mapping[str, LockedPackage]) -> None:
    if name in packages:
        return
    near = difflib.get_close_matches(name, list(packages), n=1)
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
    return f"{node['name']} {node['version']}{' (above)' if node.get('seen') else ''}"
