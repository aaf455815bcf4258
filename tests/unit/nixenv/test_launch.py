from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from nixenv.server.launch import (
    Target,
    engine_command,
    fallback_process_env,
    kernel_argv,
    kernel_process_env,
    own_command,
)

ENVIRONMENT = Path("/nix/store/x-env")


def process_env(**inherited):
    target = Target(Path("/n/a.ipynb"))
    return kernel_process_env({"PATH": "/usr/bin", **inherited}, ENVIRONMENT, target)


@pytest.mark.parametrize(
    "name",
    [
        "PYTHONPATH",
        "PYTHONHOME",
        "PYTHONSTARTUP",
        "PYTHONDONTWRITEBYTECODE",
        "PYTHON_GIL",
        "VIRTUAL_ENV",
        "CONDA_PREFIX",
        "CONDA_DEFAULT_ENV",
        "_CONDA_ROOT",
        "LD_LIBRARY_PATH",
        "DYLD_LIBRARY_PATH",
        "JUPYTER_PATH",
        "JUPYTER_CONFIG_PATH",
        "__PYVENV_LAUNCHER__",
        "NIXENV_ERROR",
    ],
)
def test_process_env_drops_what_leaks_from_elsewhere(name):
    assert name not in process_env(**{name: "/elsewhere"})


@pytest.mark.parametrize(
    "name",
    [
        "HOME",
        "LANG",
        "NIX_REMOTE",
        "NIXENV_STORE",
        "JUPYTERHUB_USER",
        "JPY_PARENT_PID",
        "LD_PRELOAD",
        "UV_INDEX",
    ],
)
def test_process_env_keeps_what_is_the_users(name):
    assert process_env(**{name: "kept"})[name] == "kept"


def test_process_env_searches_the_environment_first():
    assert process_env()["PATH"] == "/nix/store/x-env/bin:/usr/bin"


def test_process_env_leaves_activated_environments():
    found = process_env(
        PATH="/v/bin:/c/bin:/c/condabin:/usr/bin", VIRTUAL_ENV="/v", CONDA_PREFIX="/c"
    )

    assert found["PATH"] == "/nix/store/x-env/bin:/usr/bin"


def test_process_env_searches_the_system_when_nothing_is_said():
    assert kernel_process_env({}, ENVIRONMENT, Target(None))["PATH"].endswith("/bin:/usr/bin")


def test_process_env_tells_the_kernel_its_document():
    found = process_env(NIXENV_NOTEBOOK="/outer.ipynb", NIXENV_DOCUMENT="/outer.ipynb")

    assert found["NIXENV_DOCUMENT"] == "/n/a.ipynb"
    assert found["NIXENV_WRITER"] == "file"
    assert found["NIXENV_ENVIRONMENT"] == "/nix/store/x-env"
    assert tuple(json.loads(found["NIXENV_ENGINE"])) == engine_command()
    assert "NIXENV_NOTEBOOK" not in found


def test_process_env_of_an_unknown_notebook_has_no_document():
    found = fallback_process_env({"NIXENV_DOCUMENT": "/outer"}, Path("/e"), Target(None))

    assert "NIXENV_DOCUMENT" not in found
    assert found["NIXENV_ERROR"] == "/e"


def test_argv_is_made_from_nothing():
    argv = kernel_argv(ENVIRONMENT, "/c.json", pycache=Path("/cache"), extra=["--debug"])

    assert argv[:4] == ["/nix/store/x-env/bin/python", "-s", "-X", "pycache_prefix=/cache"]
    assert argv[-3:] == ["-f", "/c.json", "--debug"]
    assert Path(argv[4]).name == "launcher.py"
    assert Path(argv[4]).is_file()


def test_own_command_imports_nothing_from_the_working_folder(tmp_path):
    for name in ("random.py", "json.py", "nixenv.py"):
        (tmp_path / name).write_text("raise SystemExit('shadowed')")

    command = own_command(
        "import nixenv.server.launch, random, json; print(nixenv.server.launch.__file__)"
    )
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)

    assert Path(run.stdout.strip()).name == "launch.py"
    assert command[0] == sys.executable
