"""Environments in a real store, run by real Pythons: everything that looks for packages finds them."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from nixlib.composition.bytecode import compile_in_background, prepare_pycache, sweep
from nixlib.composition.compose import InterpreterPackage, compose
from nixlib.composition.mirror import read_mirror
from nixlib.composition.package import FACTS_NAME, Package, StoreListing, parse_facts
from nixlib.interpreters.host_python import find_hosts
from nixlib.interpreters.host_tree import host_tree
from nixlib.store import open_store
from nixlib.wheels.wheel import read_wheel

pytestmark = [
    pytest.mark.daemon,
    pytest.mark.network,
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="`host` copies ELF files"),
]

MINORS = ("3.8", "3.9", "3.10", "3.11", "3.12", "3.13")
# A namespace of two packages, a module, loky, `#!python` scripts with docstrings.
WHEELS = (
    "joblib==1.4.2",
    "six==1.16.0",
    "jaraco.classes==3.4.0",
    "jaraco.context==4.3.0",
    "docutils==0.17.1",
)

PROBE = """
import json, multiprocessing, os, subprocess, sys, sysconfig
from importlib import metadata

def facts(_=None):
    import jaraco.classes, jaraco.context, six
    return [sys.prefix, sys.executable, str(sys.pycache_prefix), six.__file__]

def by_multiprocessing(method):
    with multiprocessing.get_context(method).Pool(1) as pool:
        return pool.map(facts, [1])[0]

if __name__ == "__main__":
    from joblib import Parallel, delayed
    code = "import probe, json; print(json.dumps(probe.facts()))"
    child = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True)
    print(json.dumps({
        "own": facts(),
        "spawn": by_multiprocessing("spawn"),
        "forkserver": by_multiprocessing("forkserver"),
        "loky": Parallel(n_jobs=2)(delayed(facts)(n) for n in range(2))[0],
        "subprocess": json.loads(child.stdout),
        "purelib": sysconfig.get_path("purelib"),
        "versions": {d.metadata["Name"].lower().replace(".", "-"): d.version for d in metadata.distributions()},
        "files": [str(f) for f in metadata.files("docutils") if not f.locate().exists()],
    }))
"""


@dataclass(frozen=True)
class Home:
    """Where the environments of this file are, and the user's cache."""

    store: Path
    cache: Path
    environments: dict[str, Path]

    def run(self, minor, *argv, check=True, **more):
        """A program of the environment of Python `minor`, in a clean process environment."""
        environ = {
            k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL", "NIXENV"))
        }
        environ.update(NIXENV_CACHE_DIR=str(self.cache), **more.pop("env", {}))
        program = self.environments[minor] / "bin" / argv[0]
        done = subprocess.run(
            [program, *argv[1:]], env=environ, capture_output=True, text=True, check=False, **more
        )
        assert done.returncode == 0 or not check, done.stderr
        return done


@pytest.fixture(scope="session")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("environments")
    wheels = folder / "wheels"
    uv = [sys.executable, "-m", "uv", "tool", "run", "pip", "download", "-q", "-d", wheels]
    subprocess.run(
        [*uv, "--no-deps", "--only-binary", ":all:", *WHEELS], check=True, capture_output=True
    )
    hosts = {".".join(host.version.split(".")[:2]): host for host in find_hosts()}
    environments = {}
    with open_store(str(folder / "store")) as store:
        packages = [_package(store, wheel) for wheel in sorted(wheels.glob("*.whl"))]
        for minor, host in hosts.items():
            if minor in MINORS:
                path = store.add_tree(f"python-{host.version}", host_tree(host).tree).path
                python = InterpreterPackage(host.version, path, StoreListing(store.physical(path)))
                found = compose(packages, python)
                added = store.add_tree(found.name, found.tree, found.references)
                environments[minor] = store.physical(added.path)
    yield Home(folder / "store", folder / "cache", environments)
    subprocess.run(["chmod", "-R", "u+w", folder / "store"], check=True)
    shutil.rmtree(folder / "store")


