"""The newest Nix that can be had, for tests; downloaded once, kept in the user's cache."""

import contextlib
import functools
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from daemons import remove_tree

_TOOL = Path(__file__).parent.parent / "tools" / "newest_nix.py"
_CACHE = "NIXENV_TEST_CACHE"


@dataclass(frozen=True)
class NewestNix:
    """Programs of a Nix that is not the machine's own."""

    programs: Path
    version: tuple[int, ...]

    def env(self) -> dict[str, str]:
        """A process environment in which they are found first."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith("NIX_")}
        # It is run by its own loader, which it would take for itself when it starts its build hook; and
        config = f"build-hook = {self.programs}/nix __build-remote\nsandbox-paths =\n"
        config += "build-users-group =\n"  # see `conftest.py`
        path = f"{self.programs}{os.pathsep}{os.environ['PATH']}"
        return {**kept, "PATH": path, "NIX_CONFIG": config}

    @contextlib.contextmanager
    def place(self) -> Iterator[Path]:
        """A folder for a store that it builds in: it does so nowhere that everybody may write."""
        with tempfile.TemporaryDirectory(dir=self.programs.parent) as folder:
            yield Path(folder)
            remove_tree(Path(folder))


def newest_nix() -> NewestNix:
    """The newest Nix; skips the test, with the reason, where none can be had."""
    found = _find()
    if isinstance(found, str):
        pytest.skip(f"no newer Nix: {found}")
    return found


@functools.cache
def _find() -> NewestNix | str:
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    cache = Path(os.environ.get(_CACHE) or caches / "nixenv-tests") / "newest-nix"
    argv = [sys.executable, str(_TOOL), str(cache)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        return done.stderr.strip().splitlines()[-1]
    programs = Path(done.stdout.strip())
    said = subprocess.run(
        [programs / "nix", "--version"], capture_output=True, text=True, check=True
    ).stdout
    return NewestNix(programs, tuple(int(part) for part in said.split()[-1].split(".")[:3]))
