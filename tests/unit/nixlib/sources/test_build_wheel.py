"""The script that runs in builds, driven by itself, in two processes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from nixlib.builders import build_wheel
from nixlib.testing.sources import project

SCRIPT = Path(build_wheel.__file__)


@pytest.fixture
def run(tmp_path):
    def run(files, **more):
        source = tmp_path / "source"
        for name, text in files.items():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_text(text)
        (source / "pyproject.toml").chmod(0o444)
        environment = tmp_path / "environment"
        (environment / "bin").mkdir(parents=True)
        (environment / "bin" / "python").symlink_to(sys.executable)
        (tmp_path / "top").mkdir()
        orders = {
            "environment": str(environment),
            "source": str(source),
            "subdirectory": "",
            "place": str(tmp_path / "place"),
            "hook": "build_wheel",
            "backend": "backend",
            "backend_path": ["."],
            "settings": {},
            "path": [],
            "variables": {"EXTRA": "1"},
            "epoch": 315532800,
            **more,
        }
        (tmp_path / "orders.json").write_text(json.dumps(orders))
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-B", str(SCRIPT), str(tmp_path / "orders.json")],
            env={"out": str(tmp_path / "out"), "NIX_BUILD_TOP": str(tmp_path / "top")},
            capture_output=True,
            text=True,
            check=False,
        )
        answer = tmp_path / "out" / "result.json"
        return done, json.loads(answer.read_text()) if answer.exists() else None

    return run


def test_wheel_is_built_beside_its_answer(run, tmp_path):
    done, answer = run(project("thing", "1.0", {"thing.py": "x = 1"}))
    assert done.returncode == 0, done.stderr
    assert answer == {"wheel": "thing-1.0-py3-none-any.whl"}
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "result.json",
        "thing-1.0-py3-none-any.whl",
    ]


def test_backend_finds_fixed_variables_and_one_age(run):
    before = (
        "import time\n"
        "assert os.environ['PYTHONHASHSEED'] == '0' and os.environ['EXTRA'] == '1'\n"
        "assert 'out' not in os.environ and 'NIX_BUILD_TOP' not in os.environ\n"
        "assert all(os.stat(n).st_mtime == 315532800 for n in ('backend.py', 'pyproject.toml'))\n"
        "assert sys.argv == ['setup.py'] and sys.path[0] == os.getcwd()\n"
        "open('pyproject.toml', 'a').close()\n"
    )
    done, _ = run(project("thing", "1.0", {"before.sh": before}))
    assert done.returncode == 0, done.stderr


def test_hook_that_is_not_there_is_no_requirement(run):
    _, answer = run(project("thing", "1.0"), hook="get_requires_for_build_wheel")
    assert answer == {"requires": []}


def test_hook_that_must_be_there_is_said_to_be_missing(run):
    files = project("thing", "1.0")
    files["backend.py"] = "build_wheel = None"
    _, answer = run(files, hook="build_editable")
    assert answer == {"missing": "build_editable"}


def test_requirements_of_the_backend_are_passed_on(run):
    files = project("thing", "1.0")
    files["backend.py"] = "def get_requires_for_build_wheel(settings): return ['cython']"
    assert run(files, hook="get_requires_for_build_wheel")[1] == {"requires": ["cython"]}


def test_failing_backend_ends_with_its_own_traceback(run):
    done, answer = run(project("thing", "1.0", {"before.sh": "raise ValueError('no')"}))
    assert (done.returncode, answer) == (1, None)
    assert "ValueError: no" in done.stderr


def test_backend_that_kills_itself_is_told_from_one_that_fails(run):
    before = "os.kill(os.getpid(), 9)"
    assert run(project("thing", "1.0", {"before.sh": before}))[0].returncode == 137


@pytest.mark.parametrize("name", ["'../evil.whl'", "'none.whl'", "'/etc/passwd'", "'link.whl'"])
def test_wheel_that_is_not_there_is_not_taken(run, name):
    files = project("thing", "1.0")
    files["backend.py"] = (
        "import os\n"
        "def build_wheel(folder, settings):\n"
        "    os.symlink('/etc/passwd', folder + '/link.whl')\n"
        "    open(folder + '/../evil.whl', 'w').close()\n"
        f"    return {name}\n"
    )
    done, answer = run(files)
    assert answer is None
    assert "and did not" in done.stderr


def test_compiled_module_left_in_an_editable_folder_is_said(run):
    files = project("thing", "1.0")
    files["backend.py"] += (
        "\ndef build_editable(folder, s=None, m=None):\n"
        "    open('fast.so', 'w').close()\n"
        "    return _write(folder, {}, 'py3-none-any')\n"
    )
    assert run(files, hook="build_editable")[1]["left"] == ["fast.so"]


def test_project_below_its_source_is_built_there(run):
    files = {f"sub/{name}": text for name, text in project("thing", "1.0").items()}
    assert run({"pyproject.toml": "", **files}, subdirectory="sub")[1] == {
        "wheel": "thing-1.0-py3-none-any.whl"
    }


def test_setuptools_way_without_a_word_is_the_object_behind_the_colon(run):
    files = project("thing", "1.0")
    files["backend.py"] = (
        "class Old:\n    def build_wheel(self, folder, settings):\n"
        "        open(folder + '/a-1-py3-none-any.whl', 'w').close()\n"
        "        return 'a-1-py3-none-any.whl'\n__legacy__ = Old()\n"
    )
    assert run(files, backend="backend:__legacy__")[1] == {"wheel": "a-1-py3-none-any.whl"}
