"""Who opens and builds sources for the resolver, which has nothing else to ask what a package needs.

Nothing is opened, not even the store, before a source is wanted: most notebooks have none.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from nixlib.cancel import Cancel
from nixlib.lock import Lock, LockedPackage
from nixlib.platforms import current_system
from nixlib.progress import EventSink, Note, ignore
from nixlib.sources.source import BuiltWheel, OpenedSource, SourceWanted

if TYPE_CHECKING:
    from typing_extensions import Self

    from nixlib.settings import Settings
    from nixlib.sources.site import BuildSite

__all__ = ["SourceBuilder"]


class SourceBuilder:
    """Implements `nixlib.resolvers.base.Builder`; close it, or use it in a `with`.

    Args:
        base: A lock with the interpreter, conda packages and attributes that were chosen already.
        settings: Where things are.
        folder: The notebook's.
        build_inputs: The spec's.
        on_event: Told what takes long.
        cancel: Stops it.
    """

    def __init__(
        self,
        base: Lock,
        *,
        settings: Settings,
        folder: Path,
        build_inputs: tuple[str, ...] = (),
        on_event: EventSink = ignore,
        cancel: Cancel | None = None,
    ) -> None:
        self._base = base
        self._settings = settings
        self._folder = folder
        self._build_inputs = build_inputs
        self._on_event = on_event
        self._cancel = cancel or Cancel()
        self._opened = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the store; wheels that were built may be collected then."""
        self._opened.close()

    def open(self, wanted: SourceWanted) -> OpenedSource:
        """The tree of a source, and what it says of how it is built; nothing of it is run.

        Raises:
            SourceError: It is no project, is damaged, or something in it leads out of it.
            HashMismatchError: The archive is not the one that is named.
            NetworkError: It could not be had.
            RealisationCancelledError: Somebody stopped it.
        """
        opened = self._site.opener.open(wanted)
        for warning in opened.warnings:
            self._on_event(Note("warning", warning, opened.name))
        return opened

    def more_requirements(
        self, opened: OpenedSource, build: tuple[LockedPackage, ...]
    ) -> tuple[str, ...]:
        """What its backend wants to be built with beyond `opened.requires` (PEP 517).

        Raises:
            SourceBuildError: The backend fails.
            SandboxError: Nothing here keeps a build from the rest of the machine.
            RealisationCancelledError: Somebody stopped it.
        """
        from nixlib.sources.building import requirements_of_backend  # noqa: PLC0415 - seldom needed

        return requirements_of_backend(self._site, opened, build)

    def build(self, opened: OpenedSource, build: tuple[LockedPackage, ...]) -> BuiltWheel:
        """The wheel of a source, built with `build`; at once where it has been built before.

        Raises:
            SourceBuildError: It cannot be built; the hint has what it missed.
            SandboxError: Nothing here keeps a build from the rest of the machine.
            WheelError: What was built is no wheel of that package.
            RealisationCancelledError: Somebody stopped it.
        """
        from nixlib.sources.building import build_source  # noqa: PLC0415 - seldom needed
        from nixlib.sources.realising import remember  # noqa: PLC0415

        built = build_source(self._site, opened, build)
        remember(self._site, opened, build, built)
        return built.wheel

    def rebuild(self, opened: OpenedSource, build: tuple[LockedPackage, ...]) -> BuiltWheel:
        """The wheel of a source, built once more, whatever has been built before: is it the same?

        Raises:
            NixError: What `build` raises.
        """
        from nixlib.sources.building import build_source  # noqa: PLC0415 - seldom needed

        return build_source(self._site, opened, build, attempt=time.time_ns()).wheel

    @cached_property
    def _site(self) -> BuildSite:
        # Not at the top: a resolution without sources must not load what builds.
        from nixlib.ledger import Ledger  # noqa: PLC0415
        from nixlib.sources.site import BuildSite  # noqa: PLC0415
        from nixlib.store import open_store  # noqa: PLC0415

        settings = self._settings
        ledger = self._opened.enter_context(Ledger(settings.state_dir / "ledger.sqlite"))
        store = open_store(settings.store, connections=settings.connections)
        return BuildSite(
            store=self._opened.enter_context(store),
            ledger=ledger,
            settings=settings,
            base=self._base,
            build_inputs=self._build_inputs,
            folder=self._folder,
            system=current_system(),
            on_event=self._on_event,
            cancel=self._cancel,
        )
