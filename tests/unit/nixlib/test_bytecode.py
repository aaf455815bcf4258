"""The bytecode cache: shared between environments, private to a user, never in the way."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from nixlib.composition.bytecode import (
    COMPLETE,
    compile_in_background,
    prepare_pycache,
    sweep,
)
from nixlib.composition.compose import InterpreterPackage, compose
from nixlib.composition.mirror import read_mirror
from nixlib.composition.package import MemoryListing
from nixlib.nar import nar_hash
from nixlib.storepath import fixed_output_path
from nixlib.testing.packages import package_of, write_object
from nixlib.tree import Symlink, tree_of

MINOR = f"{sys.version_info[0]}.{sys.version_info[1]}"
TAG = sys.implementation.cache_tag
SITE = f"lib/python{MINOR}/site-packages"
BASE = Path(sys._base_executable).resolve()

ALPHA = package_of(
    "alpha",
    {
        "site-packages/alpha/__init__.py": "import alpha.sub",
        "site-packages/alpha/sub/__init__.py": "",
        "site-packages/alpha_one.py": "X = 1",
    },
)
BETA = package_of("beta", {"site-packages/ns/beta.py": "X = 2", "site-packages/ns/own/b.py": ""})
GAMMA = package_of("gamma", {"site-packages/ns/gamma.py": "X = 3"})
REAL = package_of(
    "real",
    {"site-packages/real/__init__.py": "", "site-packages/real/lib/x.so": ""},
    origin=("site-packages/real/lib",),
)
BROKEN = package_of(
    "broken",
    {
        "site-packages/broken.py": "print 'Python 2'",
        "site-packages/broken2/a.py": "X = 1",
        "site-packages/broken2/tests/t.py": "",
    },
)


class Place:
    """A store and a cache in a temporary folder; environments use this test's own Python."""

    def __init__(self, folder):
        self.store = folder / "store"
        self.cache = folder / "cache"
        tree = tree_of({f"bin/python{MINOR}": Symlink(str(BASE)), f"lib/python{MINOR}/os.py": ""})
        self.interpreter = InterpreterPackage(
            f"{MINOR}.0", package_of("python").path, MemoryListing(tree)
        )
        write_object(self.store, self.interpreter.path, tree)

    def environment(self, *packages):
        composition = compose(packages, self.interpreter)
        for package in packages:
            if not (self.store / str(package.path)).exists():
                write_object(self.store, package.path, package.listing.tree)
        path = fixed_output_path(
            composition.name, nar_hash(composition.tree)[0], composition.references
        )
        return write_object(self.store, path, composition.tree)

    def mirror(self, environment):
        return self.prepare(environment) / environment.relative_to("/")

    def prepare(self, environment):
        return prepare_pycache(environment, self.cache, self.store)

    def objects(self, package):
        return self.cache / "bytecode" / "objects" / str(self.interpreter.path) / str(package.path)

    def run(self, environment, code):
        prefix = self.prepare(environment)
        argv = [environment / "bin/python", "-X", f"pycache_prefix={prefix}", "-c", code]
        env = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        return subprocess.run(argv, env=env, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def test_mirror_has_one_link_per_package_directory(place):
    mirror = place.mirror(place.environment(ALPHA, BETA, GAMMA, REAL))
    assert (mirror / SITE / "alpha").resolve() == place.objects(ALPHA) / "site-packages/alpha"
    assert (mirror / SITE / "real").resolve() == place.objects(REAL) / "site-packages/real"
    assert not (mirror / SITE / "ns").is_symlink()
    assert (mirror / SITE / "ns/own").resolve() == place.objects(BETA) / "site-packages/ns/own"
    assert not list((mirror / SITE).glob("*.dist-info"))


def test_mirror_links_single_modules_by_the_name_of_their_bytecode(place):
    mirror = place.mirror(place.environment(ALPHA, BETA, GAMMA))
    target = (mirror / SITE / f"alpha_one.{TAG}.pyc").readlink()
    assert not target.is_absolute()
    assert os.path.normpath(mirror / SITE / target) == str(
        place.objects(ALPHA) / f"site-packages/alpha_one.{TAG}.pyc"
    )
    assert (mirror / SITE / f"ns/gamma.{TAG}.pyc").is_symlink()


def test_what_one_environment_compiles_another_uses(place):
    one, other = place.environment(ALPHA), place.environment(ALPHA, BETA)
    place.run(one, "import alpha")
    compiled = place.objects(ALPHA) / f"site-packages/alpha/__init__.{TAG}.pyc"
    before = compiled.stat()
    out = place.run(other, "import alpha; print(alpha.__file__, alpha.__cached__)")
    assert out.split() == [
        f"{other}/{SITE}/alpha/__init__.py",
        str(place.mirror(other) / SITE / f"alpha/__init__.{TAG}.pyc"),
    ]
    assert (compiled.stat().st_ino, compiled.stat().st_mtime_ns) == (
        before.st_ino,
        before.st_mtime_ns,
    )


def test_nothing_is_written_into_the_store(place):
    environment = place.environment(ALPHA, BETA, GAMMA)
    before = sorted(place.store.rglob("*"))
    place.run(environment, "import alpha, alpha_one, ns.beta")
    assert sorted(place.store.rglob("*")) == before


def test_cache_is_private(place):
    place.mirror(place.environment(ALPHA))
    assert (place.cache / "bytecode").stat().st_mode & 0o777 == 0o700
    (place.cache / "bytecode").chmod(0o777)
    place.mirror(place.environment(BETA))
    assert (place.cache / "bytecode").stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder away")
@pytest.mark.parametrize("folder", ["", "bytecode", "bytecode/prefix", "bytecode/objects"])
def test_folder_of_another_user_is_refused(place, folder):
    (place.cache / "bytecode/prefix").mkdir(parents=True)
    (place.cache / "bytecode/objects").mkdir()
    os.chown(place.cache / folder, 65534, 65534)
    with pytest.raises(PermissionError):
        place.prepare(place.environment(ALPHA))


def test_link_in_place_of_the_cache_is_refused_or_harmless(place, tmp_path):
    (tmp_path / "elsewhere").write_text("")
    place.cache.mkdir()
    (place.cache / "bytecode").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="bytecode"):
        place.prepare(place.environment(ALPHA))


