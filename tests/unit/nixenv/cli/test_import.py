"""Where an imported file's notebook is, and where its channels are as seen from there."""

import importlib
from pathlib import Path

import pytest

from nixenv.errors import MetadataError
from nixlib.condafile import ImportedFile
from nixlib.spec import Spec

verb = importlib.import_module("nixenv.cli.import_")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("analysis", "analysis.ipynb"),
        ("", "environment.ipynb"),
        ("..", "environment.ipynb"),
        ("a/b", "environment.ipynb"),
        ("a\nb", "environment.ipynb"),
        ("größe 1", "größe 1.ipynb"),
    ],
)
def test_notebook_is_called_as_the_environment_where_that_is_a_name(name, expected):
    found = verb._beside(Path("folder/environment.yml"), ImportedFile(Spec(), name))
    assert found == Path("folder") / expected


@pytest.mark.parametrize(
    ("channel", "after", "expected"),
    [
        ("./channel", "folder", "./channel"),
        ("./channel", ".", "./folder/channel"),
        ("../channel", "folder/sub", "../../channel"),
        ("conda-forge", "elsewhere", "conda-forge"),
        ("file:///srv/channel", "elsewhere", "file:///srv/channel"),
    ],
)
def test_folder_of_a_channel_stays_the_same_folder(channel, after, expected):
    moved = verb._moved(Spec(channels=(channel,)), Path("folder"), Path(after))
    assert moved.channels == (expected,)


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"])
def test_file_that_cannot_be_read_is_named(tmp_path, content):
    file = tmp_path / "environment.yml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(MetadataError) as caught:
        verb._read(file)
    assert str(file) in caught.value.summary


@pytest.mark.parametrize(
    ("line", "after", "expected"),
    [
        ("-e .", "folder", "-e ."),
        ("-e .", ".", "-e ./folder"),
        ("./lib[plots]", "folder/sub", "../lib[plots]"),
        ("lib @ ../lib", ".", "lib @ ./lib"),
        ("six==1.17.0", "elsewhere", "six==1.17.0"),
        ("numpy *", "elsewhere", "numpy *"),
    ],
)
def test_folder_of_a_project_stays_the_same_folder(line, after, expected):
    moved = verb._moved(Spec(requirements=(line,)), Path("folder"), Path(after))
    assert moved.requirements == (expected,)
