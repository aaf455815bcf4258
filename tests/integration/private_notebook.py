"""Notebooks with private groups, and a kernel in which cells either run or fail the test."""

from __future__ import annotations

import json
import textwrap
from contextlib import contextmanager
from pathlib import Path

import nbformat
import pytest
from live_kernel import Cell, kernel_for

from nixlib.interpreters.host_python import find_hosts
from nixlib.platforms import current_system

PYTHON = "3.11"  # of which there are wheels of all versions that these tests compare

MARKS = [
    pytest.mark.daemon,
    pytest.mark.network,
    pytest.mark.slow,
    pytest.mark.skipif(
        not any(host.version.startswith(f"{PYTHON}.") for host in find_hosts()),
        reason=f"there is no Python {PYTHON}",
    ),
]
"""Of tests that lock and build with the wheels of the registry."""


def write_notebook(path: Path, *requirements: str, **spec: object) -> Path:
    """A notebook at `path` that asks for this and has no lock."""
    asked = {
        "version": 1,
        "python": PYTHON,
        "interpreter": "host",
        "systems": [current_system()],
        "requirements": list(requirements),
        **spec,
    }
    path.write_text(nbformat.writes(nbformat.v4.new_notebook(metadata={"nixenv": asked})))
    return path


def lock_of(path: Path) -> dict:
    """The lock in a notebook."""
    return json.loads(path.read_text())["metadata"]["nixenv"]["lock"]


def group_of(path: Path, name: str) -> dict:
    """One group of the lock in a notebook."""
    return next(group for group in lock_of(path)["private"] if group["name"] == name)


def versions(packages: list[dict]) -> dict[str, str]:
    """Version by name of packages of a lock."""
    return {package["name"]: package["version"] for package in packages}


class Cells:
    """A kernel whose cells run without an error."""

    def __init__(self, kernel) -> None:
        self.kernel = kernel

    def run(self, code: str) -> Cell:
        """What a cell gave."""
        cell = self.kernel.run(textwrap.dedent(code).lstrip("\n"))
        assert not cell.error, "\n".join(cell.error["traceback"]) + cell.stream
        return cell

    def fails(self, code: str) -> dict:
        """The error output of a cell."""
        cell = self.kernel.run(textwrap.dedent(code).lstrip("\n"))
        assert cell.error, cell
        return cell.error

    def value(self, code: str) -> object:
        """The value of an expression that JSON can hold."""
        return self.kernel.value(code)


@contextmanager
def cells_of(notebook: Path, engine_home):
    """A kernel of a notebook, which is locked and built if it is not."""
    with kernel_for(notebook, engine_home) as kernel:
        yield Cells(kernel)
