"""The plan: which store objects a lock is on one machine, and which of their paths are known (pure).

A path is known where somebody who is believed says which tree an artifact unpacks to. A hint out of the
lock is not such a word: it stays beside its leaf, to be compared once the artifact itself was here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

from nixlib.errors import CollisionError, HashMismatchError, PlanError
from nixlib.lock import (
    Artifact,
    Lock,
    LockedAttribute,
    LockedCondaPackage,
    LockedInterpreter,
    LockedPackage,
)
from nixlib.lock.fields import damaged
from nixlib.platforms import python_minor, wheel_tags
from nixlib.sri import sri_digest
from nixlib.storenames import conda_store_name, interpreter_store_name, wheel_store_name
from nixlib.storepath import STORE_DIR, StorePath, fixed_output_path

if TYPE_CHECKING:
    from nixlib.spec import Spec

_WHEEL = re.compile(
    r"[^-]+-[^-]+(?:-(?P<build>\d[^-]*))?-(?P<python>[^-]+)-(?P<abi>[^-]+)-(?P<platform>[^-]+)\.whl"
)
_PURE = ("-py3-none-any.whl", "-py2.py3-none-any.whl")
_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Leaf:
    """One store object of the plan that needs no other.

    Attributes:
        name: Normalised name of the package, conda's own for one of conda, or `python`.
        version: As the lock has it.
        kind: What it is made from.
        artifact: The file it is made from; None for a `host` Python.
        store_name: Name of the store object, without its digest.
        nar: SRI hash of its tree, where somebody who is believed knows it.
        path: Its store path, exactly where `nar` is known.
        hint: SRI hash that the lock claims and nobody vouches for.
        index: The index that it came from, where that is not the default one.
    """

    name: str
    version: str
    kind: Literal["wheel", "conda", "standalone", "host"]
    artifact: Artifact | None
    store_name: str
    nar: str | None = None
    path: StorePath | None = None
    hint: str | None = None
    index: str = ""

    def check_hint(self, nar: str) -> None:
        """Hold what the lock claims against the true tree, SRI `nar`.

        Raises:
            HashMismatchError: They differ: the lock pairs a genuine artifact with another tree.
        """
        if self.hint in (None, nar):
            return
        raise HashMismatchError(
            f"the lock gives a false store hash for `{self.name}` {self.version}",
            details=(
                "its file is the one that the lock names, and unpacks to another tree",
                f"expected {self.hint}",
                f"found    {nar}",
            ),
            hint="`%nixenv lock` makes a true one; ask where this one came from",
            url=self.artifact.url if self.artifact else "",
            expected=self.hint,
            actual=nar,
            package=self.name,
        )


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
        trusted: SRI hash of the tree of each artifact (sha256, hex) that somebody who is believed
            vouches for: this machine, a signature, the user.
        store_dir: Where the paths are to be; it is part of their digests.

    Raises:
        PlanError: The lock has nothing for this machine: every package is named.
        CollisionError: It has the same Python package from conda and as a wheel.
        LockError: It has a package twice.
    """
    if system not in lock.systems:
        raise PlanError(
            f"the lock has nothing for `{system}`",
            details=(f"it is for {', '.join(f'`{known}`' for known in lock.systems)}",),
            hint=f'add `"{system}"` to `"systems"` and lock again',
            package="",
            system=system,
        )
    wanted = [p for p in lock.packages if not p.systems or system in p.systems]
    conda = tuple(sorted(lock.conda.of_system(system)))
    _check_twice(wanted, conda)
    chosen, built = _choose_all(wanted, system, python_minor(lock.interpreter.version), glibc)

    def known(artifact: Artifact | None, store_name: str, nar: str | None = None) -> _Known:
        sha256 = artifact.sha256 if artifact else ""
        nar = nar or trusted.get(sha256)
        path = fixed_output_path(store_name, sri_digest(nar), (), store_dir) if nar else None
        return _Known(artifact, store_name, nar, path, None if nar else lock.hints.get(sha256))

    return Plan(
        leaves=tuple(
            Leaf(
                p.name,
                p.version,
                "wheel",
                *known(wheel, wheel_store_name(p.name, p.version)),
                index=p.index,
            )
            for p, wheel in chosen
        ),
        interpreter=_interpreter(lock.interpreter, system, known),
        python=lock.interpreter,
        collisions=spec.collisions,
        strict=spec.strict,
        layout=lock.layout,
        system=system,
        store_dir=store_dir,
        archives=tuple(
            Leaf(
                p.name,
                p.version,
                "conda",
                *known(p.artifact, conda_store_name(p.name, p.version, p.build)),
                index=p.channel,
            )
            for p in conda
        ),
        conda=conda,
        sources=built,
        attributes=tuple(sorted(a for a in lock.attributes if system in a.outputs)),
        lock=lock,
        build_inputs=spec.build_inputs,
    )


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


