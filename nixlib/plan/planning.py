"""The plan: which store objects a lock is on one machine, and which of their paths are known (pure)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nixlib.errors import CollisionError, PlanError
from nixlib.lock import (
    Lock,
    LockedAttribute,
    LockedCondaPackage,
    LockedInterpreter,
    LockedPackage,
)
from nixlib.lock.fields import damaged
from nixlib.plan.choosing import choose_wheels
from nixlib.plan.leaf import Belief, Leaf
from nixlib.plan.private import PlannedGroup, check_group, check_groups
from nixlib.platforms import python_minor
from nixlib.storenames import interpreter_store_name
from nixlib.storepath import STORE_DIR

if TYPE_CHECKING:
    from nixlib.lock import LockedGroup
    from nixlib.spec import PrivateGroup, Spec

_SHOWN = 12


@dataclass(frozen=True)
class Plan:
    """Everything that an environment consists of, on one machine.

    Attributes:
        leaves: Wheels, sorted by name.
        interpreter: The Python that runs them; None where it is of conda or nixpkgs.
        python: The same as the lock has it.
        collisions: Which package wins a path that two bring.
        strict: Refuse wheels that disagree with their own RECORD.
        layout: Of the lock.
        system: Nix's name of the machine that it is for.
        store_dir: The store directory that the paths are in.
        archives: Of conda channels, sorted by name.
        conda: The same packages as the lock has them, in the same order.
        sources: Packages whose wheels are built, since they have none that fits; sorted by name.
        attributes: Of nixpkgs, those that join on this machine or that builds need.
        lock: The whole lock, which builds from source look their own packages up in.
        build_inputs: What such builds may use, as the spec says it.
        groups: Of private dependencies, in the lock's order.
    """

    leaves: tuple[Leaf, ...]
    interpreter: Leaf | None
    python: LockedInterpreter
    collisions: Mapping[str, str]
    strict: bool
    layout: int
    system: str
    store_dir: str = STORE_DIR
    archives: tuple[Leaf, ...] = ()
    conda: tuple[LockedCondaPackage, ...] = ()
    sources: tuple[LockedPackage, ...] = ()
    attributes: tuple[LockedAttribute, ...] = ()
    lock: Lock | None = field(default=None, compare=False)
    build_inputs: tuple[str, ...] = ()
    groups: tuple[PlannedGroup, ...] = ()

    @property
    def processes(self) -> tuple[Plan, ...]:
        """The environments of groups that have a process of their own."""
        return tuple(group.process for group in self.groups if group.process)


def plan(
    lock: Lock,
    spec: Spec,
    *,
    system: str,
    glibc: tuple[int, int] | None,
    trusted: Mapping[str, str],
    store_dir: str = STORE_DIR,
) -> Plan:
    """The store objects of `lock` on one machine.

    Args:
        lock: What to realise.
        spec: Says who wins collisions and whether RECORD is law.
        system: The machine's, one of the lock's.
        glibc: The machine's C library; None where it has another.
        trusted: As in `Belief`.
        store_dir: Where the paths are to be; it is part of their digests.

    Raises:
        PlanError: The lock has nothing for this machine: every package is named.
        CollisionError: It has the same Python package from conda and as a wheel.
        PrivateGroupError: A private group is not what the spec asks for, or claims what cannot be.
        LockError: It has a package twice.
    """
    return _Machine(system, glibc, trusted, store_dir).plan(lock, spec)


@dataclass(frozen=True)
class _Machine:
    """What does not change from one lock to those that are in it."""

    system: str
    glibc: tuple[int, int] | None
    trusted: Mapping[str, str]
    store_dir: str

    def plan(self, lock: Lock, spec: Spec) -> Plan:
        if self.system not in lock.systems:
            raise PlanError(
                f"the lock has nothing for `{self.system}`",
                details=(f"it is for {', '.join(f'`{known}`' for known in lock.systems)}",),
                hint=f'add `"{self.system}"` to `"systems"` and lock again',
                package="",
                system=self.system,
            )
        conda = tuple(sorted(lock.conda.of_system(self.system)))
        wanted = self._wanted(lock.packages)
        _check_twice(wanted, conda)
        belief = Belief(self.trusted, lock.hints, self.store_dir)
        leaves, built = self._chosen(wanted, lock, belief)
        groups = check_groups(lock, spec)
        return Plan(
            leaves=leaves,
            interpreter=_interpreter(lock.interpreter, self.system, belief),
            python=lock.interpreter,
            collisions=spec.collisions,
            strict=spec.strict,
            layout=lock.layout,
            system=self.system,
            store_dir=self.store_dir,
            archives=tuple(belief.archive(package) for package in conda),
            conda=conda,
            sources=built,
            attributes=tuple(sorted(a for a in lock.attributes if self.system in a.outputs)),
            lock=lock,
            build_inputs=spec.build_inputs,
            groups=tuple(self._group(lock, spec, *pair, belief) for pair in groups),
        )

    def _wanted(self, packages: Sequence[LockedPackage]) -> list[LockedPackage]:
        return [p for p in packages if not p.systems or self.system in p.systems]

    def _chosen(
        self, wanted: Sequence[LockedPackage], lock: Lock, belief: Belief
    ) -> tuple[tuple[Leaf, ...], tuple[LockedPackage, ...]]:
        minor = python_minor(lock.interpreter.version)
        chosen, built = choose_wheels(wanted, self.system, minor, self.glibc)
        return tuple(belief.wheel(*pair) for pair in chosen), built

    def _group(
        self, lock: Lock, spec: Spec, asked: PrivateGroup, locked: LockedGroup, belief: Belief
    ) -> PlannedGroup:
        check_group(lock, locked)
        wanted = self._wanted(locked.packages)
        try:
            leaves, sources = self._chosen(wanted, lock, belief)
            process = self.plan(locked.process, spec.of_process(asked)) if locked.process else None
        except PlanError as error:
            raise error.within(f"private group `{locked.name}`") from error
        return PlannedGroup(locked, leaves, sources, process)


def _check_twice(wanted: Sequence[LockedPackage], conda: Sequence[LockedCondaPackage]) -> None:
    """Nothing, unless a package comes twice: neither could be had for certain."""
    for key, found in (
        ("nixenv.lock.packages", [package.name for package in wanted]),
        ("nixenv.lock.conda.packages", [package.name for package in conda]),
    ):
        if len(set(found)) != len(found):
            raise damaged(key, next(name for name in found if found.count(name) > 1))
    of_conda = {package.pypi: package for package in conda if package.pypi}
    both = sorted(package for package in wanted if package.name in of_conda)
    if not both:
        return
    shown = ", ".join(f"`{package.name}`" for package in both)
    raise CollisionError(
        f"conda and a wheel both bring {shown}",
        details=tuple(
            f"`{of_conda[p.name].name}` {of_conda[p.name].version} of `{of_conda[p.name].channel}`"
            f" and the wheel `{p.name}` {p.version}"
            for p in both[:_SHOWN]
        ),
        hint="`%nixenv lock` takes each from one of them",
        path="",
        packages=tuple(package.name for package in both),
    )


def _interpreter(locked: LockedInterpreter, system: str, belief: Belief) -> Leaf | None:
    if locked.source in ("conda", "nixpkgs"):
        return None
    store_name = interpreter_store_name(locked.version, locked.source)
    if locked.source == "host":
        # Its tree is its identity, stated by the lock itself: no artifact stands behind it.
        nar = locked.trees.get(system)
        return belief.leaf("python", locked.version, "host", None, store_name, nar=nar)
    artifact = locked.artifacts.get(system)
    if artifact is None:
        raise PlanError(
            f"the lock has no Python {locked.version} for `{system}`",
            details=tuple(f"it has one for `{other}`" for other in sorted(locked.artifacts)),
            hint="`%nixenv lock`",
            package="python",
            system=system,
        )
    return belief.leaf("python", locked.version, "standalone", artifact, store_name)
