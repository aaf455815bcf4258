"""Groups of private dependencies, once their packages are valid: trees beside the environment's own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from nixlib.composition.compose import InterpreterPackage, PrivateFolder
from nixlib.composition.package import Package
from nixlib.composition.private import (
    KERNEL_MODULES,
    ImportGroup,
    ProcessGroup,
    compose_group,
    exposed_by,
    private_folder,
    standard_library,
    top_levels,
)
from nixlib.errors import PrivateGroupError
from nixlib.plan import Plan, PlannedGroup
from nixlib.realise.context import Context
from nixlib.storepath import StorePath

__all__ = ["Groups", "check_groups", "groups_of", "realise_groups"]


@dataclass(frozen=True)
class Groups:
    """What an environment has of its groups.

    Attributes:
        folder: How they join; None without any.
        warnings: What the user should know of them.
    """

    folder: PrivateFolder | None = None
    warnings: tuple[str, ...] = ()


def groups_of(
    plan: Plan,
    own: Mapping[str, Sequence[Package]],
    public: Mapping[str, Package],
    processes: Mapping[str, StorePath],
) -> tuple[ImportGroup | ProcessGroup, ...]:
    """The plan's groups, with the packages that each has and uses.

    Args:
        plan: The notebook's.
        own: The packages of each group.
        public: The notebook's packages, by normalised name.
        processes: The environment of each group that has a process.
    """
    return tuple(
        _process(group, processes[group.name])
        if group.name in processes
        else _import(group, own, public)
        for group in plan.groups
    )


def _import(
    group: PlannedGroup, own: Mapping[str, Sequence[Package]], public: Mapping[str, Package]
) -> ImportGroup:
    locked = group.locked
    lent: dict[str, list[Package]] = {}
    for name, lender in sorted(locked.lent.items()):
        lent.setdefault(lender, []).extend(p for p in own[lender] if p.name == name)
    return ImportGroup(
        name=group.name,
        packages=own[group.name],
        shared=[public[name] for name in sorted(locked.shared) if name in public],
        lent=lent,
        package=locked.package,
    )


def _process(group: PlannedGroup, path: StorePath) -> ProcessGroup:
    plan = group.process
    assert plan is not None  # noqa: S101 - it has been realised
    versions = {package.pypi: package.version for package in plan.conda if package.pypi}
    versions |= {leaf.name: leaf.version for leaf in plan.leaves}
    versions |= {package.name: package.version for package in plan.sources}
    return ProcessGroup(group.name, path, versions)


def check_groups(
    groups: Sequence[ImportGroup | ProcessGroup],
    public: Iterable[Package],
    interpreter: InterpreterPackage,
) -> None:
    """Nothing, if what the groups' packages bring can stand beside the notebook's.

    Args:
        groups: In the lock's order.
        public: All that joins the notebook's environment.
        interpreter: Its Python.

    Raises:
        PrivateGroupError: A group has modules of the kernel's, or the notebook would import two
            packages by the same plain name.
    """
    if not groups:
        return
    library = standard_library(interpreter)
    taken = dict.fromkeys(top_levels(public) - library, "the notebook's own packages")
    for group in groups:
        if isinstance(group, ProcessGroup):
            continue
        reasons = [
            f"`{package.name}` {package.version} brings `{top}`, which is the kernel's own"
            for package in group.packages
            for top in sorted(top_levels([package]) & KERNEL_MODULES)
        ]
        exposed = exposed_by(group) - library
        reasons += [
            f"`{group.package}` is imported as `{top}`, and so is something of {taken[top]}"
            for top in sorted(exposed)
            if top in taken
        ]
        if reasons:
            raise _refused(group, reasons)
        taken.update(dict.fromkeys(exposed, f"private group `{group.name}`"))


def _refused(group: ImportGroup, reasons: Sequence[str]) -> PrivateGroupError:
    key = f"private.{group.name}"
    way = f'`"mode": "process"` in `{key}` gives it a process of its own'
    return PrivateGroupError(
        f"private group `{group.name}` cannot be in the notebook's process",
        details=tuple(reasons),
        hint=f"{way}, without `for`" if group.package else way,
        group=group.name,
        packages=tuple(package.name for package in group.packages),
        reasons=tuple(reasons),
    )


def realise_groups(
    run: Context, groups: Sequence[ImportGroup | ProcessGroup], interpreter: InterpreterPackage
) -> Groups:
    """The trees of the groups, valid; those of processes are valid already.

    Raises:
        CollisionError: Two packages of one group bring the same path with different bytes.
        StoreError: The store did not take one.
    """
    made = [_realise_group(run, group, interpreter) for group in groups]
    return Groups(
        folder=private_folder([group for group, _ in made], interpreter),
        warnings=tuple(warning for _, warnings in made for warning in warnings),
    )


def _realise_group(
    run: Context, group: ImportGroup | ProcessGroup, interpreter: InterpreterPackage
) -> tuple[ImportGroup | ProcessGroup, tuple[str, ...]]:
    if isinstance(group, ProcessGroup) or not group.packages:
        return group, ()
    composed = compose_group(
        group.name, group.packages, interpreter, collisions=run.plan.collisions
    )
    run.cancel.check()
    info = run.store.add_tree(composed.name, composed.tree, composed.references)
    return replace(group, path=info.path), composed.warnings
