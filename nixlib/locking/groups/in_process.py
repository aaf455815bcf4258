"""The packages of one group in the notebook's process.

The group's lines are resolved beside what the process holds already: where the notebook has a package of which
there can be only one, that is the group's, too. What the group needs of that kind and the notebook has not
becomes the notebook's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from nixlib.errors import PrivateGroupError, ResolutionError, SourceBuildError
from nixlib.lock import Lock, LockedPackage
from nixlib.locking.asked import Asked
from nixlib.locking.groups.lines import GroupLines
from nixlib.locking.groups.notes import told
from nixlib.locking.groups.refusals import build_in_words_of, in_words_of, process_hint, refused
from nixlib.locking.groups.sentences import aged, same_file, too_new
from nixlib.locking.narrowing import of_systems
from nixlib.locking.wheels import ask_indexes, everywhere, first_named
from nixlib.private.faults import needing
from nixlib.private.public import closure, of_system, once_only, public_packages
from nixlib.private.sharing import Tree, compiled_twice, share
from nixlib.private.singletons import KERNEL, reason
from nixlib.providers import parse_orders
from nixlib.resolvers.base import Request, Resolution, Untimely
from nixlib.spec import PrivateGroup
from nixlib.variants import torch_backend

__all__ = ["Answer", "Surroundings", "loaded_twice", "resolve_group"]

_ROUNDS = 8

Versions = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class Surroundings:
    """What is in the process before a group is looked at.

    Attributes:
        lock: The notebook's, with what earlier groups have added to its packages.
        earlier: The groups so far.
        before: What the group had in the previous lock, as far as it may stay.
    """

    lock: Lock
    earlier: tuple[Tree, ...] = ()
    before: tuple[LockedPackage, ...] = ()

    @property
    def public(self) -> dict[str, dict[str, LockedPackage]]:
        """The notebook's packages by system and name."""
        return {system: public_packages(self.lock, system) for system in self.lock.systems}


@dataclass(frozen=True)
class Answer:
    """A group's packages, and what has become of the notebook's.

    Attributes:
        tree: What the group needs.
        lock: The notebook's, with what must be its own from now on, for the systems that the group can serve.
        build_packages: What the group's sources are built with.
        built: What builds gave on the way, by `name system`.
        notes: What the author should know.
    """

    tree: Tree
    lock: Lock
    build_packages: tuple[LockedPackage, ...] = ()
    built: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass
class _Fixed:
    """The notebook's packages that the group must use: versions by system, and why."""

    versions: dict[str, dict[str, str]]
    why: dict[str, str]

    def take(self, system: str, name: str, version: str, why: str) -> None:
        self.versions[system][name] = version
        self.why.setdefault(name, why)


def resolve_group(asked: Asked, lines: GroupLines, around: Surroundings) -> Answer:
    """The group's packages.

    Raises:
        PrivateGroupError: It cannot be in the notebook's process, or nothing fits.
        SourceBuildError: A package has no wheel, and its source cannot be built.
        NetworkError: A registry did not answer.
        RealisationCancelledError: Somebody stopped it.
    """
    _check_package(asked, lines.group, around)
    answer = _Resolving(asked, lines, around).answer()
    twice = loaded_twice(answer.tree, replace(around, lock=answer.lock))
    if twice and around.before:
        # Its own versions of before may be what keeps it from being the notebook's.
        answer = _Resolving(asked, lines, replace(around, before=())).answer()
        twice = loaded_twice(answer.tree, replace(around, lock=answer.lock))
    if twice:
        raise refused(
            lines.group,
            asked.notebook,
            "what it needs would load one file of compiled code twice",
            reasons=[same_file(package, other) for package, other in twice],
            packages=[package.name for package, _ in twice],
            hint=process_hint(lines.group, lines.texts),
        )
    return answer


def _check_package(asked: Asked, group: PrivateGroup, around: Surroundings) -> None:
    """Refuse a group for a package that others of the notebook's packages need.

    Raises:
        PrivateGroupError: One does.
    """
    for public in around.public.values():
        if group.package in public:
            who = needing(public, group.package)
            raise refused(
                group,
                asked.notebook,
                f"it is for `{group.package}`, which {f'`{who}`' if who else 'the notebook'} needs, too",
                reasons=[
                    "what others of the notebook's packages need is theirs, with one set of dependencies"
                ],
                packages=[group.package, *([who] if who else [])],
            )


def loaded_twice(tree: Tree, around: Surroundings) -> list[tuple[LockedPackage, str]]:
    """Compiled packages that a group would load though somebody else has the same file, and who."""
    public = around.public
    groups = share(public, [*around.earlier, tree])
    return [
        found
        for key, found in compiled_twice(public, groups).items()
        if key == f"{tree.name} {found[0].name}"
    ]


