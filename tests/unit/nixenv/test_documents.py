from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from nixenv.errors import NotebookNotFoundError
from nixenv.notebook.notebookpath import Place, Posted, contents_path, find_notebook, local_notebook
from nixenv.server.documents import Documents, find_posted, note_file, posted
from nixenv.server.requests import Word
from nixenv.server.shared import share

SPEC = {"version": 1, "requirements": ["six"]}


class Kernels:
    """The server's kernel manager, as far as it knows about folders."""

    def __init__(self, root: Path) -> None:
        self.root_dir = str(root)
        self.parent = SimpleNamespace(web_app=SimpleNamespace(settings={}))

    def cwd_for_path(self, path):
        folder = Path(self.root_dir, path)
        while not folder.is_dir():
            folder = folder.parent
        return str(folder)


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("NIXENV_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "root"
    for name in ("sub/a.ipynb", "other/a.ipynb", "b.ipynb"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("{}")
    return root


@pytest.fixture
def documents():
    return Documents()


@pytest.fixture
def kernels(root, documents):
    kernels = Kernels(root)
    share(kernels.parent, documents)
    return kernels


def word(nixenv=SPEC, *, dirty=True, size=10) -> Word:
    return Word(nixenv, dirty, size)


# What is announced, what the server says of the kernel, and which of the announced it must be.
TOLD = {
    "the notebook": (["sub/a.ipynb", "other/a.ipynb"], "sub/a.ipynb", ["sub/a.ipynb"]),
    "relative": (["sub/a.ipynb"], "sub/a.ipynb", ["sub/a.ipynb"]),
    "on a drive": (["RTC:sub/a.ipynb"], "a.ipynb", ["RTC:sub/a.ipynb"]),
    "on another server's drive": (["s3:x/y/z.ipynb"], "z.ipynb", ["s3:x/y/z.ipynb"]),
    "not saved yet": (["sub/new.ipynb"], "sub/new.ipynb", ["sub/new.ipynb"]),
    "two on a drive": (
        ["RTC:sub/a.ipynb", "RTC:other/a.ipynb"],
        "a.ipynb",
        ["RTC:sub/a.ipynb", "RTC:other/a.ipynb"],
    ),
    "on a drive, and a file of that name": (
        ["RTC:sub/b.ipynb"],
        "b.ipynb",
        ["RTC:sub/b.ipynb", "b.ipynb"],
    ),
    "in a folder without a drive": (["sub/a.ipynb"], "other/a.ipynb", []),
    "in the root, open elsewhere": (["sub/a.ipynb"], "a.ipynb", []),
    "another name": (["sub/a.ipynb"], "b.ipynb", []),
    "a folder": (["sub/a.ipynb"], "sub/", []),
    "nothing": (["sub/a.ipynb"], "", []),
}


@pytest.mark.parametrize(("announced", "said", "found"), TOLD.values(), ids=TOLD)
@pytest.mark.parametrize("is_absolute", [True, False])
def test_kernel_belongs_to_the_notebook_that_the_server_means(
    root, kernels, documents, announced, said, found, is_absolute
):
    for path in announced:
        documents.announce(path, word())
    name = f"{root}/{said}" if is_absolute and said else said

    assert [one.contents for one in find_posted(kernels, "", name)] == found


def test_session_is_sure(root, kernels, documents):
    for path in ("RTC:sub/a.ipynb", "RTC:other/a.ipynb"):
        documents.announce(path, word())

    (one,) = find_posted(kernels, "RTC:other/a.ipynb", f"{root}/a.ipynb")
    none = find_posted(kernels, "gone/a.ipynb", f"{root}/a.ipynb")

    assert (one.contents, one.path) == ("RTC:other/a.ipynb", root / "other/a.ipynb")
    assert none == ()


def test_server_without_the_extension_posts_nothing(root):
    assert find_posted(Kernels(root), "sub/a.ipynb", str(root / "sub/a.ipynb")) == ()


def test_notebook_that_its_page_shows_comes_before_the_session(root):
    page = Posted("RTC:sub/a.ipynb", path=root / "sub/a.ipynb")
    said = {"JPY_SESSION_NAME": str(root / "b.ipynb")}
    place = Place(cwd=root, said=said, inherited={}, root_dir=root, posted=(page,))

    found = find_notebook(place)

    assert (found.source, found.path, found.posted) == ("page", root / "sub/a.ipynb", page)
    assert contents_path(place, found) == "RTC:sub/a.ipynb"


def test_override_comes_before_the_page(root):
    said = {"NIXENV_NOTEBOOK": str(root / "b.ipynb")}
    two = (Posted("x/a.ipynb"), Posted("y/a.ipynb"))

    assert find_notebook(Place(cwd=root, said=said, inherited={}, posted=two)).source == "override"


def test_two_that_could_be_meant_are_an_error(root):
    (root / "nixenv.toml").write_text("version = 1")
    two = (Posted("x/a.ipynb"), Posted("y/a.ipynb"))

    with pytest.raises(NotebookNotFoundError) as caught:
        find_notebook(Place(cwd=root, said={}, inherited={}, posted=two))

    assert caught.value.tried == ("`x/a.ipynb`", "`y/a.ipynb`")


LOCAL = {
    "sub/a.ipynb": "sub/a.ipynb",
    "RTC:sub/a.ipynb": "sub/a.ipynb",
    "s3:sub/a.ipynb": None,
    "sub": None,
    "sub/a.txt": None,
    "x" * 300 + ".ipynb": None,
}


@pytest.mark.parametrize(("contents", "file"), LOCAL.items())
def test_file_of_a_contents_path(root, contents, file):
    (root / "sub/a.txt").touch()

    assert local_notebook(root, contents) == (file and root / file)


def test_contents_path_of_a_session(root):
    said = {"JPY_SESSION_NAME": str(root / "sub/a.ipynb")}
    first = Place(cwd=root, said=said, inherited={}, root_dir=root)
    outside = Place(cwd=root, said=said, inherited={}, root_dir=root / "other")
    again = Place(cwd=root, said=said, inherited={}, root_dir=root, session="sub/a.ipynb")

    paths = [contents_path(place, find_notebook(place)) for place in (first, outside, again)]

    assert paths == ["sub/a.ipynb", "", "sub/a.ipynb"]


def test_new_word_replaces_the_old_and_closing_forgets(documents):
    documents.announce("a.ipynb", word(dirty=True))
    documents.announce("a.ipynb", word(None, dirty=False))

    assert len(documents) == 1
    assert documents.find("a.ipynb").word == word(None, dirty=False)
    documents.withdraw("a.ipynb")
    documents.withdraw("a.ipynb")
    assert documents.find("a.ipynb") is None


def test_oldest_words_are_forgotten_when_there_are_too_many():
    documents = Documents(limit=3)
    for number in range(3):
        documents.announce(f"{number}.ipynb", word())
    documents.announce("0.ipynb", word())
    documents.announce("3.ipynb", word())

    assert [documents.find(f"{number}.ipynb") is not None for number in range(4)] == [
        True,
        False,
        True,
        True,
    ]


def test_oldest_words_are_forgotten_when_they_are_too_long():
    documents = Documents(room=100)
    for number in range(3):
        documents.announce(f"{number}.ipynb", word(size=45))

    assert len(documents) == 2
    assert documents.find("0.ipynb") is None


def test_file_that_was_written_since_has_the_last_word(root, documents):
    announced = documents.announce("sub/a.ipynb", word())
    note_file(announced, root)
    before = posted(announced, root).leads
    (root / "sub/a.ipynb").write_text('{"metadata": {}}')

    assert before
    assert not posted(announced, root).leads


def test_file_that_comes_and_goes_does_not_unsay_what_the_page_said(root, documents):
    announced = documents.announce("sub/new.ipynb", word())
    note_file(announced, root)
    (root / "sub/new.ipynb").write_text("{}")
    came = posted(announced, root).leads
    note_file(announced, root)
    (root / "sub/new.ipynb").unlink()

    gone = posted(announced, root)

    assert came
    assert (gone.leads, gone.path) == (True, None)


def test_mailbox_is_shared_and_gone_with_the_last_who_has_it(root, documents):
    announced = documents.announce("sub/a.ipynb", word())
    first, second = (posted(announced, root).lend() for _ in range(2))
    value = json.loads(first.path.read_text())
    first.remove()
    first.remove()
    documents.withdraw("sub/a.ipynb")
    kept = second.path.exists()
    second.remove()

    assert first.path == second.path
    assert value == {"notebook": "a.ipynb", "nixenv": SPEC}
    assert kept
    assert not second.path.exists()


def test_mailbox_keeps_a_lock_for_the_next_start_from_the_same_value(root, documents):
    first = posted(documents.announce("sub/a.ipynb", word()), root).lend()
    first.path.write_text(json.dumps({"nixenv": {**SPEC, "lock": {}}}))
    first.remove()
    same = posted(documents.announce("sub/a.ipynb", word(dict(SPEC))), root).lend()
    locked = "lock" in same.path.read_text()
    other = posted(documents.announce("sub/a.ipynb", word({**SPEC, "python": "3.9"})), root).lend()

    assert same.path == first.path
    assert locked
    assert other.path != first.path
    same.remove()
    assert not same.path.exists()


def test_mailbox_that_somebody_tidied_away_is_made_again(root, documents):
    announced = documents.announce("sub/a.ipynb", word())
    first = posted(announced, root).lend()
    first.path.unlink()
    first.remove()

    assert posted(announced, root).lend().path.exists()