def test_second_preparation_only_notes_the_use(place):
    environment = place.environment(ALPHA)
    complete = place.mirror(environment) / COMPLETE
    os.utime(complete, (1, 1))
    listing = sorted(place.cache.rglob("*"))
    place.prepare(environment)
    assert complete.stat().st_mtime > 1
    assert sorted(place.cache.rglob("*")) == listing


def test_folder_that_python_wrote_before_there_was_a_mirror_is_replaced(place):
    environment = place.environment(ALPHA)
    early = place.cache / "bytecode/prefix" / environment.relative_to("/") / SITE / "alpha"
    early.mkdir(parents=True)
    (early / f"__init__.{TAG}.pyc").write_bytes(b"x")
    mirror = place.mirror(environment)
    assert (mirror / SITE / "alpha").is_symlink()
    assert not list((place.cache / "bytecode").glob("old-*"))


def test_many_at_once_make_one_mirror(place):
    environment = place.environment(ALPHA, BETA, GAMMA)
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(place.mirror(environment))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert len(found) == 8
    assert sorted(p.name for p in (place.cache / "bytecode").iterdir()) == [
        "lock",
        "objects",
        "prefix",
    ]


def test_killed_preparation_leaves_nothing_that_looks_finished(place):
    environment = place.environment(
        *(package_of(f"p{n}", {f"site-packages/p{n}/x.py": ""}) for n in range(300))
    )
    code = "import sys; from pathlib import Path; from nixlib.composition.bytecode import prepare_pycache; print(flush=True); prepare_pycache(*map(Path, sys.argv[1:]))"
    for delay in (0.0, 0.005, 0.02, 0.05):
        process = subprocess.Popen(
            [sys.executable, "-c", code, environment, place.cache],
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[3],
        )
        process.stdout.readline()
        time.sleep(delay)
        process.kill()
        process.communicate()
        finished = place.cache / "bytecode/prefix" / environment.relative_to("/")
        if finished.exists():
            assert len(list((finished / SITE).iterdir())) >= 300
    mirror = place.mirror(environment)
    assert len([p for p in (mirror / SITE).iterdir() if p.is_symlink()]) >= 300
    sweep(place.cache, [environment])
    assert not list((place.cache / "bytecode").glob("new-*"))


def test_background_compiles_everything_but_tests_and_only_once(place):
    environment = place.environment(ALPHA, BETA, GAMMA, BROKEN)
    place.prepare(environment)
    process = compile_in_background(
        environment, place.cache, packages=[str(p.path) for p in (ALPHA, BETA, GAMMA, BROKEN)]
    )
    assert process.wait(120) == 0
    found = {
        str(
            p.relative_to(place.cache / "bytecode/objects" / str(place.interpreter.path)).as_posix()
        ).partition("/")[2]
        for p in place.cache.rglob("*.pyc")
        if not p.is_symlink()
    }
    names = [
        "alpha/__init__",
        "alpha/sub/__init__",
        "alpha_one",
        "broken2/a",
        "ns/beta",
        "ns/gamma",
        "ns/own/b",
    ]
    assert found == {f"site-packages/{name}.{TAG}.pyc" for name in names}
    again = compile_in_background(environment, place.cache, packages=[str(ALPHA.path)])
    assert again is None


