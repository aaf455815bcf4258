"""Finding the Pythons of a machine, in folders laid out as each tool lays them out."""

import shutil
import sys
from pathlib import Path

import pytest

from nixlib.interpreters.host_memory import HostMemory
from nixlib.interpreters.host_python import find_hosts, read_host

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="`host` copies ELF files"
)

PROGRAM = Path(sys.executable).resolve()
VERSION = ".".join(map(str, sys.version_info[:3]))


def executables(env):
    return [host.executable for host in find_hosts(env)]


def test_read_host_tells_what_this_interpreter_tells_of_itself():
    host = read_host(PROGRAM)

    assert (host.version, host.executable, host.prefix) == (VERSION, PROGRAM, Path(sys.base_prefix))
    assert (host.stdlib / "os.py").is_file()


@pytest.mark.parametrize(
    ("place", "env"),
    [
        ("bin/python3", {"PATH": "{root}/bin"}),
        ("bin/python3.99", {"PATH": "/nowhere:{root}/bin"}),
        (".pyenv/versions/3.11.7/bin/python", {"HOME": "{root}"}),
        ("pyenv/versions/3.11.7/bin/python", {"PYENV_ROOT": "{root}/pyenv"}),
        (".local/share/uv/python/cpython-3.11.7-linux/bin/python3", {"HOME": "{root}"}),
        ("data/uv/python/cpython-3.11.7-linux/bin/python3", {"XDG_DATA_HOME": "{root}/data"}),
        ("uv/cpython-3.11.7-linux/bin/python3", {"UV_PYTHON_INSTALL_DIR": "{root}/uv"}),
        ("miniforge3/bin/python", {"HOME": "{root}"}),
        ("mamba/bin/python", {"CONDA_EXE": "{root}/mamba/bin/conda"}),
    ],
)
def test_python_is_found_where_a_tool_puts_it(tmp_path, place, env):
    (tmp_path / place).parent.mkdir(parents=True)
    (tmp_path / place).symlink_to(PROGRAM)
    env = {key: value.format(root=tmp_path) for key, value in env.items()}

    assert PROGRAM in executables(env)


def test_environment_and_two_links_lead_to_one_installation(tmp_path):
    for name in ("python", "python3", "python3.11"):
        (tmp_path / name).symlink_to(PROGRAM)
    (tmp_path / "pyvenv.cfg").write_text("home = /usr/bin\n")

    assert executables({"PATH": str(tmp_path)}).count(PROGRAM) == 1


@pytest.mark.parametrize(
    "name", ["python3-config", "python3.11-dbg", "pythonw", "python2.7", "ipython3"]
)
def test_other_names_are_not_tried(tmp_path, name):
    program = tmp_path / name
    shutil.copy(PROGRAM, program)

    assert program not in executables({"PATH": str(tmp_path)})


def test_shims_and_broken_programs_are_passed_over(tmp_path):
    shim = tmp_path / "python3"
    shim.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    cut = tmp_path / "python3.11"
    cut.write_bytes(PROGRAM.read_bytes()[:4096])
    for program in (shim, cut):
        program.chmod(0o755)
    (tmp_path / "python3.12").symlink_to(tmp_path / "nothing")

    assert not {shim, cut} & set(executables({"PATH": str(tmp_path)}))
    assert not (tmp_path / "ran").exists()


def test_hosts_are_newest_first_and_remembered(tmp_path):
    memory = HostMemory(tmp_path / "hosts.json")
    first = find_hosts(memory=memory)
    versions = [
        tuple(map(int, host.version.split("."))) for host in first if host.version.isascii()
    ]

    assert versions == sorted(versions, reverse=True)
    assert all(version >= (3, 8) for version in versions)
    assert find_hosts(memory=memory) == first
