"""The rules that CONTRIBUTING.md gives about who may import what."""

import ast
import importlib
import inspect
import pickle
import re
import sys
from pathlib import Path

import pytest

from nixlib.errors import NixError

ROOT = Path(__file__).parents[2]
HANDLERS = "nixenv/server/handlers.py"
# Where what is imported is not called as what is installed.
DISTRIBUTIONS = {
    "backports": "backports_zstd",
    "rattler": "py_rattler",
    "yaml": "pyyaml",
    "zmq": "pyzmq",
}
ENGINE_LIBRARIES = {
    "backports",
    "certifi",
    "isal",
    "packaging",
    "rattler",
    "tomli",
    "typing_extensions",
    "uv",
    "yaml",
}
# `compression` came with 3.14; older Pythons do not know it for one of theirs.
STANDARD_LIBRARY = {*sys.stdlib_module_names, "compression"}
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


def pure():
    """The modules of the engine whose docstring says in its first line that they are: `(pure)`, `(pure, …)`."""
    for file in sorted((ROOT / "nixlib").rglob("*.py")):
        said = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
        if re.search(r"\(pure[,)]", said.partition("\n")[0]):
            yield file.relative_to(ROOT / "nixlib").as_posix()


PURE = tuple(pure())


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
        if name not in STANDARD_LIBRARY and name not in allowed
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
    # The server brings itself, and the tornado that it runs on, where it loads our extension.
    extension = {("jupyter_server", HANDLERS), ("tornado", HANDLERS)}
    found = {pair for folder in ("nixlib", "nixenv") for pair in foreign(folder, ours)}
    return {DISTRIBUTIONS.get(name, name) for name, _ in found - extension}


# Dependencies that nobody imports: Jupyter gives their files to pages.
SERVED = {"jupyterlab_widgets"}


def test_whatever_is_imported_is_declared():
    assert used() - declared() == set()


def test_each_dependency_has_its_reason_in_the_docs():
    page = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([a-z-]+)` \|", page, re.MULTILINE)
    assert {name.replace("-", "_") for name in rows} == used() | SERVED


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


def test_modules_named_in_contributing_say_that_they_are_pure():
    """A docstring without the word would leave its module unchecked."""
    values = {"plan/planning.py", "tree.py", "nar.py", "storepath.py", "derivation.py"}
    assert {*values, "lock/lock.py", "spec/spec.py", "composition/compose.py"} <= set(PURE)


@pytest.mark.parametrize("name", PURE)
def test_pure_module_cannot_reach_the_world(name):
    tree = ast.parse((ROOT / "nixlib" / name).read_text(encoding="utf-8"))
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    assert WORLD.isdisjoint(imported(ROOT / "nixlib" / name))
    assert "open" not in [call.id for call in calls if isinstance(call, ast.Name)]


def modules_named(file):
    """Dotted names of every module that `file` imports, or takes a name from."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def reaching(files, *rooms):
    """Which of `files` import something of `rooms`, and what."""
    return {
        (file.relative_to(ROOT).as_posix(), name)
        for file in files
        for name in modules_named(file)
        for room in rooms
        if f"{name}.".startswith(f"{room}.")
    }


@pytest.mark.parametrize("name", PURE)
def test_pure_module_imports_no_room_that_touches_the_world(name):
    rooms = [
        f"nixlib.{room}"
        for room in ("caches", "daemon", "engine", "gcroots", "ledger", "network", "realise")
    ]
    if not name.startswith("resolvers/"):  # what uv is asked and answers are values, too
        rooms.append("nixlib.resolvers")
    assert reaching([ROOT / "nixlib" / name], *rooms, "nixlib.store") == set()


def test_only_the_command_line_imports_the_command_line():
    files = [
        file
        for file in (ROOT / "nixenv").rglob("*.py")
        if file.relative_to(ROOT / "nixenv").parts[0] not in ("cli", "__main__.py")
    ]
    assert reaching(files, "nixenv.cli") == set()


def test_only_the_watch_pays_for_what_it_watches_with():
    """The library in one module, and that module in one verb: the others must start as fast without."""
    files = list((ROOT / "nixenv").rglob("*.py"))
    assert {name for name, _ in reaching(files, "watchdog")} == {"nixenv/watch/observer.py"}
    outside = [file for file in files if file.parent != ROOT / "nixenv/watch"]
    importing = {name for name, _ in reaching(outside, "nixenv.watch")}
    assert importing == {"nixenv/cli/watch.py", "nixenv/cli/watch_screen.py"}


def test_engine_has_nothing_of_its_own_tests():
    files = [
        file for file in (ROOT / "nixlib").rglob("*.py") if file.parent != ROOT / "nixlib/testing"
    ]
    files += (ROOT / "nixenv").rglob("*.py")
    assert reaching(files, "nixlib.testing") == set()


def error_classes():
    modules = [importlib.import_module(name) for name in ("nixlib.errors", "nixenv.errors")]
    found = {
        value
        for module in modules
        for _, value in inspect.getmembers(module, inspect.isclass)
        if issubclass(value, NixError)
    }
    return sorted(found, key=lambda kind: kind.__qualname__)


@pytest.mark.parametrize("kind", error_classes())
def test_error_crosses_a_process_boundary_and_says_the_same(kind):
    error = kind("cannot do it", details=("found\nthis",), hint="`do that`", notebook="a.ipynb")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert again.render() == "cannot do it\n  found\n  this\n\nhint: `do that`"
    assert again.notebook == "a.ipynb"


def test_errors_are_defined_in_one_place_for_each_side():
    names = {kind.__name__ for kind in error_classes()}
    strays = {
        (file.relative_to(ROOT).as_posix(), node.name)
        for folder in ("nixlib", "nixenv")
        for file in (ROOT / folder).rglob("*.py")
        if file.name != "errors.py"
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
        and any(isinstance(base, ast.Name) and base.id in names for base in node.bases)
    }
    assert strays == set()


@pytest.mark.parametrize("package", ["nixlib", "nixenv"])
def test_map_of_the_rooms_has_every_room(package):
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rooms = {file.name for file in (ROOT / package).glob("[!_]*.py")}
    rooms |= {f"{file.parent.name}/" for file in (ROOT / package).glob("*/*.py")}
    assert {room for room in rooms if f"`{room}`" not in page} == set()


def test_map_of_the_rooms_has_no_module_that_is_gone():
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z_/]+\.py)`", page))
    places = [ROOT, ROOT / "nixlib", ROOT / "nixenv"]
    assert {name for name in named if not any((place / name).exists() for place in places)} == set()


@pytest.mark.parametrize("folder", ["nixlib", "nixenv", "benchmarks", "tools"])
def test_module_says_what_it_is_and_is_no_longer_than_400_lines(folder):
    texts = {
        file.relative_to(ROOT).as_posix(): file.read_text(encoding="utf-8")
        for file in (ROOT / folder).rglob("*.py")
    }
    assert [name for name, text in texts.items() if len(text.splitlines()) > 400] == []
    assert [name for name, text in texts.items() if not ast.get_docstring(ast.parse(text))] == []
