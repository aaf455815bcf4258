"""What the bytes of an artifact become: one recipe for each kind of leaf.

A recipe is a pure function of the bytes. Its word in the ledger stands for that function, so that a
pair of artifact and tree is believed only where the same would be made again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from mmap import mmap
from pathlib import Path
from typing import Protocol, TypeAlias

from nixlib.composition.package import Facts
from nixlib.conda.archive import check_identity, read_archive
from nixlib.errors import WheelError
from nixlib.ledger import CONDA_RECIPE, STRICT_WHEEL_RECIPE, WHEEL_RECIPE
from nixlib.lock import LockedCondaPackage
from nixlib.plan import Leaf, Plan
from nixlib.settings import Settings
from nixlib.tree import Directory
from nixlib.wheels.distinfo import same_version
from nixlib.wheels.wheel import read_wheel

__all__ = ["CondaRecipe", "Made", "Recipe", "WheelRecipe", "recipes"]

Bytes: TypeAlias = bytes | bytearray | mmap


@dataclass(frozen=True)
class Made:
    """What a recipe made of an artifact.

    Attributes:
        tree: The store object.
        words: What the ledger may say of the pair, all of it true.
        warnings: What is wrong with the artifact and did not stop it.
    """

    tree: Directory
    words: tuple[str, ...]
    warnings: tuple[str, ...] = ()


class Recipe(Protocol):
    """One kind's way from bytes to a tree."""

    @property
    def word(self) -> str:
        """Under which word the ledger must know a pair for it to be used without the artifact."""

    def make(self, data: Bytes, leaf: Leaf) -> AbstractContextManager[Made]:
        """The tree of an artifact, for as long as the block lasts.

        Raises:
            NixError: It is none of this kind, or of another package than `leaf` says.
        """


@dataclass(frozen=True)
class WheelRecipe:
    """Wheels, unpacked.

    Attributes:
        strict: Refuse those that disagree with their own RECORD.
    """

    strict: bool = False

    @property
    def word(self) -> str:
        """See `Recipe`."""
        return STRICT_WHEEL_RECIPE if self.strict else WHEEL_RECIPE

    @contextmanager
    def make(self, data: Bytes, leaf: Leaf) -> Iterator[Made]:
        """See `Recipe`.

        Raises:
            WheelError: It breaks the wheel specification, or is of another package.
        """
        wheel = read_wheel(
            data, leaf.artifact.filename if leaf.artifact else "", strict=self.strict
        )
        _check_wheel(leaf, wheel.facts)
        words = (WHEEL_RECIPE, STRICT_WHEEL_RECIPE) if wheel.has_true_record else (WHEEL_RECIPE,)
        yield Made(wheel.tree, words, wheel.warnings)


def _check_wheel(leaf: Leaf, facts: Facts) -> None:
    if facts.name == leaf.name and same_version(facts.version, leaf.version):
        return
    raise WheelError(
        f"the wheel that the lock names for `{leaf.name}` {leaf.version} is another one",
        details=(f"it is `{facts.name}` {facts.version}",),
        hint="`%nixenv lock` makes a new lock",
        wheel=leaf.artifact.filename if leaf.artifact else "",
        member="",
    )


@dataclass(frozen=True)
class CondaRecipe:
    """Archives of conda, unpacked.

    Attributes:
        packages: What the lock says of each, by the sha256 of its archive.
        scratch: A folder for what is unpacked on its way into the store.
    """

    packages: Mapping[str, LockedCondaPackage]
    scratch: Path
    word: str = CONDA_RECIPE

    @contextmanager
    def make(self, data: Bytes, leaf: Leaf) -> Iterator[Made]:
        """See `Recipe`.

        Raises:
            CondaArchiveError: It is damaged, disagrees with itself, or is of another package.
        """
        assert leaf.artifact is not None  # noqa: S101 - every archive is one
        self.scratch.mkdir(parents=True, exist_ok=True)
        archive = read_archive(data, leaf.artifact.filename, scratch=self.scratch)
        check_identity(archive.facts, self.packages[leaf.artifact.sha256])
        yield Made(archive.tree, (self.word,), archive.warnings)


def recipes(plan: Plan, settings: Settings) -> Mapping[str, Recipe]:
    """The recipe of each kind of leaf that has an artifact and is no interpreter."""
    plans = (plan, *plan.processes)
    packages = {package.artifact.sha256: package for one in plans for package in one.conda}
    return {
        "wheel": WheelRecipe(strict=plan.strict),
        "conda": CondaRecipe(packages, settings.cache_dir),
    }
