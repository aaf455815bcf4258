"""Which package each module of an environment is of, also behind a conda prefix."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from conda_store import MINOR, PYTHON, SITE, TOOL, CondaStore

from nixlib.composition.bytecode import COMPLETE, prepare_pycache, sweep
from nixlib.composition.compose import InterpreterPackage, compose
from nixlib.composition.mirror import Link, read_mirror
from nixlib.conda.listing import PrefixListing
from nixlib.nar import nar_hash
from nixlib.storepath import fixed_output_path
from nixlib.testing.packages import package_of, write_object

WHEEL = package_of("wheel", {"site-packages/of_wheel/__init__.py": ""})


@pytest.fixture
def store(tmp_path):
    return CondaStore(tmp_path / "store")


def environment(store, digit, **more):
    path = store.prefix(digit, **more)
    python = InterpreterPackage(f"{MINOR}.0", path, PrefixListing(store.folder / str(path)))
    made = compose([WHEEL, store.package(path)], python)
    if not (store.folder / str(WHEEL.path)).exists():
        write_object(store.folder, WHEEL.path, WHEEL.listing.tree)
    target = fixed_output_path(made.name, nar_hash(made.tree)[0], made.references)
    return path, write_object(store.folder, target, made.tree)


def test_interpreter_is_the_package_of_python_and_not_the_prefix(store):
    prefix, place = environment(store, "3")
    mirror = read_mirror(place)
    assert (mirror.interpreter, mirror.home) == (str(PYTHON), str(prefix))


def test_folder_of_links_to_one_package_is_that_packages(store):
    _, place = environment(store, "3")
    assert Link(f"{SITE}/tool", str(TOOL), f"{SITE}/tool") in read_mirror(place).links
    assert Link(f"{SITE}/of_wheel", str(WHEEL.path), "site-packages/of_wheel") in (
        read_mirror(place).links
    )


def test_module_with_the_prefixs_path_in_it_is_shared_with_nobody(store):
    prefix, place = environment(store, "3", **{f"{SITE}/tool/here.py": "prefix = 1"})
    links = {link.path: link.package for link in read_mirror(place).links}
    assert links[f"{SITE}/tool/here.py"] == str(prefix)
    assert links[f"{SITE}/tool/sub"] == links[f"{SITE}/tool/__init__.py"] == str(TOOL)
    library = {
        link.path: link.package for link in read_mirror(place).of_library(store.folder).links
    }
    assert library[f"lib/python{MINOR}/_sysconfigdata.py"] == str(prefix)
    assert library[f"lib/python{MINOR}/os.py"] == str(PYTHON)


def test_two_prefixes_share_bytecode_of_their_packages_and_nothing_else(store, tmp_path):
    cache = tmp_path / "cache"
    folders = []
    for digit in "34":
        prefix, place = environment(store, digit)
        prepared = prepare_pycache(place, cache)
        of_library = prepared / (store.folder / str(prefix)).relative_to("/") / "lib"
        folders.append(
            {
                "tool": (prepared / place.relative_to("/") / SITE / "tool").resolve(),
                "json": (of_library / f"python{MINOR}" / "json").resolve(),
                "own": (of_library / f"python{MINOR}").resolve(),
            }
        )
    one, other = folders
    assert (one["tool"], one["json"]) == (other["tool"], other["json"])
    assert one["own"] != other["own"]


def test_library_of_a_prefix_stays_as_long_as_an_environment_of_it(store, tmp_path):
    cache = tmp_path / "cache"
    prefix, place = environment(store, "3")
    prepared = prepare_pycache(place, cache)
    library = prepared / (store.folder / str(prefix)).relative_to("/")
    assert (library / COMPLETE).exists()
    sweep(cache, [place])
    assert (library / COMPLETE).exists()
    assert json.loads((library / COMPLETE).read_text())["home"] == str(prefix)
    sweep(cache, [])
    assert not library.exists()


def test_pythons_own_modules_are_found_compiled(store, tmp_path):
    """A real Python, started from a prefix: what it compiles lands where the next prefix finds it."""
    cache = tmp_path / "cache"
    _, place = environment(store, "3")
    prepared = prepare_pycache(place, cache)
    code = (
        f"import sys; sys.pycache_prefix = {str(prepared)!r}; sys.dont_write_bytecode = False; "
        f"sys.path.insert(0, {str(place / SITE)!r}); import tool.sub.a"
    )
    env = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    subprocess.run([sys.executable, "-I", "-c", code], env=env, check=True)
    objects = cache / "bytecode" / "objects" / str(PYTHON) / str(TOOL)
    assert [path.name for path in objects.rglob("a.*.pyc")]