def _package(store, wheel):
    read = read_wheel(wheel.read_bytes(), wheel.name)
    path = store.add_tree(f"{read.facts.name}-{read.facts.version}", read.tree).path
    listing = StoreListing(store.physical(path))
    facts = parse_facts(listing.read(FACTS_NAME))
    return Package(facts.name, facts.version, path, listing, facts)


@pytest.fixture(params=MINORS)
def minor(request, home):
    if request.param not in home.environments:
        pytest.skip(f"this machine has no Python {request.param}")
    return request.param


def snapshot(store: Path) -> set[Path]:
    return {path for path in store.rglob("*") if "/nix/store/" in str(path)}


def test_every_process_sees_the_environment(home, minor, tmp_path):
    environment = home.environments[minor]
    prefix = prepare_pycache(environment, home.cache, environment.parent)
    before = snapshot(home.store)
    (tmp_path / "probe.py").write_text(PROBE)
    argv = ["python", "-X", f"pycache_prefix={prefix}", "probe.py"]
    found = json.loads(home.run(minor, *argv, cwd=tmp_path).stdout)
    site = environment / f"lib/python{minor}/site-packages"
    expected = [
        str(environment),
        str(environment / "bin/python"),
        str(prefix),
        str(site / "six.py"),
    ]
    for how in ("own", "spawn", "forkserver", "loky", "subprocess"):
        assert found[how] == expected, how
    assert found["purelib"] == str(site)
    assert found["versions"] == {
        "joblib": "1.4.2",
        "six": "1.16.0",
        "jaraco-classes": "3.4.0",
        "jaraco-context": "4.3.0",
        "docutils": "0.17.1",
    }
    assert found["files"] == []
    assert snapshot(home.store) == before


