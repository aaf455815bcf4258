"""The private groups of a lock: each resolved in its turn, and told what those before it have.

The order is that of the previous lock, then of names: a group is lent what an earlier one has, so the first
ones stay as they are when another comes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from nixlib.errors import (
    NixError,
    RealisationCancelledError,
    RequirementError,
    ResolutionError,
    SourceBuildError,
)
from nixlib.lock import Lock, LockedGroup, LockedPackage
from nixlib.locking.asked import Asked
from nixlib.locking.groups.in_process import Surroundings, loaded_twice, resolve_group
from nixlib.locking.groups.kept import Kept, kept_tree, tree_before, unchanged_groups
from nixlib.locking.groups.lines import read_group
from nixlib.locking.groups.notes import not_locked, notes_of_group, told
from nixlib.locking.groups.refusals import (
    build_in_words_of,
    called,
    in_words_of,
    line_refused,
    process_hint,
    refused,
)
from nixlib.locking.groups.sentences import hoisting
from nixlib.locking.narrowing import of_systems, packages_of
from nixlib.platforms import python_minor
from nixlib.private.faults import faults
from nixlib.private.public import public_packages
from nixlib.private.sharing import Tree, share
from nixlib.resolvers.increment import NOT_LOCKED
from nixlib.resolvers.locking import merged
from nixlib.spec import PrivateGroup

__all__ = ["lock_groups"]


def lock_groups(asked: Asked, lock: Lock, resolve: Callable[[Asked], Lock]) -> Lock:
    """The lock with every private group of the spec.

    Args:
        asked: What is asked for.
        lock: The notebook's own part, answered.
        resolve: How the spec of a process is answered.

    Raises:
        RequirementError: A line of a group cannot be read.
        PrivateGroupError: A group cannot be what it asks for.
        InterpreterError: The Python of a process cannot be had.
        EvaluationError: An attribute of nixpkgs is none.
        SourceBuildError: A package has no wheel, and its source cannot be built.
        NetworkError: A registry did not answer.
        RealisationCancelledError: Somebody stopped it.
    """
    if not asked.spec.private:
        return lock
    locking = _Locking(asked, lock, resolve)
    for group in _in_order(asked):
        asked.cancel.check()
        if group.is_process:
            locking.add_process(group)
        else:
            locking.add_tree(group)
    return locking.finished()


def _in_order(asked: Asked) -> list[PrivateGroup]:
    before = [group.name for group in asked.previous.private] if asked.previous else []
    places = {name: place for place, name in enumerate(before)}
    return sorted(
        asked.spec.private, key=lambda group: (places.get(group.name, len(places)), group.name)
    )


@dataclass
class _Locking:
    """The groups so far, and what they have made of the notebook's part."""

    asked: Asked
    lock: Lock
    resolve: Callable[[Asked], Lock]
    trees: list[Tree] = field(default_factory=list)
    order: list[PrivateGroup] = field(default_factory=list)
    processes: dict[str, Lock] = field(default_factory=dict)
    built: dict[str, str] = field(default_factory=dict)

    def add_tree(self, group: PrivateGroup) -> None:
        """One that is imported into the notebook's process."""
        self.order.append(group)
        previous = self.asked.previous
        if previous and group.name in unchanged_groups(self.asked):
            kept = kept_tree(previous, group, self.lock)
            if kept is not None and not self._is_loaded_twice(kept):
                self.lock = kept.lock
                self.trees.append(kept.tree)
                said = _notes_of_bringing(previous)
                notes = notes_of_group(previous.notes, group.name)
                self._note(note for note in notes if note not in said)
                self._build(previous.build_packages, kept.tree)
                return
        before = tree_before(previous, group, self.asked.upgrade) if previous else ()
        answer = resolve_group(
            self.asked,
            read_group(self.asked, group),
            Surroundings(self.lock, tuple(self.trees), before),
        )
        self.lock = answer.lock
        self.trees.append(answer.tree)
        self._note(answer.notes)
        self._build(answer.build_packages, answer.tree)
        self.built |= answer.built

    def add_process(self, group: PrivateGroup) -> None:
        """One with a process of its own."""
        self.order.append(group)
        spec = self.asked.spec.of_process(group)
        before = self.asked.previous
        previous = self._process_before(group)
        if before and previous and previous.spec == spec.digest and not self.asked.may_move:
            found = previous
            self._note(notes_of_group(before.notes, group.name))
        else:
            asked = replace(
                self.asked, spec=spec, previous=previous, kernel=(), beside=self.lock.packages
            )
            found = self._resolved(asked, group)
        self.processes[group.name] = found
        missing = [system for system in self.lock.systems if system not in found.systems]
        self._note(not_locked(system, group.name, _why_not(found, system)) for system in missing)
        self._narrow(group, found.systems)

    def _resolved(self, asked: Asked, group: PrivateGroup) -> Lock:
        """The lock of a process; what hinders it is told of its group."""
        try:
            return self.resolve(asked)
        except RealisationCancelledError:
            raise
        except RequirementError as error:
            raise line_refused(error, group) from error
        except ResolutionError as error:
            raise in_words_of(error, group, group.requirements, self.asked.notebook) from error
        except SourceBuildError as error:
            raise build_in_words_of(error, group, group.requirements) from error
        except NixError as error:
            raise error.within(called(group)) from error

    def finished(self) -> Lock:
        """The lock with all of them.

        Raises:
            PrivateGroupError: One does not go together with what a later one has made the notebook's.
        """
        lock, minor = self.lock, python_minor(self.lock.interpreter.version)
        trees = [
            replace(tree, packages=packages_of(tree.packages, lock.systems, minor))
            for tree in self.trees
        ]
        public = {system: public_packages(lock, system) for system in lock.systems}
        shared = {group.name: group for group in share(public, trees)}
        lock = replace(
            lock,
            private=tuple(
                LockedGroup(group.name, process=self.processes[group.name])
                if group.is_process
                else shared[group.name]
                for group in self.order
            ),
        )
        lock = replace(lock, notes=tuple(dict.fromkeys((*lock.notes, *_notes_of_bringing(lock)))))
        for group, locked in zip(self.order, lock.private, strict=True):
            reasons = faults(lock, locked)
            if reasons:
                raise refused(
                    group,
                    self.asked.notebook,
                    "it cannot be in the notebook's process",
                    reasons=reasons,
                    hint="" if group.package else process_hint(group, group.requirements),
                )
        return lock.with_built({**self.built, **lock.built})

    def _is_loaded_twice(self, kept: Kept) -> bool:
        return bool(loaded_twice(kept.tree, Surroundings(kept.lock, tuple(self.trees))))

    def _process_before(self, group: PrivateGroup) -> Lock | None:
        before = self.asked.previous.private if self.asked.previous else ()
        return next((one.process for one in before if one.name == group.name), None)

    def _note(self, notes: Iterable[str]) -> None:
        self.lock = replace(self.lock, notes=(*self.lock.notes, *notes))

    def _build(self, packages: Iterable[LockedPackage], tree: Tree) -> None:
        """Keep what sources of the tree are built with."""
        wanted = _build_closure(packages, tree)
        self.lock = replace(self.lock, build_packages=merged((*self.lock.build_packages, *wanted)))

    def _narrow(self, group: PrivateGroup, systems: tuple[str, ...]) -> None:
        if not set(self.lock.systems) & set(systems):
            raise refused(group, self.asked.notebook, "it serves none of the notebook's systems")
        self.lock = of_systems(self.lock, systems)


def _notes_of_bringing(lock: Lock) -> tuple[str, ...]:
    """What its groups have made the notebook's, in a note for each thing."""
    return tuple(
        told(note, group.name)
        for group in lock.private
        for note in hoisting([one for one in lock.packages if one.name in group.hoisted])
    )


def _why_not(process: Lock, system: str) -> str:
    start = f"{NOT_LOCKED}{system}: "
    told = (note.removeprefix(start) for note in process.notes if note.startswith(start))
    return next(told, "it has nothing for it")


def _build_closure(packages: Iterable[LockedPackage], tree: Tree) -> list[LockedPackage]:
    """Those of `packages` that something of the tree is built with, or that those are built with."""
    by_line = {f"{package.name} {package.version}": package for package in packages}
    waiting = [line for one in tree.packages if one.source for line in one.source.build]
    found: dict[str, LockedPackage] = {}
    while waiting:
        line = waiting.pop()
        if line in by_line and line not in found:
            found[line] = by_line[line]
            source = by_line[line].source
            waiting.extend(source.build if source else ())
    return list(found.values())