def test_python_that_may_not_run_is_not_started(place, monkeypatch):
    environment = place.environment(ALPHA)
    place.prepare(environment)
    packages = [str(ALPHA.path)]
    monkeypatch.setattr(sys, "executable", "/bin/false")
    process = compile_in_background(environment, place.cache, packages=packages, own_python=False)
    assert process.wait(60) == 1
    assert not [p for p in place.cache.rglob("*.pyc") if not p.is_symlink()]


def test_background_bytecode_is_what_python_uses(place):
    environment = place.environment(ALPHA)
    place.prepare(environment)
    compile_in_background(environment, place.cache, packages=[str(ALPHA.path)]).wait(120)
    argv = [
        environment / "bin/python",
        "-v",
        "-X",
        f"pycache_prefix={place.prepare(environment)}",
        "-c",
        "import alpha.sub, alpha_one",
    ]
    log = subprocess.run(argv, capture_output=True, text=True, check=True).stderr
    matched = [line for line in log.splitlines() if " matches " in line and "alpha" in line]
    assert len(matched) == 3
    assert not [line for line in log.splitlines() if "wrote" in line and "alpha" in line]


def test_children_of_an_environment_find_its_bytecode_without_being_told(place):
    environment = place.environment(ALPHA)
    prefix = place.prepare(environment)
    ask = [
        environment / "bin/python",
        "-c",
        "import sys; print(sys.pycache_prefix, sys.dont_write_bytecode)",
    ]
    env = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    told = subprocess.run(
        ask,
        env={**env, "NIXENV_CACHE_DIR": str(place.cache)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.split() == [str(prefix), "False"]
    place.cache.rename(place.cache.parent / "nixenv")
    found = subprocess.run(
        ask,
        env={**env, "XDG_CACHE_HOME": str(place.cache.parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.split()[0] == str(place.cache.parent / "nixenv/bytecode/prefix")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can write into the store")
def test_root_without_a_mirror_writes_nothing_into_the_store(place):
    environment = place.environment(ALPHA)
    before = sorted(place.store.rglob("*"))
    env = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    subprocess.run(
        [environment / "bin/python", "-c", "import alpha"],
        env={**env, "NIXENV_CACHE_DIR": str(place.cache)},
        check=True,
    )
    assert sorted(place.store.rglob("*")) == before


def test_sweep_keeps_what_is_kept_and_frees_the_rest(place):
    one, other = place.environment(ALPHA, BETA), place.environment(ALPHA, GAMMA)
    place.run(one, "import alpha, ns.beta")
    place.run(other, "import alpha, ns.gamma")
    freed = sum(p.lstat().st_size for p in place.objects(BETA).rglob("*") if p.is_file())
    assert freed > 0
    assert sweep(place.cache, [other], dry_run=True) >= freed
    assert place.objects(BETA).exists()
    assert sweep(place.cache, [other]) >= freed
    assert not place.objects(BETA).exists()
    assert (place.objects(ALPHA) / f"site-packages/alpha/__init__.{TAG}.pyc").exists()
    assert place.objects(GAMMA).exists()
    assert sweep(place.cache, [other]) == 0


def test_sweep_spares_what_was_used_lately(place):
    one = place.environment(ALPHA)
    complete = place.mirror(one) / COMPLETE
    assert sweep(place.cache, [], older_than=60) == 0
    assert complete.exists()
    os.utime(complete, (time.time() - 120,) * 2)
    sweep(place.cache, [], older_than=60)
    assert not complete.exists()


def test_sweep_of_no_cache_frees_nothing(tmp_path):
    assert sweep(tmp_path / "none", []) == 0


def test_swept_environment_can_be_prepared_again(place):
    one = place.environment(ALPHA)
    place.run(one, "import alpha")
    sweep(place.cache, [])
    assert "alpha" in place.run(one, "import alpha; print(alpha.__cached__)")
    assert place.objects(ALPHA).exists()


def test_damaged_marker_costs_the_packages_only(place):
    one = place.environment(ALPHA)
    (place.mirror(one) / COMPLETE).write_text("{")
    sweep(place.cache, [one])
    assert "alpha" in place.run(one, "import alpha; print(alpha.__file__)")


def test_marker_lists_what_the_mirror_uses(place):
    one = place.environment(ALPHA, BETA)
    facts = json.loads((place.mirror(one) / COMPLETE).read_text())
    assert facts["interpreter"] == read_mirror(one).interpreter == str(place.interpreter.path)
    assert set(facts["packages"]) == {str(p.path) for p in (ALPHA, BETA, place.interpreter)}