class _Resolving:
    """One group asked for until what it gets fits what the process holds."""

    def __init__(self, asked: Asked, lines: GroupLines, around: Surroundings) -> None:
        self.asked = asked
        self.lines = lines
        self.around = around
        self.group = lines.group
        self.public = around.public
        self.lenders = around.earlier
        once = {
            system: once_only(packages, self.group.singleton)
            for system, packages in self.public.items()
        }
        self.fixed = _Fixed(
            {
                system: {name: self.public[system][name].version for name in names}
                for system, names in once.items()
            },
            {name: why for names in once.values() for name, why in names.items()},
        )

    def answer(self) -> Answer:
        for _ in range(_ROUNDS):
            found = self._ask()
            is_new = self._fix(found)
            if self.lenders and self._brings(found):
                # What becomes the notebook's must not be as old as another group has it.
                self.lenders, is_new = (), True
            if not is_new:
                break
        else:
            raise self._refused("it needs other packages every time that it is asked")
        self._check_age(found)
        return self._answered(found)

    def _ask(self) -> Resolution:
        lock = self.around.lock
        provided, provided_on = everywhere(self.fixed.versions)
        backend = torch_backend(self.asked.variants)
        request = Request(
            requirements=self.lines.texts,
            python=lock.interpreter.version,
            systems=lock.systems,
            indexes=self.asked.spec.indexes,
            exclude_newer=self.asked.exclude_newer,
            era=self.asked.spec.era,
            torch_index=f"{self.asked.settings.torch_indexes}/{backend}" if backend else "",
            provided=provided,
            provided_on=provided_on,
            provided_by=dict.fromkeys(self.fixed.why, "the notebook"),
            providers=parse_orders(self.asked.spec.providers, self.asked.spec.channels),
            notebook=self.asked.notebook,
            watched=frozenset(self.fixed.why),
            builds_ported=False,
        ).preferring(
            first_named(
                self.around.before,
                lock.packages,
                *(tree.packages for tree in self.lenders),
            )
        )
        try:
            return ask_indexes(self.asked, request, replace(lock, packages=(), private=()))
        except ResolutionError as error:
            once = self.fixed.why.get(error.fields.get("provided", ""), "")
            raise in_words_of(
                error, self.group, self.lines.texts, self.asked.notebook, once=once
            ) from error
        except SourceBuildError as error:
            raise build_in_words_of(error, self.group, self.lines.texts) from error

    def _fix(self, found: Resolution) -> bool:
        """Whether something of it must be the notebook's and is not: the next round takes that."""
        is_new = False
        for system in found.systems:
            own, public = of_system(found.packages, system), self.public[system]
            used = closure(public, self._used(own, system))
            hoisted = closure(own, _hoisted(own, self.group.singleton))
            for name in sorted((used | hoisted) & own.keys() & public.keys()):
                theirs = public[name]
                if name in self.fixed.versions[system]:
                    continue
                if own[name].version == theirs.version and (theirs.wheels or theirs.source):
                    continue
                who = next(
                    (one for one in sorted(used | hoisted) if name in _needs(one, own, public)),
                    name,
                )
                why = f"`{who}` needs it, of which a process can hold only one"
                self.fixed.take(system, name, theirs.version, why)
                is_new = True
        return is_new

    def _brings(self, found: Resolution) -> bool:
        """Whether something of it becomes the notebook's."""
        return any(
            _hoisted(of_system(found.packages, system), self.group.singleton)
            for system in found.systems
        )

    def _used(self, own: Mapping[str, LockedPackage], system: str) -> frozenset[str]:
        """Those of the notebook's packages that must be used, and are."""
        wanted = {need for package in own.values() for need in package.requires}
        return frozenset((wanted | set(self.lines.names)) & self.fixed.versions[system].keys())

    def _check_age(self, found: Resolution) -> None:
        """Refuse what is compiled for an older version of what the process holds.

        Raises:
            PrivateGroupError: Something is.
        """
        late = [one for one in found.untimely if _is_bound(found, one)]
        if not late:
            return
        first = late[0]
        raise self._refused(
            f"`{first.wanter} {first.wanter_version}` was not made for the notebook's `{first.name} {first.version}`",
            reasons=[too_new(one, self.fixed.why.get(one.name, "")) for one in late],
            packages=[one.name for one in late],
        )

    def _refused(
        self, why: str, *, reasons: Sequence[str] = (), packages: Sequence[str] = ()
    ) -> PrivateGroupError:
        hint = process_hint(self.group, self.lines.texts)
        return refused(
            self.group, self.asked.notebook, why, reasons=reasons, packages=packages, hint=hint
        )

    def _is_of_the_kernel(self, name: str) -> bool:
        """Whether only the kernel forces a package on the group, which nobody can do anything about."""
        return self.fixed.why.get(name) == KERNEL

    def _answered(self, found: Resolution) -> Answer:
        lock = of_systems(self.around.lock, found.systems)
        hoisted: set[str] = set()
        uses: set[str] = set()
        for system in found.systems:
            own = of_system(found.packages, system)
            moved = closure(own, _hoisted(own, self.group.singleton))
            hoisted |= moved - self.public[system].keys()
            uses |= moved | self._used(own, system)
        new = tuple(package for package in found.packages if package.name in hoisted)
        tree = Tree(
            self.group.name,
            tuple(package for package in found.packages if package.name not in hoisted),
            frozenset(uses),
            frozenset(hoisted),
            self.group.package,
        )
        notes = (
            *found.notes,
            *(aged(one) for one in found.untimely if not self._is_of_the_kernel(one.name)),
        )
        return Answer(
            tree,
            replace(lock, packages=tuple(sorted({*lock.packages, *new}))),
            found.build_packages,
            found.built,
            tuple(told(note, self.group.name) for note in notes),
        )


def _hoisted(own: Mapping[str, LockedPackage], singleton: Sequence[str]) -> list[str]:
    """Those of a group's packages of which a process can hold only one."""
    return [name for name in own if reason(name) or name in singleton]


def _needs(
    name: str, own: Mapping[str, LockedPackage], public: Mapping[str, LockedPackage]
) -> tuple[str, ...]:
    found = public.get(name) or own.get(name)
    return found.requires if found else ()


def _is_bound(found: Resolution, one: Untimely) -> bool:
    """Whether compiled code meets compiled code that it cannot know; anything else may well work."""
    return reason(one.name) is not None and any(
        package.source is not None
        or any(not wheel.filename.endswith("-any.whl") for wheel in package.wheels)
        for package in found.packages
        if package.name == one.wanter
    )
