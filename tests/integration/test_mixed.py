"""Notebooks that mix: wheels on top of conda, each package once, and who is to blame where they meet."""

from __future__ import annotations

import json
import subprocess

import pytest
from conda_desk import Desk, lock_of, needs_channel, python
from live_kernel import kernel_for

from nixlib.testing.conda_archives import make_conda
from nixlib.testing.conda_channel import local_channel, write_channel
from nixlib.testing.nixpkgs import local_nixpkgs
from nixlib.testing.sources import project

pytestmark = [pytest.mark.daemon, pytest.mark.network, pytest.mark.slow, needs_channel]


@pytest.fixture
def desk(engine_home, tmp_path):
    return Desk(engine_home, tmp_path, local_channel())


def wheels_of(path):
    return {package["name"]: package for package in lock_of(path)["packages"]}


def test_wheel_needs_what_conda_brings_and_it_comes_once(desk):
    path = desk.notebook("six *", "python-dateutil<2.10")
    environment = desk.build(path)
    wheels = wheels_of(path)
    assert "six" not in wheels
    assert "six" in wheels["python-dateutil"]["requires"].split()
    code = "import six, dateutil.parser, os; print(os.path.realpath(six.__file__))"
    assert "-six-" in python(environment, code)


def test_distributions_of_both_are_listed(desk):
    environment = desk.build(desk.notebook("arrays *", "toolz"))
    listed = json.loads(
        subprocess.run(
            [environment / "bin" / "pip", "list", "--format=json"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    )
    assert {"arrays", "toolz", "ipykernel"} <= {package["name"] for package in listed}


def test_compiled_wheel_runs_on_condas_python(desk):
    path = desk.notebook("arrays *", "markupsafe")
    code = "import markupsafe._speedups, arrays; print(arrays.BLAS, markupsafe.escape('<'))"
    assert python(desk.build(path), code).endswith(" &lt;")


def test_command_of_conda_sees_the_wheels(desk):
    environment = desk.build(desk.notebook("greeter *", "toolz"))
    # It is Python of the environment that runs it, not the prefix's.
    text = (environment / "bin" / "greet").read_bytes()
    assert b"-conda-prefix" not in text.split(b"\n")[0]
    assert python(environment, "import greeter, toolz; print(greeter.__name__)") == "greeter"


def test_requirement_that_contradicts_conda_is_told_naming_both(desk):
    run = desk.engine("lock", desk.notebook("six *", "six<1.10"), check=False)
    assert run.returncode
    told = next(line for line in run.stderr.splitlines() if line.startswith("nixenv: "))
    assert "six<1.10" in told
    assert "conda brings `six" in told


def test_lock_that_has_a_package_of_both_is_refused_naming_both(desk):
    path = desk.notebook("arrays *", "toolz")
    desk.engine("lock", path)
    notebook = json.loads(path.read_text())
    lock = notebook["metadata"]["nixenv"]["lock"]
    next(p for p in lock["packages"] if p["name"] == "toolz")["name"] = "arrays"
    path.write_text(json.dumps(notebook))
    run = desk.engine("build", path, check=False)
    assert run.returncode
    assert "conda and a wheel both bring `arrays`" in run.stderr


def test_file_of_both_is_a_collision_that_names_the_package_of_conda(desk, tmp_path):
    other = make_conda(
        "tools-of-conda",
        "1.0",
        "0",
        {"site-packages/toolz/__init__.py": "other = True\n"},
        noarch="python",
        depends=["python"],
    )
    write_channel(tmp_path / "mine", [other])
    channels = ["./mine", desk.channel.url]
    path = desk.notebook("tools-of-conda *", "toolz", channels=channels)
    run = desk.engine("build", path, check=False)
    assert run.returncode
    assert "`tools-of-conda` and `toolz`" in run.stderr
    assert '"toolz"' in run.stderr
    changed = desk.notebook(
        "tools-of-conda *", "toolz", channels=channels, collisions={"toolz": "tools-of-conda"}
    )
    assert python(desk.build(changed), "import toolz; print(toolz.other)") == "True"


def test_provider_gives_a_bare_name_to_conda_and_says_why(desk):
    path = desk.notebook("six", "toolz", providers={"_default": "conda,wheel"})
    desk.engine("lock", path)
    lock = lock_of(path)
    assert "six" in {package["name"] for package in lock["conda"]["packages"]}
    assert "toolz" in wheels_of(path)
    assert set(lock["choices"]) == {"six", "toolz"}


def test_running_kernel_is_extended_by_a_wheel(desk):
    path = desk.notebook("arrays *")
    desk.build(path)
    with kernel_for(path, desk.home) as kernel:
        assert kernel.run("import arrays; print(arrays.BLAS)").error == {}
        cell = kernel.run("%nixenv add toolz")
        assert cell.error == {}, cell
        cell = kernel.run("import toolz, sys; print(toolz.__name__, sys.base_prefix)")
        assert cell.stream.startswith("toolz "), cell
        assert cell.stream.strip().endswith("-conda-prefix")


def test_source_is_built_for_condas_python(desk, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    for name, text in project(
        "mine", "1.0", {"mine.py": "import six\nNAME = six.__name__\n"}
    ).items():
        (folder / name).write_text(text)
    path = desk.notebook("six *", "./mine")
    code = "import mine, sys; print(mine.NAME, sys.base_prefix)"
    said = python(desk.build(path), code)
    assert said.startswith("six ")
    assert said.endswith("-conda-prefix")
    assert wheels_of(path)["mine"]["source"]["kind"] == "path"


def test_conda_nixpkgs_a_source_and_a_wheel_are_one_environment(desk, tmp_path):
    nixpkgs = local_nixpkgs()
    folder = tmp_path / "mine"
    folder.mkdir()
    for name, text in project("mine", "1.0", {"mine.py": "NAME = 'mine'\n"}).items():
        (folder / name).write_text(text)
    path = desk.notebook("arrays *", "nixpkgs#graphviz", "./mine", "toolz")
    environ = {"NIXENV_REPOSITORIES": nixpkgs.url, "NIXENV_NIXPKGS": nixpkgs.branch}
    environment = desk.build(path, **environ)
    code = "import arrays, mine, toolz; print(mine.NAME, toolz.__name__)"
    assert python(environment, code) == "mine toolz"
    said = subprocess.run(
        [environment / "bin" / "dot"], capture_output=True, text=True, check=True
    ).stdout
    assert said
    lock = lock_of(path)
    assert [attribute["attribute"] for attribute in lock["attributes"]] == ["graphviz"]
    # The second start asks nobody: not the channel, not the revision, not the sandbox.
    assert desk.build(path, NIXENV_REPOSITORIES="file:///nowhere") == environment
