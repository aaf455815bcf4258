"""What of a previous lock's groups still stands, so that no index is asked about it again (pure)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Literal

from nixlib.lock import Lock, LockedGroup, LockedPackage
from nixlib.locking.asked import Asked
from nixlib.locking.groups.lines import asks_for
from nixlib.locking.groups.notes import is_narrowed_by, without_notes_of_groups
from nixlib.private.public import closure, of_system, once_only, public_packages
from nixlib.private.sharing import Tree
from nixlib.spec import PrivateGroup

__all__ = [
    "Kept",
    "is_grown_by_groups",
    "kept_tree",
    "own_part",
    "tree_before",
    "unchanged_groups",
]


@dataclass(frozen=True)
class Kept:
    """A group as it was, and the notebook's lock with what the group has made its own."""

    tree: Tree
    lock: Lock


def own_part(lock: Lock) -> Lock:
    """What of a lock is the notebook's own, without what groups have brought."""
    hoisted = {name for group in lock.private for name in group.hoisted}
    return replace(
        lock,
        packages=tuple(package for package in lock.packages if package.name not in hoisted),
        private=(),
        notes=without_notes_of_groups(lock.notes),
    )


def unchanged_groups(asked: Asked) -> frozenset[str]:
    """Names of the groups that ask for what they asked for when the previous lock was made."""
    previous, groups = asked.previous, asked.spec.private
    if previous is None or asked.may_move:
        return frozenset()
    names = frozenset(group.name for group in groups) & {one.name for one in previous.private}
    if previous.spec == asked.spec.digest or asked.added:
        # A new line of the notebook for the package of a group is the group's.
        return names - {
            group.name
            for group in groups
            if any(asks_for(text, group.package) for text in asked.added)
        }
    changed = _changed(asked)
    return names - {changed.name} if changed else frozenset()


def is_grown_by_groups(asked: Asked) -> bool:
    """Whether the previous lock answers all of the spec but one group, or the last lines of one.

    A group for a package takes that from the notebook's own. One that has kept the lock from a system is
    asked for all of them again.
    """
    if asked.previous is None or asked.may_move or not asked.spec.private:
        return False
    changed = _changed(asked)
    if changed is None or changed.package:
        return False
    return not is_narrowed_by(asked.previous.notes, changed.name)


def _changed(asked: Asked) -> PrivateGroup | None:
    """The one group that the previous lock does not answer, or not all lines of."""
    spec, digest = asked.spec, asked.previous.spec if asked.previous else ""
    for group in spec.private:
        if spec.without_group(group.name).digest == digest:
            return group
        for count in range(1, len(group.requirements)):
            less = replace(group, requirements=group.requirements[:-count])
            if spec.with_group(less).digest == digest:
                return group
    return None


def _group(lock: Lock, name: str) -> LockedGroup | None:
    return next((group for group in lock.private if group.name == name), None)


def _everything(lock: Lock, group: LockedGroup) -> tuple[LockedPackage, ...]:
    """All packages of a group of a lock, whosever they are."""
    lenders = {one.name: one for one in lock.private}
    lent = (
        package
        for name, lender in group.lent.items()
        for package in lenders[lender].packages
        if package.name == name
    )
    shared = (package for package in lock.packages if package.name in group.shared)
    return (*group.packages, *lent, *shared)


def tree_before(
    previous: Lock, group: PrivateGroup, upgrade: Collection[str] | Literal["all"]
) -> tuple[LockedPackage, ...]:
    """What a group had, as far as it may stay."""
    locked = _group(previous, group.name)
    if locked is None or locked.process or upgrade == "all":
        return ()
    return tuple(one for one in _everything(previous, locked) if one.name not in upgrade)


def kept_tree(previous: Lock, group: PrivateGroup, lock: Lock) -> Kept | None:
    """The group of a previous lock beside the notebook's packages of now; None where it no longer fits.

    Args:
        previous: The lock so far.
        group: As the spec has it, unchanged since.
        lock: The notebook's part of now.
    """
    locked = _group(previous, group.name)
    if locked is None or locked.process or not set(lock.systems) <= set(previous.systems):
        return None
    new: dict[str, None] = {}
    uses: set[str] = set()
    everything = _everything(previous, locked)
    for system in lock.systems:
        before, now = public_packages(previous, system), public_packages(lock, system)
        forced = closure(before, set(locked.shared) & once_only(before, group.singleton).keys())
        uses |= forced
        once = once_only(now, group.singleton)
        own = of_system(everything, system)
        if any(now[name].version != one.version for name, one in own.items() if name in once):
            return None
        for name in forced:
            if name not in now:
                new[name] = None
            elif now[name].version != before[name].version:
                return None
        uses |= own.keys() & once.keys()
    packages = {p.name for p in previous.packages}
    if not new.keys() <= packages:  # of conda, say, which only its own lines bring
        return None
    hoisted = tuple(package for package in previous.packages if package.name in new)
    own_tree = tuple(package for package in everything if package.name not in uses)
    names = frozenset(package.name for package in hoisted)
    tree = Tree(group.name, own_tree, frozenset(uses), names, group.package)
    return Kept(tree, replace(lock, packages=tuple(sorted({*lock.packages, *hoisted}))))
