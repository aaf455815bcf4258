"""What one resolution is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from nixlib.cancel import Cancel
from nixlib.engine import KERNEL, Upgrade
from nixlib.lock import Lock, LockedPackage, added_since
from nixlib.progress import EventSink
from nixlib.settings import Settings
from nixlib.spec import Spec
from nixlib.variants import recorded


@dataclass(frozen=True)
class Asked:
    """One resolution of a spec.

    Attributes:
        spec: What is asked for.
        previous: The lock so far.
        settings: Where things are.
        notebook: Its name, for messages.
        folder: The notebook's folder, which relative channels and projects begin at.
        upgrade: Normalised names that may move, or `all`.
        as_of: A date that takes the place of the spec's `exclude-newer`.
        on_event: Told what happens.
        cancel: Stops it.
        meanwhile: Called where somebody waits for uv anyway.
        substitutions: Variants that take the place of the spec's, for a machine that cannot have those.
        kernel: What the kernel needs; nothing for a process beside the notebook's.
        beside: Packages of the notebook, for such a process: their versions are as good as any.
    """

    spec: Spec
    previous: Lock | None
    settings: Settings
    notebook: str
    folder: Path
    upgrade: Upgrade
    as_of: str | None
    on_event: EventSink
    cancel: Cancel
    meanwhile: Callable[[], None]
    substitutions: Mapping[str, str | None] = field(default_factory=dict)
    kernel: tuple[str, ...] = KERNEL
    beside: tuple[LockedPackage, ...] = ()

    @cached_property
    def added(self) -> tuple[str, ...]:
        """The last lines, where the previous lock answers all the others and nothing else may move."""
        if self.previous is None or self.may_move:
            return ()
        return added_since(self.previous, self.spec)

    @property
    def may_move(self) -> bool:
        """Whether more may change than what its lines ask for."""
        return bool(self.as_of or self.upgrade or self._is_substituted_anew)

    @property
    def variants(self) -> dict[str, str | None]:
        """The spec's, and those in their place."""
        return {**self.spec.variants, **self.substitutions}

    @property
    def exclude_newer(self) -> str | None:
        """The date that counts."""
        return self.as_of or self.spec.exclude_newer

    @property
    def _is_substituted_anew(self) -> bool:
        return self.previous is not None and self.previous.substitutions != self.substituted

    @property
    def substituted(self) -> dict[str, str]:
        """The substitutions as a lock records them."""
        return recorded(self.substitutions)
