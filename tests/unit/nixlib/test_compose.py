"""Which files and links an environment consists of."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from nixlib.composition.compose import compose
from nixlib.errors import CollisionError
from nixlib.nar import nar_hash
from nixlib.storepath import fixed_output_path
from nixlib.testing.packages import interpreter_of, package_of
from nixlib.tree import Directory, Regular, Symlink, walk

GOLDEN = Path(__file__).parents[2] / "data" / "golden" / "composition-1.json"
SITE = "lib/python3.11/site-packages"
NAMESPACE = "__path__ = __import__('pkgutil').extend_path(__path__, __name__)\n"


def environment(*packages, collisions=None):
    return compose(packages, interpreter_of(), collisions=collisions)


def nodes(composition):
    return dict(walk(composition.tree))


def text(node):
    assert isinstance(node, Regular)
    return b"".join(node.read()).decode()


def link(package, inside, depth=4):
    return Symlink("../" * depth + f"{package.path}/{inside}")


def test_package_directory_is_one_link_when_no_other_package_has_it():
    a = package_of("a", {"site-packages/a/__init__.py": "", "site-packages/a/b/c.py": ""})
    found = nodes(environment(a))
    assert found[f"{SITE}/a"] == link(a, "site-packages/a")
    assert f"{SITE}/a/b" not in found


def test_directory_is_merged_when_two_packages_have_it():
    a = package_of("a", {"site-packages/google/a/x.py": "", "site-packages/google/b.py": ""})
    c = package_of("c", {"site-packages/google/c/x.py": ""})
    found = nodes(environment(a, c))
    assert isinstance(found[f"{SITE}/google"], Directory)
    assert found[f"{SITE}/google/a"] == link(a, "site-packages/google/a", 5)
    assert found[f"{SITE}/google/b.py"] == link(a, "site-packages/google/b.py", 5)
    assert found[f"{SITE}/google/c"] == link(c, "site-packages/google/c", 5)


def test_directory_is_real_when_origin_asks_for_it():
    files = {
        "site-packages/t/lib/x.so": "",
        "site-packages/t/lib/sub/y": "",
        "site-packages/t/z/q.py": "",
    }
    t = package_of("t", files, origin=("site-packages/t/lib",))
    found = nodes(environment(t))
    assert isinstance(found[f"{SITE}/t/lib"], Directory)
    assert found[f"{SITE}/t/lib/x.so"] == link(t, "site-packages/t/lib/x.so", 6)
    assert found[f"{SITE}/t/lib/sub"] == link(t, "site-packages/t/lib/sub", 6)
    assert found[f"{SITE}/t/z"] == link(t, "site-packages/t/z", 5)


def test_origin_of_a_sibling_with_the_same_prefix_changes_nothing():
    t = package_of(
        "t",
        {"site-packages/lib/x.so": "", "site-packages/lib2/y.so": ""},
        origin=("site-packages/lib2",),
    )
    found = nodes(environment(t))
    assert isinstance(found[f"{SITE}/lib"], Symlink)
    assert isinstance(found[f"{SITE}/lib2"], Directory)


def test_references_are_what_links_lead_to():
    packages = [package_of(name, {f"site-packages/{name}.py": ""}) for name in "abc"]
    interpreter = interpreter_of()
    composition = compose(packages, interpreter)
    assert set(composition.references) == {interpreter.path, *(p.path for p in packages)}
    assert list(composition.references) == sorted(composition.references)


def test_data_headers_and_pth_files_go_where_python_looks():
    files = {
        "data/share/man/man1/a.1": "",
        "data/etc/a/a.conf": "",
        "include/a/a.h": "",
        "site-packages/a.pth": "import a",
        "data/lib/liba.so": "",
    }
    a = package_of("a", files)
    found = nodes(environment(a))
    assert found["share"] == link(a, "data/share", 1)
    assert found["include/site/python3.11/a"] == link(a, "include/a", 4)
    assert found[f"{SITE}/a.pth"] == link(a, "site-packages/a.pth")
    assert found["lib/liba.so"] == link(a, "data/lib/liba.so", 2)


def test_environment_has_no_home_and_relative_python_links():
    found = nodes(environment())
    assert text(found["pyvenv.cfg"]) == "include-system-site-packages = false\nversion = 3.11.7\n"
    assert found["bin/python3"] == found["bin/python3.11"] == Symlink("python")
    assert found["bin/python"] == Symlink(f"../../{interpreter_of().path}/bin/python3.11")


def test_children_find_the_standard_library_beside_bin():
    found = nodes(environment())
    assert found["lib/python3.11/os.py"] == Symlink(
        f"../../../{interpreter_of().path}/lib/python3.11/os.py"
    )
    assert found["lib/python311.zip"] == Symlink(f"../../{interpreter_of().path}/lib/python3.11")
    assert isinstance(found[SITE], Directory)


def test_collision_is_an_error_that_names_both_and_the_line_that_settles_it():
    a = package_of(
        "opencv-python", {"site-packages/cv2/__init__.py": "a", "site-packages/cv2/version.py": "1"}
    )
    b = package_of(
        "opencv-python-headless",
        {"site-packages/cv2/__init__.py": "a", "site-packages/cv2/version.py": "2"},
    )
    with pytest.raises(CollisionError) as caught:
        environment(b, a)
    assert caught.value.packages == ("opencv-python", "opencv-python-headless")
    assert caught.value.paths == (f"{SITE}/cv2/version.py",)
    assert caught.value.hint == '`"collisions": {"cv2": "opencv-python"}`'


def test_all_collisions_are_told_at_once():
    a = package_of("a", {f"site-packages/m{n}.py": "a" for n in range(20)})
    b = package_of("b", {f"site-packages/m{n}.py": "b" for n in range(20)})
    with pytest.raises(CollisionError) as caught:
        environment(a, b)
    assert len(caught.value.paths) == 20
    assert caught.value.details[-1] == "and 12 more"


@pytest.mark.parametrize("key", ["cv2", "cv2/version.py"])
def test_named_package_wins_below_the_key(key):
    a = package_of("a", {"site-packages/cv2/version.py": "1", "site-packages/cv2/only_a.py": ""})
    b = package_of("b", {"site-packages/cv2/version.py": "2"})
    found = nodes(environment(a, b, collisions={key: "b"}))
    assert found[f"{SITE}/cv2/version.py"] == link(b, "site-packages/cv2/version.py", 5)
    assert found[f"{SITE}/cv2/only_a.py"] == link(a, "site-packages/cv2/only_a.py", 5)


def test_closest_key_settles_when_two_do():
    a = package_of("a", {"site-packages/g/x.py": "1", "site-packages/g/y.py": "1"})
    b = package_of("b", {"site-packages/g/x.py": "2", "site-packages/g/y.py": "2"})
    found = nodes(environment(a, b, collisions={"g": "a", "g/y.py": "b"}))
    assert found[f"{SITE}/g/x.py"] == link(a, "site-packages/g/x.py", 5)
    assert found[f"{SITE}/g/y.py"] == link(b, "site-packages/g/y.py", 5)


def test_top_level_module_is_settled_by_its_import_name():
    a = package_of("a", {"site-packages/six.py": "1"})
    b = package_of("b", {"site-packages/six.py": "2"})
    found = nodes(environment(a, b, collisions={"six": "b"}))
    assert found[f"{SITE}/six.py"] == link(b, "site-packages/six.py")


def test_winner_may_be_spelled_in_any_way_and_an_absent_one_is_told():
    a = package_of("some-name", {"site-packages/six.py": "1"})
    b = package_of("z", {"site-packages/six.py": "2"})
    composition = environment(a, b, collisions={"six": "Some_Name", "cv2": "nobody"})
    assert nodes(composition)[f"{SITE}/six.py"] == link(a, "site-packages/six.py")
    assert composition.warnings == (
        "`collisions` names `nobody`, which is not in this environment",
    )


def test_file_against_directory_is_a_collision_that_a_key_settles():
    a = package_of("a", {"site-packages/x": "not a directory"})
    b = package_of("b", {"site-packages/x/__init__.py": ""})
    found = nodes(environment(a, b, collisions={"x": "b"}))
    assert found[f"{SITE}/x"] == link(b, "site-packages/x")


def test_identical_files_are_no_collision():
    a = package_of("a", {"site-packages/x/__init__.py": "1"})
    b = package_of("b", {"site-packages/x/__init__.py": "1"})
    composition = environment(a, b)
    assert composition.warnings == ()
    assert nodes(composition)[f"{SITE}/x/__init__.py"] == link(a, "site-packages/x/__init__.py", 5)


@pytest.mark.parametrize(
    "path",
    [
        "site-packages/LICENSE",
        "site-packages/README.md",
        "site-packages/tests/__init__.py",
        "site-packages/docs/conf.py",
        "site-packages/space/LICENSE.txt",
        "data/share/doc/x.txt",
        "data/etc/x.conf",
        "include/x/x.h",
    ],
)
def test_file_that_nobody_imports_is_that_of_the_first_with_a_warning(path):
    a, b = package_of("a", {path: "1"}), package_of("b", {path: "2"})
    composition = environment(b, a)
    assert len(composition.warnings) == 1
    assert a.path in composition.references
    targets = [node.target for node in nodes(composition).values() if isinstance(node, Symlink)]
    assert [target for target in targets if target.endswith(path)] == [
        target for target in targets if target.endswith(f"{a.path}/{path}")
    ]


@pytest.mark.parametrize(
    "path",
    [
        "site-packages/x.py",
        "site-packages/x.cpython-311-x86_64-linux-gnu.so",
        "site-packages/x.pth",
        "site-packages/namespace/x.py",
        "site-packages/regular/data.json",
        "site-packages/x.libs/libx.so.1",
        "data/lib/libx.so",
        "bin/x",
        "site-packages/x-1.dist-info/METADATA",
    ],
)
def test_file_that_can_be_used_by_code_collides(path):
    own = {"site-packages/regular/__init__.py": ""}
    a, b = package_of("a", {path: "1", **own}), package_of("b", {path: "2", **own})
    with pytest.raises(CollisionError):
        environment(a, b)


def test_bytecode_never_collides():
    files = {"site-packages/x/__pycache__/y.cpython-311.pyc": "{}", "site-packages/x/z.pyc": "{}"}
    a = package_of("a", {path: body.format(1) for path, body in files.items()})
    b = package_of("b", {path: body + "2" for path, body in files.items()})
    found = nodes(environment(a, b))
    assert f"{SITE}/x/__pycache__" not in found
    assert found[f"{SITE}/x/z.pyc"] == link(a, "site-packages/x/z.pyc", 5)


def test_namespace_declarations_that_differ_in_words_are_no_collision():
    pkg_resources = (
        "try:\n    __import__('pkg_resources').declare_namespace(__name__)\nexcept ImportError:\n    "
        + NAMESPACE
    )
    a = package_of(
        "a", {"site-packages/ns/__init__.py": "# nothing\n", "site-packages/ns/a.py": ""}
    )
    b = package_of("b", {"site-packages/ns/__init__.py": NAMESPACE, "site-packages/ns/b.py": ""})
    c = package_of(
        "c", {"site-packages/ns/__init__.py": pkg_resources, "site-packages/ns/c.py": ""}
    )
    composition = environment(a, b, c)
    assert composition.warnings == ()
    assert nodes(composition)[f"{SITE}/ns/__init__.py"] == link(
        b, "site-packages/ns/__init__.py", 5
    )


def test_console_script_is_a_file_of_the_environment():
    a = package_of("a", console_scripts={"run-a": "a.cli:main"})
    script = nodes(environment(a))["bin/run-a"]
    assert isinstance(script, Regular)
    assert script.executable
    assert "from a.cli import main\n" in text(script)


def test_python_script_is_a_file_and_a_binary_is_a_link():
    a = package_of(
        "a", {"bin/s": "#!python\nprint(1)\n", "bin/b": "\x7fELF"}, python_scripts=("s",)
    )
    found = nodes(environment(a))
    assert text(found["bin/s"]).endswith("\nprint(1)\n")
    assert found["bin/b"] == link(a, "bin/b", 2)


@pytest.mark.parametrize(
    "name",
    [
        "../x",
        "a\nb",
        "python",
        "Python3",
        "python3.12",
        "sh",
        "realpath",
        "",
        "-x",
        ".x",
        "a b",
        "x" * 300,
    ],
)
def test_hostile_command_name_is_left_out_with_a_warning(name):
    a = package_of("a", {"site-packages/a.py": ""}, console_scripts={name: "a:main"})
    composition = environment(a)
    assert [warning for warning in composition.warnings if repr(name) in warning]
    assert set(nodes(composition)) == set(
        nodes(environment(package_of("a", {"site-packages/a.py": ""})))
    )


@pytest.mark.parametrize(
    "value", ["a", "a:", "a;b:c", "a:b()", "import os:x", "a:b\nimport os", "1a:b"]
)
def test_malformed_entry_point_is_left_out_with_a_warning(value):
    a = package_of("a", console_scripts={"x": value})
    composition = environment(a)
    assert len(composition.warnings) == 1
    assert "bin/x" not in nodes(composition)


@pytest.mark.parametrize(
    "files",
    [{"bin/dirname": ""}, {"data/bin/dirname": ""}, {"bin/python": ""}, {"data/pyvenv.cfg": ""}],
)
def test_package_cannot_replace_what_the_environment_needs(files):
    composition = environment(package_of("a", files))
    without = environment(package_of("a"))
    assert len(composition.warnings) == 1
    assert set(nodes(composition)) == set(nodes(without))


def test_two_packages_with_one_command_collide_unless_it_is_the_same():
    a = package_of("a", console_scripts={"x": "m:main"})
    b = package_of("b", console_scripts={"x": "m:main"})
    other = package_of("c", {"bin/x": "#!/bin/sh\n"})
    assert environment(a, b).warnings == ()
    with pytest.raises(CollisionError) as caught:
        environment(a, other)
    assert caught.value.collisions == {"bin/x": "a"}
    assert nodes(environment(a, other, collisions={"bin/x": "c"}))["bin/x"] == link(
        other, "bin/x", 2
    )


def test_stand_ins_give_way_to_the_real_programs():
    pip = package_of(
        "pip",
        {"site-packages/pip/__init__.py": ""},
        console_scripts={"pip": "pip:main", "pip3": "pip:main"},
    )
    uv = package_of("uv", {"bin/uv": "\x7fELF"})
    found = nodes(environment(pip, uv))
    assert found["bin/uv"] == link(uv, "bin/uv", 2)
    assert "from pip import main" in text(found["bin/pip"])
    assert f"{SITE}/pip.py" not in found
    assert "_nixenv_commands import conda" in text(found["bin/conda"])
    assert "pip.conf" in found


def test_our_pip_is_there_when_nobody_asked_for_pip():
    found = nodes(environment())
    assert {f"{SITE}/pip.py", "bin/pip", "bin/pip3", "bin/uv", "bin/conda", "bin/mamba"} <= set(
        found
    )
    assert "pip.conf" not in found


def test_nothing_spells_where_the_store_is():
    composition = environment(
        package_of("a", {"site-packages/a.py": ""}, console_scripts={"a": "a:m"})
    )
    for path, node in walk(composition.tree):
        words = (
            node.target
            if isinstance(node, Symlink)
            else text(node)
            if isinstance(node, Regular)
            else ""
        )
        assert "/nix/store" not in words, path
        assert not words.startswith("/")


def test_parts_say_which_folders_join_and_where():
    files = {
        "lib/python3.11/site-packages/p.py": "",
        "share/x/y": "",
        "libexec/z": "",
        "bin/p": "",
        "bin/hidden": "",
    }
    p = replace(
        package_of("p", files),
        parts={"": "top", "bin": "bin", "lib/python3.11/site-packages": "site-packages"},
        apart=frozenset({"bin/hidden", "libexec", "nixenv.json", "site-packages"}),
    )
    found = nodes(environment(p))
    assert found[f"{SITE}/p.py"] == link(p, "lib/python3.11/site-packages/p.py")
    assert found["bin/p"] == link(p, "bin/p", 2)
    assert found["share"] == link(p, "share", 1)
    assert not {"bin/hidden", "libexec", "nixenv.json", "site-packages"} & set(found)


def test_folder_is_real_where_something_in_it_stays_apart():
    p = package_of("p", {"data/share/x/own": "", "data/share/x/other": ""})
    found = nodes(environment(replace(p, apart=frozenset({"data/share/x/own"}))))
    assert found["share/x/other"] == link(p, "data/share/x/other", 3)
    assert "share/x/own" not in found


def test_winner_may_be_a_member_of_an_object_that_holds_many():
    many = replace(
        package_of("many", {"site-packages/six.py": "1"}),
        members=frozenset({"six"}),
        owner=lambda path: "six" if path.endswith("six.py") else "many",
    )
    other = package_of("a", {"site-packages/six.py": "2"})
    with pytest.raises(CollisionError) as caught:
        environment(many, other)
    assert caught.value.packages == ("a", "six")
    found = environment(many, other, collisions={"six": "six"})
    assert nodes(found)[f"{SITE}/six.py"] == link(many, "site-packages/six.py")
    assert found.warnings == ()


def test_golden_composition_of_layout_1_never_changes():
    """A changed byte gives every environment of every lock another store path: that is layout 2."""
    a = package_of(
        "alpha",
        {
            "site-packages/alpha/__init__.py": "",
            "site-packages/ns/a.py": "",
            "site-packages/t/lib/x.so": "",
            "data/share/a": "",
            "include/alpha/a.h": "",
            "bin/s": "#!python\n",
        },
        console_scripts={"alpha": "alpha:main"},
        python_scripts=("s",),
        origin=("site-packages/t/lib",),
    )
    b = package_of(
        "beta", {"site-packages/ns/b.py": "", "site-packages/LICENSE": "b", "data/share/b": ""}
    )
    pip = package_of(
        "pip", {"site-packages/pip/__init__.py": ""}, console_scripts={"pip": "pip:main"}
    )
    found = {}
    for title, packages in {"empty": [], "three": [a, b, pip]}.items():
        composition = compose(packages, interpreter_of())
        path = fixed_output_path(
            composition.name, nar_hash(composition.tree)[0], composition.references
        )
        found[title] = {
            "path": str(path),
            "files": [
                f"{p} -> {n.target}" if isinstance(n, Symlink) else p
                for p, n in walk(composition.tree)
            ],
        }
    if os.environ.get("NIXENV_TEST_ACCEPT"):
        GOLDEN.write_text(json.dumps(found, indent=1) + "\n")
        pytest.skip("golden file rewritten")
    assert found == json.loads(GOLDEN.read_text())
