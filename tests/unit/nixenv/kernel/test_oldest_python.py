"""What runs inside a kernel must be understood by the oldest Python that a notebook may ask for."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

KERNEL_SIDE = Path(__file__).parents[4] / "nixenv" / "kernel"
EVERY = sorted(KERNEL_SIDE.rglob("*.py"))
SOURCES = sorted([*KERNEL_SIDE.glob("*.py"), *(KERNEL_SIDE / "groups").glob("*.py")])


def _name(source: Path) -> str:
    return str(source.relative_to(KERNEL_SIDE))


@pytest.mark.parametrize("source", EVERY, ids=_name)
def test_syntax_is_of_python_3_8(source):
    ast.parse(source.read_text(), feature_version=(3, 8))


@pytest.mark.parametrize("source", SOURCES, ids=_name)
def test_imports_are_relative_or_of_the_standard_library_or_ipython(source):
    tops = set()
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            tops |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            tops.add((node.module or "").split(".")[0])
        elif isinstance(node, ast.ImportFrom):
            depth = len(source.relative_to(KERNEL_SIDE).parts)
            assert node.level <= depth, "the folder's parent is another package inside a kernel"
    assert tops <= {*sys.stdlib_module_names, "IPython", "ipykernel"}
