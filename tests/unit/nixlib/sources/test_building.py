"""What a build of a stranger's source may leave in its output."""

import pytest

from nixlib.errors import SourceBuildError
from nixlib.lock import LockedSource
from nixlib.sources.building import output_file
from nixlib.sources.source import OpenedSource
from nixlib.storepath import StorePath

OPENED = OpenedSource(
    LockedSource("path", location="./a"), (), StorePath.parse(f"{'0' * 32}-a"), name="a"
)


def test_file_of_an_output_is_read(tmp_path):
    (tmp_path / "result.json").write_bytes(b"{}")
    assert output_file(OPENED, tmp_path / "result.json", 2) == b"{}"


def linked(folder):
    (folder.parent / "secret").write_text("{}")
    folder.mkdir()
    (folder / "result.json").symlink_to("../secret")


def linked_folder(folder):
    (folder.parent / "other").mkdir()
    (folder.parent / "other" / "result.json").write_text("{}")
    folder.symlink_to("other")


def absent(folder):
    folder.mkdir()


@pytest.mark.parametrize("made", [linked, linked_folder, absent])
def test_output_without_a_file_of_its_own_is_refused(tmp_path, made):
    made(tmp_path / "out")
    with pytest.raises(SourceBuildError) as caught:
        output_file(OPENED, tmp_path / "out" / "result.json", 100)
    assert caught.value.details == ("it left no file `result.json`",)
    assert caught.value.package == "a"


def test_output_that_would_fill_the_memory_is_refused_unread(tmp_path):
    with (tmp_path / "a-1-py3-none-any.whl").open("wb") as file:
        file.truncate(4 << 40)
    with pytest.raises(SourceBuildError) as caught:
        output_file(OPENED, tmp_path / "a-1-py3-none-any.whl", 4 << 30)
    assert "more than" in caught.value.details[0]
