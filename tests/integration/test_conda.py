"""Notebooks whose packages come from a conda channel: locked, built, and their kernels asked."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from base64 import b64encode
from pathlib import Path

import pytest
from conda_desk import Desk, lock_of, needs_channel, python
from daemons import nix

from nixlib.testing.conda_archives import make_conda
from nixlib.testing.conda_channel import local_channel, write_channel
from nixlib.testing.conda_packages import hostile_archives
from nixlib.testing.fileserver import FileServer
from nixlib.tree import Regular

pytestmark = [pytest.mark.daemon, pytest.mark.network, pytest.mark.slow, needs_channel]


@pytest.fixture
def desk(engine_home, tmp_path):
    return Desk(engine_home, tmp_path, local_channel())


@pytest.mark.parametrize("blas", ["mkl", "openblas"])
def test_kernel_has_the_blas_that_a_build_string_asks_for(desk, blas):
    path = desk.notebook("arrays *", f"blas * {blas}*", cell="import arrays; print(arrays.BLAS)")
    assert desk.run(path) == blas


@pytest.mark.parametrize(
    ("cuda", "device"), [("12.4", "cuda 12.4"), ("11.8", "cuda 11.8"), (None, "cpu")]
)
def test_kernel_has_the_device_that_a_variant_asks_for(desk, cuda, device):
    path = desk.notebook(
        "tensors *", cell="import tensors; print(tensors.DEVICE)", variants={"cuda": cuda}
    )
    desk.engine("lock", path)
    # A machine that has what the author asked for, whatever this one has.
    environment = desk.build(path, CONDA_OVERRIDE_CUDA=cuda or "")
    assert python(environment, "import tensors; print(tensors.DEVICE)") == device


def test_python_is_that_of_the_prefix_and_the_kernel_is_of_wheels(desk):
    path = desk.notebook(
        "python 3.11.*", cell="import sys, ipykernel; print(sys.base_prefix, ipykernel.__file__)"
    )
    prefix, kernel = desk.run(path).split()
    lock = lock_of(path) if "lock" in path.read_text() else None
    assert prefix.endswith("-conda-prefix")
    assert Path(kernel).resolve().parts[-4].partition("-")[2].startswith("ipykernel-")
    assert lock is None or lock["interpreter"] == {"source": "conda", "version": "3.11.7"}


def test_conda_python_is_taken_where_only_the_interpreter_asks_for_it(desk):
    path = desk.notebook(interpreter="conda", python="3.11")
    desk.engine("lock", path)
    assert lock_of(path)["interpreter"]["source"] == "conda"


def test_package_without_python_joins_the_interpreter_of_the_machine(desk):
    path = desk.notebook("embedded *", interpreter="host", python="3.11")
    environment = desk.build(path)
    told = subprocess.run(
        [environment / "bin" / "embedded"], capture_output=True, text=True, check=True
    ).stdout
    assert told.strip().endswith("-conda-prefix/share/embedded")
    assert lock_of(path)["interpreter"]["source"] == "host"
    assert "conda-prefix" not in python(environment, "import sys; print(sys.base_prefix)")


def test_conda_python_against_another_interpreter_is_refused_naming_both(desk):
    path = desk.notebook("arrays *", interpreter="host")
    run = desk.engine("lock", path, check=False)
    assert run.returncode
    assert "conda brings Python 3.11.7" in run.stderr
    assert "`interpreter`" in run.stderr


def test_commands_of_conda_run_the_environments_python(desk):
    environment = desk.build(desk.notebook("greeter *"))
    for command in ("greet", "greet-script"):
        run = subprocess.run(
            [environment / "bin" / command], capture_output=True, text=True, check=True
        )
        assert str(environment) in run.stdout
    code = "import sys, os; print(os.path.exists(sys.prefix + '/share/greeter'))"
    assert python(environment, code) == "True"


def test_second_start_needs_no_rattler_and_no_builder(desk):
    path = desk.notebook("arrays *")
    first = desk.build(path)
    environ = {**desk.home.process_env}
    argv = [sys.executable, "-X", "importtime", "-m", "nixenv", "build", str(path), "--json"]
    run = subprocess.run(argv, capture_output=True, text=True, env=environ, check=True)
    assert json.loads(run.stdout)["env"] == str(first)
    imported = {line.rpartition("|")[2].strip() for line in run.stderr.splitlines()}
    heavy = {"rattler", "yaml", "ctypes", "sqlite3", "nixlib.locking", "nixlib.realise"}
    assert not heavy & imported
    assert not {name for name in imported if name.startswith(("nixlib.conda", "nixlib.workshop"))}


def test_lock_of_a_built_notebook_gives_the_same_environment_in_another_home(desk, tmp_path):
    path = desk.notebook("arrays *")
    first = desk.build(path)
    environ = {"XDG_STATE_HOME": str(tmp_path / "state"), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    assert desk.build(path, **environ) == first


def test_wheel_that_is_added_leaves_the_conda_half_alone(desk):
    path = desk.notebook("arrays *")
    desk.engine("lock", path)
    before = lock_of(path)
    desk.engine("add", path, "toolz")
    after = lock_of(path)
    assert after["conda"] == before["conda"]
    assert {p["name"] for p in after["packages"]} - {p["name"] for p in before["packages"]} == {
        "toolz"
    }


def test_package_of_conda_that_is_added_keeps_the_others(desk):
    path = desk.notebook("arrays 1.1.*")
    desk.engine("lock", path)
    before = {package["name"]: package for package in lock_of(path)["conda"]["packages"]}
    desk.engine("add", path, "greeter *")
    after = {package["name"]: package for package in lock_of(path)["conda"]["packages"]}
    assert {**after, **before} == after
    assert "greeter" in after


def test_channel_beside_the_notebook_goes_with_it(desk, tmp_path):
    shutil.copytree(desk.channel.folder, tmp_path / "channel")
    path = desk.notebook("six *", channels=["./channel"])
    desk.engine("lock", path)
    assert str(tmp_path) not in path.read_text()
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    (tmp_path / "channel").rename(moved / "channel")
    path = path.rename(moved / "b.ipynb")
    environment = desk.build(path)
    assert python(environment, "import six; print(six.__name__)") == "six"


def test_private_channel_is_read_with_the_users_own_login(desk, tmp_path):
    login = f"Basic {b64encode(b'ana:hush').decode()}"
    with FileServer(desk.channel.files(), login=login) as server:
        path = desk.notebook("six *", channels=[server.url("").rstrip("/")])
        assert desk.engine("lock", path, check=False).returncode
        netrc = tmp_path / "netrc"
        netrc.write_text("machine 127.0.0.1 login ana password hush\n")
        netrc.chmod(0o600)
        environment = desk.build(path, NETRC=str(netrc), HOME=str(tmp_path))
        assert python(environment, "import six; print(six.__name__)") == "six"
    assert "hush" not in path.read_text()


def test_unsolvable_is_told_with_the_notebooks_own_line_first(desk):
    run = desk.engine("lock", desk.notebook("six *", "torn *"), check=False)
    assert run.returncode
    told = next(line for line in run.stderr.splitlines() if line.startswith("nixenv: "))
    assert "requirement 2 `torn *`" in told


def test_unknown_package_leaves_the_notebook_as_it_was(desk):
    path = desk.notebook("no-such-thing *")
    before = path.read_bytes()
    assert desk.engine("lock", path, check=False).returncode
    assert path.read_bytes() == before


def test_collector_keeps_what_a_prefix_links_to(desk):
    environment = desk.build(desk.notebook("arrays *"))
    store = desk.home.folder / "store"
    path = f"/nix/store/{environment.name}"
    closure = nix(store, "nix-store", "-q", "--requisites", path)
    assert "-conda-prefix\n" in closure
    assert "-arrays-1.2-py311_" in closure
    assert "-python-3.11.7-h0_0_cpython\n" in closure


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("escaping-path", "cannot use the conda archive `escaping-path-"),
        ("escaping-link", "leads out of the prefix"),
        ("lying-hash", "is not what its `info/` says"),
        ("short-placeholder", "too short"),
    ],
)
def test_hostile_archive_is_named_and_leaves_nothing(desk, tmp_path, name, said):
    [archive] = [found for found in hostile_archives() if found.filename.startswith(name)]
    write_channel(tmp_path / "hostile", [archive])
    path = desk.notebook(f"{name} *", "six *", channels=["./hostile", desk.channel.url])
    run = desk.engine("build", path, check=False)
    assert run.returncode
    assert said in run.stderr
    assert "bug" not in run.stderr
    assert "lock" not in json.loads(path.read_text())["metadata"]["nixenv"]
    scratch = Path(desk.home.process_env["XDG_CACHE_HOME"]) / "nixenv"
    assert not list(scratch.glob("tmp*"))


def test_two_prefixes_share_the_bytecode_of_their_packages(desk):
    places = []
    for blas in ("mkl", "openblas"):
        path = desk.notebook("arrays *", f"blas * {blas}*", "toolz")
        told = json.loads(desk.engine("sync", path, "--json").stdout)
        environment, cache = Path(told["env"]), Path(told["pycache_prefix"])
        mirror = cache / environment.relative_to("/") / "lib/python3.11/site-packages"
        places.append((environment, (mirror / "toolz").resolve()))
    (one, bytecode), (other, again) = places
    assert one != other
    assert bytecode == again


@pytest.mark.parametrize("verb", ["build", "sync"])
def test_python_of_a_channel_is_not_started_before_the_notebook_is(desk, tmp_path, verb):
    ran = tmp_path / "ran"
    program = Regular.of(f"#!/bin/sh\ntouch {ran}\n".encode(), executable=True)
    site = "lib/python3.11/site-packages"
    python = make_conda(
        "python",
        "3.11.7",
        f"{verb}_9_cpython",
        {"bin/python3.11": program, "bin/python": program, "lib/python3.11/os.py": ""},
        subdir=desk.channel.subdir,
        index={"python_site_packages_path": site},
    )
    write_channel(tmp_path / "own", [python])
    path = desk.notebook("python *", channels=["./own"], interpreter="conda")
    desk.engine(verb, path)
    time.sleep(1)  # the compiler of bytecode starts when everything else is done
    assert not ran.exists()


def test_lock_that_calls_a_package_another_kind_than_it_is_is_refused(desk):
    path = desk.notebook("arrays *", "blas * mkl*")
    desk.engine("sync", path)
    notebook = json.loads(path.read_text())
    for package in notebook["metadata"]["nixenv"]["lock"]["conda"]["packages"]:
        if package["name"] == "arrays":
            package["noarch"] = "python"
    path.write_text(json.dumps(notebook))
    run = desk.engine("build", path, check=False)
    assert run.returncode == 4
    assert "is not that" in run.stderr


def test_lock_for_a_machine_without_the_gpu_is_derived_and_says_so(desk):
    path = desk.notebook("tensors *", variants={"cuda": "12.4"})
    desk.engine("lock", path)
    first = lock_of(path)
    desk.engine("lock", path, "--variant", "cuda=none")
    lock = lock_of(path)
    assert (lock["spec"], lock["substitutions"]) == (first["spec"], {"cuda": "none"})
    assert python(desk.build(path), "import tensors; print(tensors.DEVICE)") == "cpu"
    # It stays what it is when something is added on a machine that still has none.
    desk.engine("add", path, "greeter *", CONDA_OVERRIDE_CUDA="")
    assert lock_of(path)["substitutions"] == {"cuda": "none"}
    # And the author's choice is back on a machine that has it.
    desk.engine("lock", path, CONDA_OVERRIDE_CUDA="12.4")
    assert "substitutions" not in lock_of(path)
