"""What runs under a group's Python must be understood by the oldest one, and need nothing of the group's."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[5] / "nixenv" / "kernel" / "process"


@pytest.mark.parametrize("source", sorted(FOLDER.glob("*.py")), ids=lambda path: path.name)
def test_source_is_of_python_3_8_and_imports_the_standard_library_and_its_neighbours(source):
    tree = ast.parse(source.read_text(), feature_version=(3, 8))
    tops = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            tops |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            tops.add((node.module or "").split(".")[0])
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 1 or (node.module or "").startswith("groups.")
    assert tops <= {*sys.stdlib_module_names, "IPython"}
