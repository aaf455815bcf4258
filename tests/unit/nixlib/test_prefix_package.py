"""A conda prefix as one package of an environment."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from conda_store import MINOR, SITE, CondaStore

from nixlib.composition.compose import InterpreterPackage, compose
from nixlib.conda.listing import PrefixListing
from nixlib.errors import CollisionError
from nixlib.testing.packages import interpreter_of, package_of
from nixlib.tree import Regular, Symlink, walk


@pytest.fixture
def store(tmp_path):
    return CondaStore(tmp_path / "store")


def environment(store, *wheels, collisions=None):
    path = store.prefix("3")
    python = InterpreterPackage(f"{MINOR}.0", path, PrefixListing(store.folder / str(path)))
    composition = compose([*wheels, store.package(path)], python, collisions=collisions)
    return path, composition, dict(walk(composition.tree))


def text(node):
    assert isinstance(node, Regular)
    return b"".join(node.read()).decode()


def test_every_folder_joins_but_the_standard_library(store):
    path, composition, found = environment(store)
    assert found["share"] == Symlink(f"../{path}/share")
    assert found["lib/libtool.so"] == Symlink(f"../../{path}/lib/libtool.so")
    assert found["include/tool.h"] == Symlink(f"../../{path}/include/tool.h")
    assert found[f"{SITE}/tool"] == Symlink(f"../../../../{path}/{SITE}/tool")
    assert f"lib/python{MINOR}/json" not in found
    assert f"lib/python{MINOR[:3]}" not in found or MINOR[:3] == MINOR
    assert composition.references == (path,)
    assert composition.warnings == ()


def test_interpreter_is_that_of_the_prefix(store):
    path, _, found = environment(store)
    assert found["bin/python"] == Symlink(f"../../{path}/bin/python{MINOR}")
    assert found[f"include/python{MINOR}"] == Symlink(f"../../{path}/include/python{MINOR}")


def test_scripts_of_the_prefixs_python_are_made_anew_also_behind_links(store):
    path, _, found = environment(store)
    for name in ("run", "also"):
        assert str(store.folder / str(path)) not in text(found[f"bin/{name}"])
        assert text(found[f"bin/{name}"]).endswith("\nprint(1)\n")
    assert found["bin/shell"] == Symlink(f"../../{path}/bin/shell")


def test_folder_that_a_wheel_has_too_is_merged_through_the_prefixs_links(store):
    wheel = package_of("other", {"site-packages/tool/sub/b.py": ""})
    path, _, found = environment(store, wheel)
    assert found[f"{SITE}/tool/sub/a.py"] == Symlink(
        f"../../../../../../{path}/{SITE}/tool/sub/a.py"
    )
    assert found[f"{SITE}/tool/sub/b.py"] == Symlink(
        f"../../../../../../{wheel.path}/site-packages/tool/sub/b.py"
    )


def test_file_of_both_is_a_collision_that_names_the_package_of_conda(store):
    wheel = package_of("other", {"site-packages/tool/__init__.py": "different"})
    with pytest.raises(CollisionError) as caught:
        environment(store, wheel)
    assert caught.value.packages == ("other", "tool")
    path, _, found = environment_again(store, wheel, "tool")
    assert found[f"{SITE}/tool/__init__.py"].target.endswith(f"{path}/{SITE}/tool/__init__.py")


def environment_again(store, wheel, winner):
    path = store.prefix("4")
    python = InterpreterPackage(f"{MINOR}.0", path, PrefixListing(store.folder / str(path)))
    composition = compose([wheel, store.package(path)], python, collisions={"tool": winner})
    return path, composition, dict(walk(composition.tree))


def test_prefix_without_python_joins_another_interpreter(store):
    path = store.prefix("3")
    composition = compose([store.package(path, version="")], interpreter_of())
    found = dict(walk(composition.tree))
    assert found["share"] == Symlink(f"../{path}/share")
    assert found["bin/python"].target == f"../../{interpreter_of().path}/bin/python3.11"
