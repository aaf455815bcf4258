"""Notebooks that ask for sources: folders beside them, archives, commits; on the host's Python and on conda's."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest
from conda_desk import Desk, lock_of, needs_channel, python

from nixlib.testing.conda_channel import local_channel
from nixlib.testing.sources import project

pytestmark = [pytest.mark.daemon, pytest.mark.network, pytest.mark.slow, needs_channel]
needs_cc = pytest.mark.skipif(shutil.which("gcc", path="/usr/bin") is None, reason="no gcc here")
C_MODULE = """
#include <Python.h>
static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "fast", 0, -1, 0};
PyMODINIT_FUNC PyInit_fast(void) { return PyModule_Create(&definition); }
"""


@pytest.fixture
def desk(engine_home, tmp_path):
    return Desk(engine_home, tmp_path, local_channel())


def write(folder, files):
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def test_folder_is_built_and_an_editable_one_followed(desk):
    write(desk.folder / "fixed", project("fixed", "1.0", {"fixed.py": "x = 1\n"}))
    write(desk.folder / "moving", project("moving", "1.0", {"moving.py": "x = 1\n"}))
    path = desk.notebook("./fixed", "-e ./moving", channels=[])
    environment = desk.build(path)
    for name in ("fixed", "moving"):
        write(desk.folder / name, {f"{name}.py": "x = 2\n"})
    assert python(environment, "import fixed, moving; print(fixed.x, moving.x)") == "1 2"
    assert list(lock_of(path)["built"]) == [f"fixed {next(iter(lock_of(path)['systems']))}"]


def test_commit_of_a_repository_is_built(desk):
    folder = desk.folder / "repository"
    write(folder, project("tracked", "1.0", {"tracked.py": "x = 1\n"}))
    env = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull}
    for role in ("AUTHOR", "COMMITTER"):
        env |= {f"GIT_{role}_NAME": "a", f"GIT_{role}_EMAIL": "a@b"}
    for argv in (["init", "-q"], ["add", "."], ["commit", "-qm", "x"], ["tag", "v1.0"]):
        subprocess.run(["git", *argv], cwd=folder, env=env, check=True)
    # The user's own configuration says where a host is: here, in a folder.
    config = desk.folder / "gitconfig"
    config.write_text(f'[url "file://{desk.folder}/"]\ninsteadOf = https://git.example/\n')
    path = desk.notebook("tracked @ git+https://git.example/repository@v1.0", channels=[])
    environment = desk.build(path, GIT_CONFIG_GLOBAL=str(config))
    assert python(environment, "import tracked; print(tracked.x)") == "1"
    (package,) = (p for p in lock_of(path)["packages"] if p["name"] == "tracked")
    assert len(package["source"]["commit"]) == 40


@needs_cc
def test_source_is_compiled_for_condas_python(desk):
    write(desk.folder / "fast", project("fast", "1.0", {"fast.c": C_MODULE}))
    path = desk.notebook("arrays *", "./fast", **{"build-inputs": ["host#cc"]})
    code = "import fast, arrays; print(fast.__name__, arrays.BLAS)"
    assert python(desk.build(path), code).startswith("fast ")


def test_notebook_without_a_compiler_is_told_the_line(desk):
    write(desk.folder / "fast", project("fast", "1.0", {"fast.c": C_MODULE}))
    path = desk.notebook("./fast", channels=[])
    failed = desk.engine("lock", path, check=False)
    assert failed.returncode != 0
    assert '"build-inputs": ["host#cc"]' in failed.stderr + failed.stdout
