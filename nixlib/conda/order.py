"""The order in which packages of a prefix come, which decides whose file stands where two bring one (pure).

It is rattler's (`topological_sort.rs`), step by step, because the prefix must equal the one that rattler
makes: dependencies first, cycles cut, and of two packages that bring one file the later one's stands.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from nixlib.lock import LockedCondaPackage

__all__ = ["topological"]

_Edge = tuple[str, str]


def topological(packages: Sequence[LockedCondaPackage]) -> tuple[str, ...]:
    """The names of `packages`, each after what it depends on; the same for every order of the input."""
    by_name = {package.name: package for package in packages}
    cut = {edge for cycle in _cycles(by_name) for edge in _broken(cycle, by_name)}
    wanted = {
        name for package in packages for name in package.depends if (package.name, name) not in cut
    }
    order: list[str] = []
    visited: set[str] = set()
    _visit(sorted(by_name.keys() - wanted), by_name, cut, visited, order)
    # What is left are cycles that nothing outside of them depends on.
    _visit(sorted(by_name.keys() - visited), by_name, cut, visited, order)
    return tuple(order)


def _cycles(packages: Mapping[str, LockedCondaPackage]) -> Iterator[list[str]]:
    """Found depth first, without recursion: a chain of dependencies may be longer than the stack."""
    visited: set[str] = set()
    for root in sorted(packages):
        if root in visited:
            continue
        visited.add(root)
        path = [root]
        stack = [iter(packages[root].depends)]
        while stack:
            name = next(stack[-1], None)
            if name is None:
                stack.pop()
                path.pop()
            elif name in path:
                yield path[path.index(name) :]
            elif name not in visited:
                visited.add(name)
                path.append(name)
                stack.append(iter(packages[name].depends if name in packages else ()))


def _broken(cycle: list[str], packages: Mapping[str, LockedCondaPackage]) -> Iterator[_Edge]:
    """The edge of a cycle that does not count: noarch packages come after the others."""
    for index, first in enumerate(cycle):
        second = cycle[(index + 1) % len(cycle)]
        is_first, is_second = (not packages[name].noarch for name in (first, second))
        if is_first and not is_second:
            yield first, second
            return
        if (not is_first and is_second) or index == len(cycle) - 1:
            yield second, first
            return


def _visit(
    roots: Sequence[str],
    packages: Mapping[str, LockedCondaPackage],
    cut: set[_Edge],
    visited: set[str],
    order: list[str],
) -> None:
    stack = [(name, False) for name in roots]
    while stack:
        name, is_resolved = stack.pop()
        if is_resolved:
            order.append(name)
        elif name not in visited:
            visited.add(name)
            if name in packages:
                depends = sorted(d for d in packages[name].depends if (name, d) not in cut)
                stack.append((name, True))
                stack += [(depend, False) for depend in depends]
