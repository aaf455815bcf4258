"""`nixenv gc`: what it drops, what it never drops, and what Nix can collect then."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest


@pytest.fixture
def own(engine_home, tmp_path):
    """The same store, with a state and a cache that are only this test's."""
    env = {
        **engine_home.process_env,
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }
    return type(engine_home)(engine_home.folder, env)


@pytest.fixture
def notebook(own, tmp_path):
    path = own.notebook(tmp_path / "notebooks" / "a.ipynb")
    own.engine("build", path)
    return path


def collect(own, *options):
    return json.loads(own.engine("gc", "--json", *options).stdout)


def stop_compiling(tmp_path):
    """End the background compiler of this test's builds: while it runs, it writes and uses the environment.

    It takes only what the machine has left over, so waiting for it could take minutes.
    """
    for process in Path("/proc").glob("[0-9]*"):
        if is_compiler_of(process, tmp_path):
            os.kill(int(process.name), signal.SIGKILL)
            while is_compiler_of(process, tmp_path):
                time.sleep(0.01)


def is_compiler_of(process, tmp_path):
    try:
        is_compiler = b"compile_packages" in (process / "cmdline").read_bytes()
        return is_compiler and str(tmp_path).encode() in (process / "environ").read_bytes()
    except OSError:
        return False


def state_files(tmp_path):
    return sorted(
        str(path) for path in (tmp_path / "state").rglob("*") if "running" not in path.parts
    )


def test_gc_keeps_what_a_notebook_uses(own, notebook):
    told = collect(own)
    (row,) = told["environments"]
    assert not row["dropped"]
    assert row["notebooks"] == [str(notebook)]
    assert row["bytes"] > 10_000_000
    assert told["bytes"] == 0


def test_gc_drops_the_environment_of_a_vanished_notebook(own, notebook, tmp_path):
    notebook.unlink()
    before = state_files(tmp_path)
    dry = collect(own, "--dry-run")
    assert (dry["dropped"], dry["dry_run"]) == (1, True)
    assert state_files(tmp_path) == before
    told = collect(own)
    assert told["dropped"] == 1
    assert collect(own)["environments"] == []
    assert list((tmp_path / "state/nixenv/environments").iterdir()) == []
    assert list((tmp_path / "state/nixenv/uses").iterdir()) == []


def test_gc_drops_what_was_not_used_for_long(own, notebook, tmp_path):
    assert collect(own, "--older-than", "30d")["dropped"] == 0
    long_ago = 1_600_000_000
    for place in (tmp_path / "state/nixenv/uses").rglob("*"):
        os.utime(place, (long_ago, long_ago))
    (link,) = (
        one for one in (tmp_path / "state/nixenv/environments").iterdir() if "." not in one.name
    )
    os.utime(link, (long_ago, long_ago), follow_symlinks=False)
    assert collect(own)["dropped"] == 0
    assert collect(own, "--older-than", "30d")["dropped"] == 1
    # The notebook itself is untouched, and its environment comes back.
    own.engine("build", notebook)
    assert collect(own)["dropped"] == 0


def test_gc_never_drops_what_runs(own, notebook):
    with subprocess.Popen(
        [sys.executable, "-m", "nixenv", "shell", notebook, "--", "sh", "-c", "echo in; read line"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=own.process_env,
    ) as shell:
        assert shell.stdout.readline() == "in\n"
        notebook.unlink()
        (row,) = collect(own, "--older-than", "0d")["environments"]
        assert not row["dropped"]
        assert "runs in it" in row["reason"]
        shell.kill()
        shell.wait()
    assert collect(own)["dropped"] == 1


def test_gc_never_drops_what_a_kernel_runs_in(own, tmp_path):
    """Also when its notebook has vanished meanwhile."""
    marker, going = tmp_path / "marker", tmp_path / "going"
    source = f"import pathlib, time\npathlib.Path({str(marker)!r}).touch()\nwhile not pathlib.Path({str(going)!r}).exists(): time.sleep(0.05)"
    path = own.notebook(tmp_path / "notebooks" / "k.ipynb", source)
    with subprocess.Popen(
        [sys.executable, "-m", "nixenv", "run", path], env=own.process_env
    ) as run:
        try:
            while not marker.exists():
                assert run.poll() is None
            path.unlink()
            (row,) = collect(own, "--older-than", "0d")["environments"]
        finally:
            going.touch()
    assert not row["dropped"]
    assert run.returncode == 0
    assert collect(own)["dropped"] == 1


def test_gc_sweeps_the_bytecode_of_what_it_drops(own, notebook, tmp_path):
    own.engine("shell", notebook, "--", "python", "-c", "import ipykernel")
    stop_compiling(tmp_path)
    bytecode = tmp_path / "cache/nixenv/bytecode"
    assert any(bytecode.rglob("*.pyc"))
    assert collect(own)["bytecode_bytes"] == 0
    notebook.unlink()
    assert collect(own, "--dry-run")["bytecode_bytes"] > 100_000
    assert any(bytecode.rglob("*.pyc"))
    assert collect(own)["bytecode_bytes"] > 100_000
    assert not any(bytecode.rglob("*.pyc"))


def test_gc_lets_nix_collect_what_it_dropped(own, tmp_path):
    """In a store of its own: Nix's collector would take every other test's objects too."""
    store = tmp_path / "store"
    path = own.notebook(tmp_path / "a.ipynb")
    env = Path(json.loads(own.engine("build", path, "--json", "--store", store).stdout)["env"])
    stop_compiling(tmp_path)
    collect_with_nix(own, store)
    assert (env / "bin" / "python").exists()
    path.unlink()
    told = json.loads(own.engine("gc", "--json", "--store", store).stdout)
    assert told["bytes"] > 10_000_000
    assert env.exists()
    collect_with_nix(own, store)
    assert not env.exists()
    assert list(env.parent.glob("*-python-*")) == []


def collect_with_nix(own, store):
    subprocess.run(
        ["nix-store", "--gc", "--quiet"],
        env={**own.process_env, "NIX_REMOTE": str(store)},
        check=True,
        capture_output=True,
    )


def test_gc_forgets_a_root_that_dangles(own, notebook, tmp_path):
    (link,) = (
        one for one in (tmp_path / "state/nixenv/environments").iterdir() if "." not in one.name
    )
    target = link.readlink()
    link.unlink()
    link.symlink_to(target.with_name("0" * 32 + "-gone"))
    told = collect(own)
    assert told["dropped"] == 1
    assert "is gone" in told["environments"][0]["reason"]


def test_gc_text_names_the_command_that_frees_the_bytes(own, notebook):
    notebook.unlink()
    text = own.engine("gc").stdout
    assert f"NIX_REMOTE='{own.process_env['NIX_REMOTE']}' nix-store --gc" in text
    assert "dropped 1 of 1 environments" in text
