import os
import socket
from pathlib import Path

import pytest

from nixlib.errors import SourceError
from nixlib.sources.folder import read_folder
from nixlib.tree import Directory, walk


def names(folder, **more):
    tree = read_folder(folder, **more)
    return {path for path, node in walk(tree) if not isinstance(node, Directory)}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / "src" / "a").mkdir(parents=True)
    (tmp_path / "src" / "a" / "__init__.py").write_text("")
    return tmp_path


def test_what_is_no_part_of_the_project_stays_out(folder):
    for path in (
        ".git/config",
        "src/a/__pycache__/x.cpython-311.pyc",
        "src/a.egg-info/PKG-INFO",
        "env/pyvenv.cfg",
        "env/lib/x.py",
        "conda/conda-meta/history",
        "node_modules/x.js",
        "notebook.ipynb",
        ".ipynb_checkpoints/notebook-checkpoint.ipynb",
        ".env",
        ".netrc",
    ):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text("x")
    assert names(folder) == {"pyproject.toml", "src/a/__init__.py"}


def test_links_inside_are_kept_and_pipes_left_out(folder):
    (folder / "link").symlink_to("src/a")
    os.mkfifo(folder / "pipe")
    with socket.socket(socket.AF_UNIX) as line:
        here = Path.cwd()
        os.chdir(folder)
        line.bind("socket")
        os.chdir(here)
    assert names(folder) == {"pyproject.toml", "src/a/__init__.py", "link"}


@pytest.mark.parametrize("target", ["/etc/passwd", "../x", "src/a/../../../x"])
def test_link_that_leads_out_is_refused(folder, target):
    (folder / "link").symlink_to(target)
    with pytest.raises(SourceError, match="leads out"):
        read_folder(folder)


def test_folder_that_is_no_project_is_refused(tmp_path):
    (tmp_path / "secret").write_text("x")
    with pytest.raises(SourceError, match=r"no `pyproject\.toml`"):
        read_folder(tmp_path)
    with pytest.raises(SourceError, match="no such folder"):
        read_folder(tmp_path / "none")


def test_project_may_be_below(folder):
    (folder / "pyproject.toml").rename(folder / "src" / "pyproject.toml")
    assert "src/pyproject.toml" in names(folder, subdirectory="src")