class _Known(NamedTuple):
    """The fields of a leaf from `artifact` on."""

    artifact: Artifact | None
    store_name: str
    nar: str | None
    path: StorePath | None
    hint: str | None


def _interpreter(
    locked: LockedInterpreter, system: str, known: Callable[..., _Known]
) -> Leaf | None:
    if locked.source in ("conda", "nixpkgs"):
        return None
    store_name = interpreter_store_name(locked.version, locked.source)
    if locked.source == "host":
        # Its tree is its identity, stated by the lock itself: no artifact stands behind it.
        nar = locked.trees.get(system)
        return Leaf("python", locked.version, "host", *known(None, store_name, nar))
    artifact = locked.artifacts.get(system)
    if artifact is None:
        raise PlanError(
            f"the lock has no Python {locked.version} for `{system}`",
            details=tuple(f"it has one for `{other}`" for other in sorted(locked.artifacts)),
            hint="`%nixenv lock`",
            package="python",
            system=system,
        )
    return Leaf("python", locked.version, "standalone", *known(artifact, store_name))


def _choose_all(
    packages: Sequence[LockedPackage], system: str, minor: str, glibc: tuple[int, int] | None
) -> tuple[list[tuple[LockedPackage, Artifact]], tuple[LockedPackage, ...]]:
    """The wheel of each package here, and the packages that are built because none fits."""
    ranks: dict[str, int] = {}
    chosen: list[tuple[LockedPackage, Artifact]] = []
    homeless: list[LockedPackage] = []
    for package in sorted(packages):
        only = package.wheels[0] if len(package.wheels) == 1 else None
        if only and only.filename.endswith(_PURE):
            chosen.append((package, only))  # most packages: no tag needs to be looked at
            continue
        if not ranks:
            tags = wheel_tags(system, minor, glibc)
            ranks = {str(tag): rank for rank, tag in reversed(list(enumerate(tags)))}
        ranked = [(_rank(wheel.filename, ranks), wheel) for wheel in package.wheels]
        best = min(((rank, wheel) for rank, wheel in ranked if rank is not None), default=None)
        if best is None:
            homeless.append(package)
        else:
            chosen.append((package, best[1]))
    nowhere = [package for package in homeless if package.source is None]
    if nowhere:
        raise _no_wheel(nowhere, system, minor, glibc)
    return chosen, tuple(homeless)


def _rank(filename: str, ranks: Mapping[str, int]) -> tuple[int, int, str] | None:
    """How good a wheel is, less is better: its best tag, then the higher build number (PEP 427)."""
    found = _WHEEL.fullmatch(filename)
    if found is None:
        return None
    tags = (
        f"{python}-{abi}-{platform}"
        for python in found["python"].split(".")
        for abi in found["abi"].split(".")
        for platform in found["platform"].split(".")
    )
    rank = min((ranks[tag] for tag in tags if tag in ranks), default=None)
    if rank is None:
        return None
    digits = re.match(r"\d+", found["build"] or "")
    return rank, -int(digits[0]) if digits else 0, filename


def _no_wheel(
    packages: Sequence[LockedPackage], system: str, minor: str, glibc: tuple[int, int] | None
) -> PlanError:
    first = packages[0]
    others = f" and {len(packages) - 1} more" if len(packages) > 1 else ""
    details = [
        f"`{package.name}` {package.version} offers {_offered(package)}"
        for package in packages[:_SHOWN]
    ]
    if system.endswith("-linux"):
        library = f"glibc {glibc[0]}.{glibc[1]}" if glibc else "a C library that is not glibc"
        details.append(f"this machine has Python {minor} and {library}")
    return PlanError(
        f"no wheel of `{first.name}` {first.version}{others} fits Python {minor} on `{system}`",
        details=tuple(details),
        package=first.name,
        version=first.version,
        system=system,
    )


def _offered(package: LockedPackage) -> str:
    tags = (
        "-".join(wheel.filename.removesuffix(".whl").split("-")[-3:]) for wheel in package.wheels
    )
    return ", ".join(f"`{tag}`" for tag in tags) or "no wheel at all"
