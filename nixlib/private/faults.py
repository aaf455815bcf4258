"""What a lock claims of a group against the rules: two of what a process holds once, or a need unmet (pure).

A lock may come from anybody. A group that breaks a rule would not fail where it is read: it would crash, or give
one package the objects of another's version.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from nixlib.lock.packages import LockedPackage
from nixlib.lock.private import LockedGroup
from nixlib.private.public import closure, of_system, once_only, public_packages
from nixlib.private.sharing import PUBLIC, compiled_files
from nixlib.private.singletons import bridged, reason

if TYPE_CHECKING:
    from nixlib.lock.lock import Lock

__all__ = ["faults", "needing"]


def faults(lock: Lock, group: LockedGroup) -> tuple[str, ...]:
    """Why `group` of `lock` cannot be in the notebook's process: a sentence each; none where all is right.

    A group with a process of its own shares nothing, so nothing of it can be wrong here.
    """
    if group.process is not None:
        return ()
    public = {system: public_packages(lock, system) for system in lock.systems}
    everywhere = {name for packages in public.values() for name in packages}
    found = {
        f"`{name}` is said to be the notebook's, which does not have it": None
        for name in group.shared
        if name not in everywhere
    }
    for system, packages in public.items():
        found |= dict.fromkeys(_Look(lock, group, packages, system).faults())
    found |= dict.fromkeys(_loaded_twice(lock, group, public))
    return tuple(found)


def needing(public: Mapping[str, LockedPackage], package: str) -> str:
    """Which of the notebook's packages needs one that a group is for; empty for none."""
    return min((name for name, one in public.items() if package in one.requires), default="")


class _Look:
    """One group as one system sees it."""

    def __init__(
        self, lock: Lock, group: LockedGroup, public: Mapping[str, LockedPackage], system: str
    ) -> None:
        self.group = group
        self.public = public
        self.own = of_system(group.packages, system)
        self.named = {package.name for package in group.packages}
        earlier = lock.private[: lock.private.index(group)]
        self.system = system
        self.earlier = {other.name: other for other in earlier if other.process is None}
        lenders = {*group.lent.values()} & self.earlier.keys()
        self.theirs = {name: of_system(self.earlier[name].packages, system) for name in lenders}

    def faults(self) -> Iterator[str]:
        yield from self._twice()
        yield from self._shared()
        yield from self._lent()
        yield from self._own()
        yield from self._package()

    def _whose(self, group: LockedGroup, name: str) -> str | None:
        """Whose a name is in a group: the name of a group, `PUBLIC`, or None where it has none."""
        if name in group.lent:
            return group.lent[name]
        if name in group.shared:
            return PUBLIC
        return group.name if any(package.name == name for package in group.packages) else None

    def _twice(self) -> Iterator[str]:
        here = [p.name for p in self.group.packages if not p.systems or self.system in p.systems]
        for name in sorted({name for name in here if here.count(name) > 1}):
            yield f"`{name}` comes twice"
        both = self.named & {*self.group.shared, *self.group.lent}
        both |= set(self.group.shared) & set(self.group.lent)
        for name in sorted(both):
            yield f"`{name}` is both its own and somebody else's"
        once = {**{name: reason(name) for name in self.own}, **once_only(self.public)}
        for name, why in once.items():
            if why and (name in self.own or name in self.group.lent):
                yield f"it has a `{name}` of its own, and a process can hold only one: {why}"

    def _shared(self) -> Iterator[str]:
        for name in self.group.shared:
            missing = closure(self.public, [name]) - {*self.group.shared}
            for need in sorted(missing):
                yield f"`{name}` is the notebook's, and `{need}`, which that needs, is not"

        for name in sorted({*self.group.hoisted} - {*self.group.shared}):
            yield f"it brings `{name}` into the notebook's packages, and does not use that"

    def _lent(self) -> Iterator[str]:
        for name, lender in sorted(self.group.lent.items()):
            if lender not in self.earlier:
                yield f"`{name}` is lent by `{lender}`, which is no earlier group in this process"
                continue
            package = self.theirs[lender].get(name)
            for need in package.requires if package else ():
                theirs = self._whose(self.earlier[lender], need)
                if theirs is not None and self._whose(self.group, need) != theirs:
                    yield f"`{name}` is lent by `{lender}`, and `{need}`, which that needs, is not the same"

    def _own(self) -> Iterator[str]:
        for name, package in sorted(self.own.items()):
            for need in package.requires:
                if self._whose(self.group, need) is None:
                    yield f"`{name}` needs `{need}`, which it has not"
        for name in sorted({*self.own, *self.group.shared, *self.group.lent}):
            other = bridged(name)
            if other in self.own and name not in self.own:
                yield f"`{name}` makes objects of the notebook's `{other}`, and it has a `{other}` of its own"

    def _package(self) -> Iterator[str]:
        package = self.group.package
        if not package:
            return
        if package in self.public:
            wanting = needing(self.public, package)
            yield f"it is for `{package}`, which {f'`{wanting}`' if wanting else 'the notebook'} needs, too"
        elif self._whose(self.group, package) in (None, PUBLIC):
            yield f"it is for `{package}`, which it has not"


def _loaded_twice(
    lock: Lock, group: LockedGroup, public: Mapping[str, Mapping[str, LockedPackage]]
) -> Iterator[str]:
    own = {file: package for package in group.packages for file in compiled_files(package)}
    if not own:
        return
    earlier = lock.private[: lock.private.index(group)]
    holders: list[tuple[str, Iterable[LockedPackage]]] = [
        *(("the notebook", packages.values()) for packages in public.values()),
        *((f"private group `{other.name}`", other.packages) for other in earlier),
    ]
    for who, packages in holders:
        for file in [wheel.sha256 for package in packages for wheel in package.wheels]:
            package = own.get(file)
            if package is not None:
                yield (
                    f"{who} has the same `{package.name} {package.version}` with other dependencies, and a process"
                    " loads one file of compiled code only once"
                )
