"""Groups of private dependencies in a lock (pure)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nixlib.lock.fields import NAME, Fields, damaged, stated
from nixlib.lock.packages import LockedPackage, parse_package
from nixlib.spec.private import is_group_name

if TYPE_CHECKING:
    from nixlib.lock.lock import Lock

_KEYS = ("name", "packages", "shared", "lent", "hoisted", "for", "process")


@dataclass(frozen=True)
class LockedGroup:
    """What one group gets.

    Attributes:
        name: The spec's name of it.
        packages: Its own, sorted; none of a group with a process.
        shared: Normalised names of the notebook's packages that it uses, sorted: the same module objects.
            With a package, all that it needs is shared too.
        lent: Normalised name of a package to the earlier group whose module objects of it this one uses.
            With a package, all that it needs is the same for both groups: one's own, lent or shared.
        hoisted: Those of `shared` that the notebook has only because this group needs them.
        package: The package that the notebook imports by its plain name; empty for none.
        process: For a group with a process of its own: the whole lock of that process's environment.
    """

    name: str
    packages: tuple[LockedPackage, ...] = ()
    shared: tuple[str, ...] = ()
    lent: Mapping[str, str] = field(default_factory=dict)
    hoisted: tuple[str, ...] = ()
    package: str = ""
    process: Lock | None = None

    def to_json(self) -> dict[str, Any]:
        """Its JSON object."""
        return stated(
            name=self.name,
            packages=[package.to_json() for package in sorted(self.packages)],
            shared=" ".join(sorted(self.shared)),
            lent=dict(sorted(self.lent.items())),
            hoisted=" ".join(sorted(self.hoisted)),
            **{"for": self.package},
            process=self.process.to_json() if self.process else None,
        )


def parse_groups(
    fields: Fields, name: str, parse_lock: Callable[[str, object], Lock]
) -> tuple[LockedGroup, ...]:
    """The groups in the list at `name`, in its order: one may be lent what earlier ones have.

    Raises:
        LockError: They are damaged: one comes twice, or is lent what no earlier one has.
    """
    groups: tuple[LockedGroup, ...] = fields.each(
        name, lambda key, value: _parse_group(key, value, parse_lock)
    )
    earlier: dict[str, frozenset[str]] = {}
    for number, group in enumerate(groups):
        key = f"{fields.key}.{name}[{number}]"
        if group.name in earlier:
            raise damaged(f"{key}.name", group.name)
        for package, lender in group.lent.items():
            if package not in earlier.get(lender, ()):
                raise damaged(f"{key}.lent.{package}", lender)
        earlier[group.name] = frozenset(package.name for package in group.packages)
    return groups


def _parse_group(key: str, value: object, parse_lock: Callable[[str, object], Lock]) -> LockedGroup:
    fields = Fields(key, value, _KEYS)
    name = fields.take("name", str)
    if not is_group_name(name):
        raise damaged(f"{key}.name", name)
    process = fields.take("process", dict, {})
    return LockedGroup(
        name=name,
        packages=fields.each("packages", parse_package),
        shared=fields.words("shared", NAME.fullmatch),
        lent=fields.table("lent", NAME.fullmatch, _lender),
        hoisted=fields.words("hoisted", NAME.fullmatch),
        package=fields.optional("for", NAME),
        process=parse_lock(f"{key}.process", process) if process else None,
    )


def _lender(key: str, value: object) -> str:
    if not isinstance(value, str) or not is_group_name(value):
        raise damaged(key, value)
    return value
