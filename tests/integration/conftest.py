"""One engine's home for all integration tests: a chroot store, XDG folders and notebooks that are locked.

Everything is real: Nix, the registry, Jupyter. The home is made once per run, also under xdist.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

NEWEST, OLDER = "3.11", "3.9"


@dataclass(frozen=True)
class EngineHome:
    """Where the engine of the tests keeps everything.

    Attributes:
        folder: Below it are the home, the store and the locked notebooks.
        process_env: Variables with which every process of a test runs.
    """

    folder: Path
    process_env: dict[str, str]

    def engine(self, *arguments: object, check: bool = True, **more: object):
        """`nixenv <arguments>` as a process, its output as text."""
        argv = [sys.executable, "-m", "nixenv", *map(str, arguments)]
        run = subprocess.run(  # noqa: PLW1510 - `check` is ours, with what it said
            argv, capture_output=True, text=True, env=self.process_env, **more
        )
        assert run.returncode == 0 or not check, run.stderr + run.stdout
        return run

    def notebook(self, path: Path, *sources: str, python: str = NEWEST, **changes: object) -> Path:
        """A copy of a locked notebook at `path` with these code cells; `changes` to its spec."""
        notebook = json.loads((self.folder / f"{python}.ipynb").read_text())
        notebook["cells"] = [
            {
                "cell_type": "code",
                "id": f"cell-{number}",
                "metadata": {},
                "execution_count": None,
                "outputs": [],
                "source": source,
            }
            for number, source in enumerate(sources)
        ]
        notebook["metadata"]["nixenv"].update(changes)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(notebook, indent=1, sort_keys=True) + "\n")
        return path


@pytest.fixture(scope="session")
def engine_home(tmp_path_factory):
    base = tmp_path_factory.getbasetemp()
    # Under xdist every worker has a folder of its own below one that they share.
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "engine-home"
    home = EngineHome(folder, _process_env(folder))
    with _alone(folder.with_suffix(".lock")):
        if not (folder / "ready").exists():
            _furnish(home)
            (folder / "ready").touch()
    return home


@pytest.fixture
def no_configuration(monkeypatch, tmp_path):
    """A user who has configured nothing, and an empty uv cache."""
    for name in [name for name in os.environ if name.startswith(("UV_", "PIP_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home/.config"))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))


@pytest.fixture
def no_other_indexes(monkeypatch, tmp_path):
    """Nobody's own indexes: only the default one."""
    for name in [name for name in os.environ if name.startswith("PIP_") and name != "PIP_CERT"]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture(scope="session")
def older_python(engine_home):
    """A Python version that is not that of the other notebooks."""
    if not (engine_home.folder / f"{OLDER}.ipynb").exists():
        pytest.skip(f"this machine has no Python {OLDER} beside {NEWEST}")
    return OLDER


def _process_env(folder: Path) -> dict[str, str]:
    home = folder / "home"
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(
            ("NIXENV_", "JUPYTER", "JPY_", "XDG_", "PYTHON", "IPYTHON", "VIRTUAL")
        )
    }
    return {
        **kept,
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home / "cache"),
        "XDG_STATE_HOME": str(home / "state"),
        "XDG_CONFIG_HOME": str(home / "config"),
        "NIX_REMOTE": str(folder / "store"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        # The user's Pythons are found in their home, which is not this one.
        "UV_PYTHON_INSTALL_DIR": os.environ.get(
            "UV_PYTHON_INSTALL_DIR", str(Path.home() / ".local/share/uv/python")
        ),
        "PYENV_ROOT": os.environ.get("PYENV_ROOT", str(Path.home() / ".pyenv")),
        "IPYTHONDIR": str(home / "ipython"),
    }


def _furnish(home: EngineHome) -> None:
    shutil.rmtree(home.folder, ignore_errors=True)
    (home.folder / "home").mkdir(parents=True)
    home.engine("kernelspec", "install", "--user")
    for python in (NEWEST, OLDER):
        path = home.folder / f"{python}.ipynb"
        made = home.engine(
            "init", path, "--python", python, "--interpreter", "host", check=python == NEWEST
        )
        if made.returncode:
            path.unlink(missing_ok=True)
        else:
            home.engine("build", path)


@contextmanager
def _alone(path: Path):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
