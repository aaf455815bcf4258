"""Whose each package of a group is: the notebook's, an earlier group's, or its own (pure).

What is equal, and whose every need is met by the very same modules, is not loaded once more: the group uses the
modules that are there. Equal but for a need, it is another thing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from nixlib.lock.packages import LockedPackage
from nixlib.lock.private import LockedGroup
from nixlib.private.public import closure, of_system

__all__ = ["PUBLIC", "Tree", "compiled_files", "compiled_twice", "share"]

PUBLIC = ""
"""Whose the notebook's own packages are."""

Packages = Mapping[str, Mapping[str, LockedPackage]]
"""Packages by system and name."""


@dataclass(frozen=True)
class Tree:
    """What a group needs altogether.

    Attributes:
        name: The group's.
        packages: All that was resolved for it, whosever it is.
        uses: Names of the notebook's packages that it has to use.
        hoisted: Those of them that the notebook has only because of it.
        package: The package that it is for; empty for none.
    """

    name: str
    packages: tuple[LockedPackage, ...]
    uses: frozenset[str] = frozenset()
    hoisted: frozenset[str] = frozenset()
    package: str = ""

    def on(self, system: str) -> dict[str, LockedPackage]:
        """What one system gets of it."""
        return of_system(self.packages, system)


@dataclass
class _Owner:
    """Somebody whose modules a later group may use, and whose each of its packages is."""

    name: str
    packages: Packages
    origins: dict[str, str] = field(default_factory=dict)

    def whose(self, name: str) -> str:
        return self.origins.get(name, PUBLIC)

    def reached(self, name: str) -> frozenset[str]:
        """Everything that a package needs there, on any system."""
        return frozenset().union(*(closure(own, [name]) for own in self.packages.values()))


def share(public: Packages, trees: Sequence[Tree]) -> tuple[LockedGroup, ...]:
    """Each group as a lock has it, in the order of `trees`: one is lent what earlier ones have."""
    notebook = _Owner(PUBLIC, public)
    owners: list[_Owner] = []
    found = []
    for tree in trees:
        group, owner = _placed(tree, notebook, owners)
        found.append(group)
        owners.append(owner)
    return tuple(found)


def _placed(tree: Tree, notebook: _Owner, earlier: Sequence[_Owner]) -> tuple[LockedGroup, _Owner]:
    own: Packages = {system: tree.on(system) for system in notebook.packages}
    uses = tree.uses.union(*map(notebook.reached, tree.uses))
    names = {name for packages in own.values() for name in packages} - uses
    whose = dict.fromkeys(uses, PUBLIC)
    for owner in (notebook, *earlier):
        whose |= _of(owner, {name for name in names if name not in whose}, whose, own, names)
    for name, origin in list(whose.items()):
        _follow(name, origin, notebook, earlier, whose)
    group = LockedGroup(
        name=tree.name,
        packages=tuple(sorted(one for one in tree.packages if one.name not in whose)),
        shared=tuple(sorted(name for name, origin in whose.items() if origin == PUBLIC)),
        lent={name: origin for name, origin in sorted(whose.items()) if origin != PUBLIC},
        hoisted=tuple(sorted(tree.hoisted)),
        package=tree.package,
    )
    origins = {**dict.fromkeys(names, tree.name), **whose}
    seen = {
        system: {**notebook.packages[system], **{n: p for n, p in mine.items() if n not in uses}}
        for system, mine in own.items()
    }
    return group, _Owner(tree.name, seen, origins)


def _of(
    owner: _Owner, names: set[str], whose: Mapping[str, str], own: Packages, held: set[str]
) -> dict[str, str]:
    """Those of `names` that are the owner's: equal there, with all that they need."""
    alive = {name for name in names if _is_equal(name, owner, own)}

    def is_met(need: str, alive: set[str]) -> bool:
        """Whether the group gets the modules for a need that the owner has for it."""
        if need in alive:
            return owner.whose(need) == owner.name
        if need in whose:
            return owner.whose(need) == whose[need]
        return need not in held

    while True:
        fits = {
            name for name in alive if all(is_met(need, alive) for need in _needs(name, owner, own))
        }
        if fits == alive:
            return dict.fromkeys(fits, owner.name)
        alive = fits


def _needs(name: str, owner: _Owner, own: Packages) -> frozenset[str]:
    mine = {
        need for packages in own.values() if name in packages for need in packages[name].requires
    }
    return (owner.reached(name) | mine) - {name}


def _is_equal(name: str, owner: _Owner, own: Packages) -> bool:
    """Whether the owner has the same files of a package wherever the group needs it."""
    if owner.whose(name) != owner.name:
        return False
    return all(
        name in owner.packages[system] and _same(packages[name], owner.packages[system][name])
        for system, packages in own.items()
        if name in packages
    )


def _same(one: LockedPackage, other: LockedPackage) -> bool:
    files = set(one.wheels) & set(other.wheels)
    has_files = bool(files) if one.wheels or other.wheels else one.source is not None
    return one.version == other.version and one.source == other.source and has_files


def _follow(
    name: str, origin: str, notebook: _Owner, earlier: Sequence[_Owner], whose: dict[str, str]
) -> None:
    """What a package needs where it comes from is the group's too, whether it asked for that or not."""
    owner = next((one for one in earlier if one.name == origin), notebook)
    for need in owner.reached(name):
        whose.setdefault(need, owner.whose(need))
        if owner.whose(need) == PUBLIC:
            for more in notebook.reached(need):
                whose.setdefault(more, PUBLIC)


def compiled_twice(
    public: Packages, groups: Iterable[LockedGroup]
) -> dict[str, tuple[LockedPackage, str]]:
    """By group's name and package: compiled packages of which somebody else in the process has the same file.

    Keys are `group package`, values the package and who has it too (`PUBLIC` for the notebook).
    """
    seen: dict[str, str] = {
        file: PUBLIC
        for packages in public.values()
        for package in packages.values()
        for file in compiled_files(package)
    }
    found: dict[str, tuple[LockedPackage, str]] = {}
    for group in groups:
        for package in group.packages:
            for file in compiled_files(package):
                if seen.setdefault(file, group.name) != group.name:
                    found[f"{group.name} {package.name}"] = (package, seen[file])
    return found


def compiled_files(package: LockedPackage) -> list[str]:
    """The sha256 of its wheels that are made for one kind of machine."""
    return [wheel.sha256 for wheel in package.wheels if not wheel.filename.endswith("-any.whl")]
