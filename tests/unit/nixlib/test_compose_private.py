"""Private groups in an environment: their trees, and what is said of them."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from nixlib.composition.compose import compose
from nixlib.composition.private import (
    ImportGroup,
    ProcessGroup,
    compose_group,
    private_folder,
    top_levels,
)
from nixlib.errors import CollisionError
from nixlib.nar import nar_hash
from nixlib.storepath import fixed_output_path
from nixlib.testing.packages import interpreter_of, package_of
from nixlib.tree import Regular, Symlink, walk

GOLDEN = Path(__file__).parents[2] / "data" / "golden" / "composition-1-private.json"
SITE = "lib/python3.11/site-packages"
PYTHON = interpreter_of()


def tree_of_group(*packages, **more):
    return compose_group("old", packages, PYTHON, **more)


def path_of(composition):
    digest = nar_hash(composition.tree)[0]
    return fixed_output_path(composition.name, digest, composition.references)


def described(*groups):
    folder = private_folder(groups, PYTHON)
    return json.loads(b"".join(folder.tree.entries["groups.json"].read()))["groups"]


def test_group_has_packages_and_no_commands():
    a = package_of(
        "a", {"site-packages/a/__init__.py": "", "bin/a": ""}, console_scripts={"a": "a:main"}
    )
    found = dict(walk(tree_of_group(a).tree))
    assert found[f"{SITE}/a"] == Symlink(f"../../../../{a.path}/site-packages/a")
    assert {path.partition("/")[0] for path in found} == {"lib"}
    assert tree_of_group(a).references == (a.path,)


def test_group_tree_depends_neither_on_its_name_nor_on_order():
    a, b = package_of("a"), package_of("b")
    one = compose_group("one", [a, b], PYTHON)
    other = compose_group("other", [b, a], PYTHON)
    assert path_of(one) == path_of(other)


def test_namespace_of_two_packages_of_a_group_is_one_folder():
    a = package_of("a", {"site-packages/google/a/x.py": ""})
    b = package_of("b", {"site-packages/google/b.py": ""})
    found = dict(walk(tree_of_group(a, b).tree))
    assert {f"{SITE}/google/a", f"{SITE}/google/b.py"} <= set(found)


def test_two_packages_of_a_group_with_one_module_collide_unless_settled():
    a = package_of("a", {"site-packages/x.py": "1"})
    b = package_of("b", {"site-packages/x.py": "2"})
    with pytest.raises(CollisionError) as caught:
        tree_of_group(a, b)
    assert caught.value.packages == ("a", "b")
    assert tree_of_group(a, b, collisions={"x": "b", "y": "elsewhere"}).warnings == ()


def test_library_of_a_neighbour_lies_where_origin_looks():
    t = package_of("t", {"site-packages/t/x.so": ""}, origin=("site-packages/t",))
    lib = package_of("lib", {"data/lib/libx.so": ""})
    found = dict(walk(tree_of_group(t, lib).tree))
    assert isinstance(found[f"{SITE}/t/x.so"], Symlink)
    assert found["lib/libx.so"] == Symlink(f"../../{lib.path}/data/lib/libx.so")


def test_code_at_start_is_not_run_and_that_is_said():
    files = {"site-packages/a.pth": "import a", "site-packages/a-nspkg.pth": "import sys"}
    warnings = tree_of_group(package_of("a", files)).warnings
    assert len(warnings) == 1
    assert "`a.pth` of `a`" in warnings[0]


def test_top_levels_are_what_can_be_imported():
    files = {
        "site-packages/pkg/__init__.py": "",
        "site-packages/pkg-stubs/__init__.pyi": "",
        "site-packages/pkg.libs/libx.so.1": "",
        "site-packages/one.py": "",
        "site-packages/fast.cpython-311-x86_64-linux-gnu.so": "",
        "site-packages/stable.abi3.so": "",
        "site-packages/81d243bd__mypyc.cpython-311-x86_64-linux-gnu.so": "",
        "site-packages/namespace/inner.py": "",
        "site-packages/README.md": "",
        "site-packages/LICENSE": "",
        "site-packages/__init__.py": "",
        "site-packages/a b.py": "",
    }
    assert top_levels([package_of("a", files)]) == {
        "81d243bd__mypyc",
        "fast",
        "namespace",
        "one",
        "pkg",
        "stable",
    }


def test_name_of_the_standard_library_is_not_the_groups():
    a = package_of("a", {"site-packages/json/__init__.py": "", "site-packages/sys.py": ""})
    group = ImportGroup("old", [a], path=a.path, shared=[a], lent={"x": [a]}, package="a")
    (found,) = described(group)
    assert found["owned"] == found["public"] == found["exposed"] == []
    assert found["lent"] == {}


def test_groups_json_says_whose_each_name_is():
    pandas = package_of("pandas", {"site-packages/pandas/__init__.py": ""}, version="2.0.3")
    numpy = package_of("numpy", {"site-packages/numpy/__init__.py": ""}, version="1.26.4")
    pytz = package_of("pytz", {"site-packages/pytz/__init__.py": ""}, version="2024.1")
    some = package_of(
        "some",
        {"site-packages/some.py": "", "site-packages/_s.py": "", "site-packages/tests/t.py": ""},
    )
    groups = [
        ImportGroup("older", [pytz], path=pytz.path),
        ImportGroup("old", [pandas], path=pandas.path, shared=[numpy], lent={"older": [pytz]}),
        ImportGroup("some", [some], path=some.path, package="some"),
        ImportGroup("none", shared=[numpy]),
        ProcessGroup("legacy", numpy.path, {"pydantic": "1.10.2"}),
    ]
    older, old, exposing, none, legacy = described(*groups)
    assert older["lent"] == {}
    assert old == {
        "name": "old",
        "mode": "import",
        "folders": ["old"],
        "owned": ["pandas"],
        "distributions": {"numpy": "1.26.4", "pandas": "2.0.3", "pytz": "2024.1"},
        "public": ["numpy"],
        "lent": {"pytz": "older"},
        "exposed": [],
    }
    assert (exposing["owned"], exposing["exposed"]) == (["_s", "some", "tests"], ["_s", "some"])
    assert none["folders"] == []
    assert legacy == {
        "name": "legacy",
        "mode": "process",
        "environment": "legacy",
        "distributions": {"pydantic": "1.10.2"},
    }


def test_environment_leads_to_its_groups_and_refers_to_them():
    data = package_of("data", {"data/share/nixenv/private/groups.json": "mine", "data/share/x": ""})
    a = package_of("a")
    process = replace(a.path, name="environment")
    groups = [ImportGroup("old", [a], path=a.path), ProcessGroup("legacy", process, {})]
    folder = private_folder(groups, PYTHON)
    found = compose([data], PYTHON, private=folder, collisions={"x": "a"})
    nodes = dict(walk(found.tree))
    assert nodes["share/nixenv/private/old"] == Symlink(f"../../../../{a.path}/{SITE}")
    assert nodes["share/nixenv/private/legacy"] == Symlink(f"../../../../{process}")
    assert nodes["share/x"] == Symlink(f"../../{data.path}/data/share/x")
    assert isinstance(nodes["share/nixenv/private/groups.json"], Regular)
    assert {a.path, process} <= set(found.references)
    (warning,) = found.warnings
    assert "share/nixenv/private" in warning


def test_no_groups_change_nothing():
    a = package_of("a")
    assert private_folder([], PYTHON) is None
    assert path_of(compose([a], PYTHON)) == path_of(compose([a], PYTHON, private=None))


def test_golden_composition_with_groups_never_changes():
    """As of an environment without: another byte is another layout."""
    alpha = package_of(
        "alpha",
        {"site-packages/alpha/__init__.py": "", "site-packages/ns/a.py": "", "data/share/a": ""},
    )
    beta = package_of("beta", {"site-packages/ns/b.py": "", "site-packages/beta.pth": ""})
    tree = compose_group("old", [alpha, beta], PYTHON)
    groups = [
        ImportGroup("old", [alpha, beta], path=path_of(tree), shared=[beta], package="alpha"),
        ProcessGroup("legacy", alpha.path, {"alpha": "1.0"}),
    ]
    whole = compose([beta], PYTHON, private=private_folder(groups, PYTHON))
    found = {
        title: {
            "path": str(path_of(composition)),
            "files": [
                f"{p} -> {n.target}" if isinstance(n, Symlink) else p
                for p, n in walk(composition.tree)
            ],
        }
        for title, composition in {"group": tree, "environment": whole}.items()
    }
    found["described"] = described(*groups)
    if os.environ.get("NIXENV_TEST_ACCEPT"):
        GOLDEN.write_text(json.dumps(found, indent=1) + "\n")
        pytest.skip("golden file rewritten")
    assert found == json.loads(GOLDEN.read_text())
