"""The only notebook of a folder."""

import json

import pytest

from nixenv.bootstrap.folder import only_notebook
from nixenv.errors import NotebookNotFoundError


def notebook(folder, name, **metadata):
    path = folder / name
    value = {"cells": [], "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    path.write_text(json.dumps(value))
    return path


def test_only_one_with_an_environment_is_found(tmp_path):
    notebook(tmp_path, "plain.ipynb")
    notebook(tmp_path, "speaks of it.ipynb", kernelspec={"name": "nixenv", "nixenv": None})
    (tmp_path / "broken.ipynb").write_text('{"nixenv"')
    (tmp_path / "folder.ipynb").mkdir()
    expected = notebook(tmp_path, "a.ipynb", nixenv={"version": 1})
    assert only_notebook(tmp_path) == expected


def test_folder_without_one_has_none(tmp_path):
    notebook(tmp_path, "plain.ipynb")
    assert only_notebook(tmp_path) is None


def test_one_of_two_is_never_chosen(tmp_path):
    for name in ("a.ipynb", "b.ipynb"):
        notebook(tmp_path, name, nixenv={"version": 1})
    with pytest.raises(NotebookNotFoundError) as caught:
        only_notebook(tmp_path)
    assert "`a.ipynb`" in caught.value.render()
    assert "`b.ipynb`" in caught.value.render()
