from __future__ import annotations

import os
import sys

import pytest

from nixenv.kernel.extend import new_path_files, renamed_path, rerooted, target_of

MOVE = """
from nixenv import extend
target = extend.target_of({"python": TARGET + "/bin/python"})
assert extend.has_same_interpreter(target) and not extend.is_current(target)
extend.move_into(target)
assert extend.is_current(target)
"""


def test_sys_path_keeps_its_order_and_loses_what_is_gone():
    entries = ["/z", "", "/env/site", "/env/site/gone", "/environment/x", "/late"]
    assert rerooted(entries, "/env", "/new", lambda path: "gone" not in path) == [
        "/z", "", "/new/site", "/environment/x", "/late",
    ]  # fmt: skip


def test_path_has_the_new_bin_in_the_place_of_the_old():
    assert renamed_path("/a:/env/bin:/usr/bin", "/env", "/new") == "/a:/new/bin:/usr/bin"
    assert renamed_path("/a:/usr/bin", "/env", "/new") == "/new/bin:/a:/usr/bin"


def test_target_derives_its_folders_from_its_python():
    target = target_of({"python": "/s/env/bin/python", "env": "/nix/store/x"})
    assert target is not None
    assert target.prefix == "/s/env"
    assert target.site_packages == "/s/env/lib/python{}.{}/site-packages".format(*sys.version_info)
    assert target_of({"lock": "x"}) is None


def test_move_makes_new_packages_importable_and_keeps_the_loaded(any_world):
    one = any_world.package("one", "1", {"one/__init__.py": "", "one/late.py": "value = 'late'"})
    two = any_world.package("two", "2", {"two.py": "import one.late; value = 2"})
    before, after = any_world.environment("before", one), any_world.environment("after", one, two)
    found = any_world.run(
        before,
        f"TARGET = {str(after)!r}"
        """
import one, sysconfig, site, multiprocessing.spawn, subprocess, os
old = one.__path__[0]
sysconfig.get_paths()
try:
    import two
except ImportError:
    pass
"""
        + MOVE
        + """
import two, importlib.metadata
print(json.dumps({
    "two": two.value, "late": sys.modules["one.late"].__file__.startswith(old),
    "prefix": sys.prefix, "executable": sys.executable, "prefixes": site.PREFIXES,
    "spawn": os.fsdecode(multiprocessing.spawn.get_executable()),
    "purelib": sysconfig.get_paths()["purelib"],
    "data": sysconfig.get_config_var("base"),
    "version": importlib.metadata.version("two"),
    "path": os.environ["PATH"].split(":")[0],
    "child": subprocess.check_output(["python", "-c", "import two; print(two.value)"], text=True),
    "sites": [entry for entry in sys.path if "site-packages" in entry],
}))
""",
        PATH=f"{before}/bin:{os.environ['PATH']}",
    )
    python, site = f"{after}/bin/python", str(any_world.site_packages(after))
    assert found["two"] == 2
    assert found["late"] is True
    assert found["prefix"] == str(after) == found["data"]
    assert found["executable"] == python == found["spawn"]
    assert str(before) not in found["prefixes"]
    assert found["purelib"] == site
    assert found["version"] == "2"
    assert found["path"] == f"{after}/bin"
    assert found["child"] == "2\n"
    assert found["sites"] == [site]


@pytest.mark.parametrize(
    "init",
    [None, "__path__ = __import__('pkgutil').extend_path(__path__, __name__)", ""],
    ids=["namespace", "pkgutil", "empty init"],
)
def test_move_lets_shared_packages_see_what_the_new_ones_bring(any_world, init):
    shared = {} if init is None else {"shared/__init__.py": init}
    one = any_world.package("one", "1", {**shared, "shared/one.py": ""})
    two = any_world.package(
        "two", "1", {**shared, "shared/two.py": "value = 2", "shared/sub/three.py": ""}
    )
    before = any_world.environment("before", one, merged=("shared",))
    after = any_world.environment("after", one, two, merged=("shared",))
    found = any_world.run(
        before,
        f"TARGET = {str(after)!r}\nimport shared.one\n"
        + MOVE
        + "import shared.two, shared.sub.three\n"
        + "print(json.dumps({'two': shared.two.value, 'one': shared.one.__file__}))",
    )
    assert found["two"] == 2
    assert str(found["one"]).startswith(str(before))


def test_move_runs_new_path_files_only(any_world):
    hook = "import os; os.environ['{0}'] = os.environ.get('{0}', '') + 'x'\n"
    one = any_world.package("one", "1", {"one.pth": hook.format("ONE")})
    two = any_world.package(
        "two", "1", {"two.pth": "inner\n" + hook.format("TWO"), "inner/deep.py": ""}
    )
    before, after = any_world.environment("before", one), any_world.environment("after", one, two)
    found = any_world.run(
        before,
        f"TARGET = {str(after)!r}\nimport os\nfirst = os.environ['ONE']\n"
        + MOVE
        + "import deep\n"
        + "print(json.dumps([first, os.environ['ONE'], os.environ['TWO']]))",
    )
    # Python itself runs the `.pth` files of a virtual environment once or twice, by version.
    assert found == [found[0], found[0], "x"]
    sites = [str(any_world.site_packages(prefix)) for prefix in (before, after)]
    assert new_path_files(*sites) == ["two.pth"]


def test_move_reaches_spawned_and_forkserver_children(any_world):
    one = any_world.package("one", "1", {"one.py": ""})
    two = any_world.package("two", "1", {"two.py": "def double(n):\n    return 2 * n"})
    before, after = any_world.environment("before", one), any_world.environment("after", one, two)
    found = any_world.run(
        before,
        f"""
import multiprocessing
# Started before the move: a forkserver lives on, its children must see the new environment.
with multiprocessing.get_context("forkserver").Pool(1) as pool:
    pool.map(abs, [1])
TARGET = {str(after)!r}
"""
        + MOVE
        + """
import two
answers = {}
for method in ("spawn", "forkserver", "fork"):
    with multiprocessing.get_context(method).Pool(1) as pool:
        answers[method] = pool.map(two.double, [2])
print(json.dumps(answers))
""",
    )
    assert found == {"spawn": [4], "forkserver": [4], "fork": [4]}


def test_move_holds_the_environment_until_the_process_ends(any_world):
    one = any_world.package("one", "1", {"one.py": ""})
    before, after = any_world.environment("before", one), any_world.environment("after", one)
    hold = any_world.root / "running"
    found = any_world.run(
        before,
        f"""
import fcntl
from nixenv import extend
extend.move_into(extend.target_of({{"python": {str(after)!r} + "/bin/python", "hold": {str(hold)!r}}}))
with open({str(hold)!r}) as file:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        free = True
    except BlockingIOError:
        free = False
print(json.dumps({{"free": free}}))
""",
    )
    assert found == {"free": False}