def test_environment_runs_through_links_and_with_spaces_around(home, minor, tmp_path):
    odd = tmp_path / 'a folder\'s "name"'
    odd.symlink_to(home.environments[minor].parent)
    environment = odd / home.environments[minor].name
    code = "import sys, six; print(sys.prefix)"
    done = subprocess.run(
        [environment / "bin/python", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"{environment}\n"
    script = tmp_path / "rst"
    script.symlink_to(environment / "bin/rst2html.py")
    done = subprocess.run([script, "--version"], capture_output=True, text=True, check=True)
    assert "Docutils 0.17.1" in done.stdout


def test_environment_runs_when_its_store_has_moved(home, minor, tmp_path):
    """Nothing spells where the store is, so a chroot store may lie anywhere."""
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    environment = home.environments[minor]
    mirror = read_mirror(environment)
    for name in {environment.name, mirror.interpreter, *(link.package for link in mirror.links)}:
        shutil.copytree(environment.parent / name, moved / name, symlinks=True)
    python = moved / environment.name / "bin/python"
    code = "import sys, six, jaraco.classes, joblib, os; print(os.path.realpath(os.__file__))"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(str(moved))


def test_child_venv_works_and_sees_the_environment_when_asked(home, minor, tmp_path):
    for options, expected in (([], "none"), (["--system-site-packages"], "1.16.0")):
        child = tmp_path / f"child{len(options)}"
        home.run(minor, "python", "-m", "venv", "--without-pip", *options, child)
        code = (
            "import sys, ssl, ctypes, os\n"
            "try:\n import six; print(six.__version__)\nexcept ImportError: print('none')\n"
            "print(os.path.realpath(os.__file__), sys.prefix)"
        )
        done = subprocess.run(
            [child / "bin/python", "-c", code], capture_output=True, text=True, check=True
        )
        seen, library, prefix = done.stdout.split()
        assert prefix == str(child)
        assert library.startswith(str(home.store))
        # Before 3.11 Python looks for its library behind the link, past the environment.
        assert seen == (expected if tuple(map(int, minor.split("."))) >= (3, 11) else "none")


def test_child_venv_with_pip_works(home, tmp_path):
    minor = max(home.environments, key=lambda text: tuple(map(int, text.split("."))))
    home.run(minor, "python", "-m", "venv", tmp_path / "child")
    done = subprocess.run(
        [tmp_path / "child/bin/pip", "list"], capture_output=True, text=True, check=True
    )
    assert "pip" in done.stdout


def test_pip_lists_the_environment(home, minor):
    rows = json.loads(home.run(minor, "pip", "list", "--format", "json").stdout)
    assert {"name": "six", "version": "1.16.0"} in rows
    assert len(rows) == len(WHEELS)
    assert "six==1.16.0" in home.run(minor, "python", "-m", "pip", "freeze").stdout.splitlines()
    assert home.run(minor, "uv", "pip", "list").stdout == home.run(minor, "pip", "list").stdout
    shown = home.run(minor, "pip", "show", "Jaraco_Classes").stdout
    assert "Name: jaraco.classes\nVersion: 3.4.0\n" in shown
    assert home.run(minor, "pip", "--version").stdout.startswith("pip 0+nixenv from /")


@pytest.mark.parametrize(
    ("argv", "answer"),
    [
        (
            ["pip", "install", "-q", "-U", "pandas>=2", "-r", "x.txt", "seaborn"],
            '%nixenv add "pandas>=2" seaborn',
        ),
        (["pip3", "uninstall", "-y", "six"], "%nixenv remove six"),
        (["python", "-m", "pip", "install", "pandas"], "%nixenv add pandas"),
        (
            ["uv", "pip", "install", "--index-url", "https://example.org", "pandas"],
            "%nixenv add pandas",
        ),
        (["conda", "install", "-y", "-c", "conda-forge", "pandas"], "%nixenv add pandas"),
        (["mamba", "update", "pandas"], "%nixenv add pandas"),
        (["pip", "install"], "%nixenv add NAME"),
    ],
)
def test_installers_answer_with_the_line_that_does_it(home, argv, answer):
    done = home.run(next(iter(home.environments)), *argv, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith(f"\n\nhint: `{answer}`\n")
    assert done.stderr.count("\n") == 3


def test_stand_in_becomes_the_real_program_for_what_is_not_its_business(home, tmp_path):
    real = tmp_path / "uv"
    real.write_text('#!/bin/sh\necho real "$@"\n')
    real.chmod(0o755)
    if len(home.environments) < 2:
        pytest.skip("one Python here, and so one environment")
    first, second, *_ = [path / "bin" for path in home.environments.values()]
    path = os.pathsep.join(map(str, (first, second, tmp_path, "/usr/bin", "/bin")))
    minor = next(iter(home.environments))
    assert home.run(minor, "uv", "run", "x y", env={"PATH": path}).stdout == "real run x y\n"
    bare = os.pathsep.join(map(str, (first, second, "/usr/bin", "/bin")))
    done = home.run(minor, "uv", "run", "x", env={"PATH": bare}, check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr


def test_scripts_of_wheels_run(home, minor):
    done = home.run(minor, "rst2html.py", "--help")
    assert "HTML" in done.stdout
    done = home.run(minor, "python", str(home.environments[minor] / "bin/rst2html.py"), "--version")
    assert "Docutils 0.17.1" in done.stdout


def test_background_bytecode_serves_the_environment_and_is_swept(home, minor, tmp_path):
    environment = home.environments[minor]
    cache = tmp_path / "cache"
    prefix = prepare_pycache(environment, cache, environment.parent)
    assert compile_in_background(environment, cache).wait(120) == 0
    argv = [
        "python",
        "-v",
        "-X",
        f"pycache_prefix={prefix}",
        "-c",
        "import joblib, docutils.core, json, jaraco.classes",
    ]
    log = home.run(minor, *argv).stderr.splitlines()
    compiled = [
        line for line in log if line.startswith("# code object from /") and line.endswith(".py")
    ]
    # Of the environment's own files, this one is compiled at a kernel's first start.
    assert [line for line in compiled if "_nixenv_site" not in line] == []
    wrote = [line for line in log if line.startswith("# wrote ")]
    assert [line for line in wrote if "_nixenv_site" not in line] == []
    assert (
        len([line for line in log if line.startswith("# code object from ") and "docutils" in line])
        > 10
    )
    assert sweep(cache, []) > 1_000_000
    assert not list(cache.rglob("*.pyc"))
