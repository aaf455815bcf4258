"""What is said about an environment and a lock that were made: the JSON of the contract, and its text."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nixenv.cli.changes import NO_CHANGES, Changes, held_in_groups, held_lines
from nixenv.cli.report import Report
from nixenv.environments import hold, record_use
from nixenv.frontend import FrontEnd
from nixenv.notebook.metadata import Document
from nixlib.environment import Environment, environment_key
from nixlib.lock import Lock
from nixlib.settings import Settings
from nixlib.spec import Spec


@dataclass(frozen=True, slots=True)
class Outcome:
    """One notebook's environment after a verb.

    Attributes:
        notebook: The document.
        spec: What it asks for now.
        lock: What it gets now.
        environment: Where that is; None when it was only locked.
        seconds: How long the verb took.
        changes: What differs from the lock before.
        warnings: What the user should know.
        front_end: Page parts that the server lacks, where the verb looks for them.
    """

    notebook: Path
    spec: Spec
    lock: Lock
    environment: Environment | None
    seconds: float
    changes: Changes = NO_CHANGES
    warnings: tuple[str, ...] = ()
    front_end: FrontEnd | None = None

    @property
    def held(self) -> tuple[str, ...]:
        """Why packages that have moved are older than they could be; `list` has the others."""
        own = held_lines(self.lock, self.changes.present)
        return (*own, *held_in_groups(self.lock, self.changes))

    @property
    def place(self) -> str:
        """The environment's path, for a sentence."""
        return str(self.environment.path) if self.environment else "not built"

    def to_json(self, settings: Settings) -> dict[str, Any]:
        """The result of `add`, `remove`, `lock`, `sync` and `build`."""
        return {
            "notebook": str(self.notebook),
            "spec": self.spec.digest,
            "lock": self.lock.digest,
            "seconds": round(self.seconds, 3),
            **_places(self.environment, self.lock, settings),
            **self.changes.to_json(),
            "held": list(self.held),
            "warnings": list(self.warnings),
            "frontend": self.front_end.to_json() if self.front_end else None,
        }

    def report(self, settings: Settings, headline: str) -> Report:
        """The whole outcome; `headline` is its first line."""
        text = [headline, *(f"  {line}" for line in self.changes.lines())]
        text += [f"  held: {line}" for line in self.held]
        text += [f"warning: {line}" for line in self.warnings]
        text += [self.front_end.message] if self.front_end else []
        return Report(self.to_json(settings), "\n".join(text))


def _places(
    environment: Environment | None, lock: Lock, settings: Settings
) -> dict[str, str | None]:
    """Where the environment, its Python, its packages and their bytecode are."""
    if environment is None:
        return dict.fromkeys(("env", "python", "site_packages", "pycache_prefix", "hold"))
    python = environment.path / "bin" / "python"
    minor = ".".join(lock.interpreter.version.split(".")[:2])
    bytecode = bytecode_prefix(environment.path, settings)
    return {
        "env": str(environment.path),
        "python": str(python),
        "site_packages": str(environment.path / "lib" / f"python{minor}" / "site-packages"),
        "pycache_prefix": str(bytecode) if bytecode else None,
        "hold": str(settings.state_dir / "running" / environment_key(lock, settings)),
    }


def bytecode_prefix(environment: Path, settings: Settings) -> Path | None:
    """What a Python of this environment gets as `-X pycache_prefix`; None when no cache can be kept."""
    from nixlib.composition.bytecode import prepare_pycache  # noqa: PLC0415

    try:
        return prepare_pycache(environment, settings.cache_dir, environment.parent)
    except OSError:
        return None


def note_use(lock: Lock, settings: Settings, document: Document) -> None:
    """Record that `document` uses the environment of `lock`, and that somebody is about to hold it.

    A headless run's mailbox is nobody's notebook: its file is gone when the run is over. That of a page
    names the notebook's file as its `user`. The descriptor stays open until this process ends: by then a
    kernel has its own.
    """
    root = environment_key(lock, settings)
    user = document.metadata.get("user") if document.kind == "mailbox" else str(document.path)
    if isinstance(user, str):
        record_use(settings.state_dir, root, Path(user))
    try:
        hold(settings.state_dir, root)
    except OSError:
        return


def clock() -> float:
    """Seconds on a clock that only goes forward."""
    return time.monotonic()
