from __future__ import annotations

import os
from pathlib import Path

import pytest

from nixenv.watch.scan import document_of, scan, stamp_of


def tree(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("{}")


def found(root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in scan(root).documents}


def test_scan_finds_notebooks_and_projects_and_nothing_hidden(tmp_path):
    tree(tmp_path, "a.ipynb", "sub/b.ipynb", "sub/nixenv.toml", "sub/nixenv.lock", "c.py", "d.json")
    tree(tmp_path, ".ipynb_checkpoints/a-checkpoint.ipynb", ".git/e.ipynb", ".~f.ipynb")

    assert found(tmp_path) == {"a.ipynb", "sub/b.ipynb", "sub/nixenv.toml"}


def test_scan_looks_into_a_hidden_folder_that_is_the_root(tmp_path):
    tree(tmp_path, ".work/a.ipynb")

    assert found(tmp_path / ".work") == {"a.ipynb"}


def test_scan_survives_loops_of_links_and_strange_files(tmp_path):
    tree(tmp_path, "sub/a.ipynb", "folder.ipynb/b.ipynb")
    (tmp_path / "sub" / "up").symlink_to(tmp_path)
    (tmp_path / "self.ipynb").symlink_to("self.ipynb")
    (tmp_path / "gone.ipynb").symlink_to("nowhere.ipynb")
    (tmp_path / "link.ipynb").symlink_to("sub/a.ipynb")
    os.mkfifo(tmp_path / "pipe.ipynb")
    (tmp_path / "new\nline \udcff.ipynb").write_text("{}")

    assert found(tmp_path) == {
        "sub/a.ipynb",
        "folder.ipynb/b.ipynb",
        "link.ipynb",
        "new\nline \udcff.ipynb",
    }


def test_scan_of_a_root_that_is_none_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        scan(tmp_path / "nowhere")
    tree(tmp_path, "a.ipynb")
    with pytest.raises(NotADirectoryError):
        scan(tmp_path / "a.ipynb")


def test_scan_ends_when_it_is_told_to(tmp_path):
    tree(tmp_path, "sub/a.ipynb")

    def stop():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scan(tmp_path, stop)


@pytest.fixture
def nobody(tmp_path):
    """For the length of a test, this process is a user who may read only what all may."""
    if os.getuid() != 0:
        pytest.skip("only root can be somebody else for a moment")
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_mode & 0o005 != 0o005:
            folder.chmod(folder.stat().st_mode | 0o055)
    yield lambda: os.seteuid(65534)
    os.seteuid(0)


def test_scan_names_folders_that_cannot_be_read_and_goes_on(tmp_path, nobody):
    tree(tmp_path, "a.ipynb", "closed/b.ipynb", "more/c.ipynb")
    (tmp_path / "closed").chmod(0o700)
    nobody()

    seen = scan(tmp_path)

    assert {path.name for path in seen.documents} == {"a.ipynb", "c.ipynb"}
    assert seen.closed == {tmp_path / "closed": "permission denied"}


def test_stamp_changes_with_the_file_and_with_the_lock_of_a_project(tmp_path):
    tree(tmp_path, "nixenv.toml")
    first = stamp_of(tmp_path / "nixenv.toml")
    assert first == stamp_of(tmp_path / "nixenv.toml")
    tree(tmp_path, "nixenv.lock")
    second = stamp_of(tmp_path / "nixenv.toml")
    (tmp_path / "nixenv.lock").write_text("{ }")

    assert len({first, second, stamp_of(tmp_path / "nixenv.toml")}) == 3
    assert stamp_of(tmp_path / "nowhere.ipynb") is None


@pytest.mark.parametrize(
    ("name", "document"),
    [
        ("a.ipynb", "a.ipynb"),
        ("sub/nixenv.toml", "sub/nixenv.toml"),
        ("sub/nixenv.lock", "sub/nixenv.toml"),
        ("a.py", None),
        ("other.toml", None),
        (".ipynb_checkpoints/a.ipynb", None),
        ("sub/.git/a.ipynb", None),
        (".a.ipynb", None),
        ("../elsewhere/a.ipynb", None),
    ],
)
def test_change_of_a_file_is_about_a_document(name, document):
    root = Path("/home/.ana/work")
    path = Path(os.path.normpath(root / name))

    assert document_of(path, root) == (root / document if document else None)
