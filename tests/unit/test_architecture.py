"""The rules that CONTRIBUTING.md gives about who may import what."""

import ast
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ENGINE_LIBRARIES = {"certifi", "isal", "packaging", "tomli", "typing_extensions", "uv"}
PURE = (
    "canonical.py",
    "composition/compose.py",
    "composition/merge.py",
    "lock.py",
    "nar.py",
    "plan.py",
    "spec.py",
    "storenames.py",
    "storepath.py",
    "tree.py",
)
WORLD = {
    "asyncio",
    "http",
    "os",
    "pathlib",
    "shutil",
    "socket",
    "sqlite3",
    "subprocess",
    "tempfile",
}


def imported(file):
    """Top-level names of everything that `file` imports by an absolute name, wherever in it."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module.partition(".")[0]


def foreign(folder, allowed):
    """What files below `folder` import beside the standard library and `allowed`, and where."""
    return {
        (name, file.relative_to(ROOT).as_posix())
        for file in (ROOT / folder).rglob("*.py")
        for name in imported(file)
        if name not in sys.stdlib_module_names and name not in allowed
    }


def test_engine_imports_nothing_of_jupyter():
    assert foreign("nixlib", {"nixlib", "_nixenv_commands", *ENGINE_LIBRARIES}) == set()


def declared():
    """The names of the dependencies in `pyproject.toml`, as they are imported."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    block = re.search(r"^dependencies = \[\n(.*?)^\]", text, re.DOTALL | re.MULTILINE)[1]
    return {name.replace("-", "_") for name in re.findall(r'^ *"([a-z-]+)', block, re.MULTILINE)}


def used():
    """The libraries that our code imports at run time."""
    # `typing_extensions` is for the type checker only; the others are in the environment, or are ours.
    ours = {"nixlib", "nixenv", "_nixenv_commands", "IPython", "typing_extensions"}
    return {name for folder in ("nixlib", "nixenv") for name, _ in foreign(folder, ours)}


def test_whatever_is_imported_is_declared():
    assert used() - declared() == set()


def test_each_dependency_has_its_reason_in_the_docs():
    page = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([a-z-]+)` \|", page, re.MULTILINE)
    assert {name.replace("-", "_") for name in rows} == used()


@pytest.mark.parametrize(
    ("folder", "allowed"),
    [
        ("nixenv/kernel", {"IPython", "ipykernel"}),
        ("nixlib/composition/builtin", {"_nixenv_commands"}),
        ("nixlib/builders", set()),
    ],
)
def test_what_runs_inside_an_environment_needs_little(folder, allowed):
    assert foreign(folder, allowed) == set()


@pytest.mark.parametrize("name", PURE)
def test_pure_module_cannot_reach_the_world(name):
    tree = ast.parse((ROOT / "nixlib" / name).read_text(encoding="utf-8"))
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    assert WORLD.isdisjoint(imported(ROOT / "nixlib" / name))
    assert "open" not in [call.id for call in calls if isinstance(call, ast.Name)]
