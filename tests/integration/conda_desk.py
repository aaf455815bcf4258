"""Notebooks that ask the tests' channel, and the engine at work on them."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import nbformat
import pytest

from nixlib.platforms import current_system
from nixlib.testing.conda_channel import LocalChannel

needs_channel = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="the channel is for Linux"
)


@dataclass(frozen=True)
class Desk:
    """Makes notebooks and calls the engine.

    Attributes:
        home: The `EngineHome` of all integration tests.
        folder: Where the notebooks are.
        channel: What they ask.
    """

    home: object
    folder: Path
    channel: LocalChannel

    def notebook(self, *requirements: str, cell: str = "", **changes: object) -> Path:
        """A notebook without a lock."""
        spec = {
            "version": 1,
            "requirements": list(requirements),
            "channels": [self.channel.url],
            "systems": [current_system()],
            **changes,
        }
        cells = [nbformat.v4.new_code_cell(cell, id="one")]
        made = nbformat.v4.new_notebook(cells=cells, metadata={"nixenv": spec})
        path = self.folder / "a.ipynb"
        path.write_text(nbformat.writes(made))
        return path

    def with_variables(self, **variables: str) -> Desk:
        """The same desk, whose engine has these variables."""
        return replace(
            self, home=replace(self.home, process_env={**self.home.process_env, **variables})
        )

    def engine(self, *arguments: object, check: bool = True, **variables: str):
        """`nixenv <arguments>` as a process, its output as text."""
        environ = {**self.home.process_env, "NIXENV_CONDA_NAMES": "", **variables}
        argv = [sys.executable, "-m", "nixenv", *map(str, arguments)]
        run = subprocess.run(argv, capture_output=True, text=True, env=environ, check=False)
        assert run.returncode == 0 or not check, run.stderr + run.stdout
        return run

    def build(self, path: Path, **variables: str) -> Path:
        """The environment of a notebook."""
        told = json.loads(self.engine("build", path, "--json", **variables).stdout)
        return Path(told["env"])

    def run(self, path: Path) -> str:
        """What the notebook's cell prints in a kernel of its environment."""
        out = self.folder / "out.ipynb"
        self.engine("run", path, "--output", out)
        [cell] = nbformat.read(out, as_version=4).cells
        return "".join(output["text"] for output in cell.outputs).strip()


def lock_of(path: Path) -> dict:
    """The lock in a notebook."""
    return json.loads(path.read_text())["metadata"]["nixenv"]["lock"]


def python(environment: Path, code: str) -> str:
    """What code prints in an environment's Python."""
    argv = [environment / "bin" / "python", "-c", code]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()
