"""What the author is told of the packages of one group: sentences."""

from __future__ import annotations

from collections.abc import Sequence

from nixlib.lock import LockedPackage
from nixlib.private.public import closure
from nixlib.private.singletons import OWN_WISH, reason
from nixlib.resolvers.base import Untimely

__all__ = ["aged", "hoisting", "same_file", "too_new"]


def hoisting(new: Sequence[LockedPackage]) -> tuple[str, ...]:
    """What to say of the packages that a group makes the notebook's: one sentence for each that it is about."""
    needed = {need for package in new for need in package.requires if need != package.name}
    packages = {package.name: package for package in new}
    tops = [package for package in new if package.name not in needed] or list(new)[:1]
    return tuple(_hoisting(one, len(closure(packages, [one.name])) - 1) for one in tops)


def _hoisting(package: LockedPackage, more: int) -> str:
    needs = f", with {more} package{'s' * (more > 1)} that it needs" if more else ""
    why = reason(package.name) or OWN_WISH
    return f"`{package.name} {package.version}` is the notebook's, too{needs}, for a process can hold only one: {why}"


def aged(one: Untimely) -> str:
    """A package of the notebook that is of a later time than one of the group that uses it."""
    return (
        f"`{one.wanter} {one.wanter_version}` is of {one.month}, before there was a"
        f" `{one.name} {one.version.split('.')[0]}`, and uses the notebook's {one.version}, so they may not work"
        f" together: {one.name} {one.fitting} is of its time"
    )


def too_new(one: Untimely, why: str) -> str:
    """The same where they cannot work together, because of `why`."""
    major = one.version.split(".")[0]
    return (
        f"it is of {one.month}, before there was a `{one.name} {major}`, and a process can hold only one: {why}\n"
        f"with `{one.name}<{major}` among the notebook's own requirements ({one.fitting} is of its time), it could be"
    )


def same_file(package: LockedPackage, other: str) -> str:
    """A compiled package that somebody else in the process has, too; the notebook where `other` is empty."""
    who = f"private group `{other}`" if other else "the notebook"
    return f"{who} has the same `{package.name} {package.version}`, with other versions of what it needs"
