from __future__ import annotations

import asyncio
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from nixenv.errors import MetadataError, NotebookNotFoundError
from nixenv.notebook.notebookpath import Place, client_name, find_client, find_notebook


@pytest.fixture
def root(tmp_path):
    (tmp_path / "sub").mkdir()
    for name in ("sub/a.ipynb", "sub/renamed.ipynb", "other.ipynb"):
        (tmp_path / name).write_text("{}")
    return tmp_path


def place(root: Path, said=None, **more) -> Place:
    fields = {"cwd": root / "sub", "inherited": {}, "root_dir": root, **more}
    return Place(said={} if said is None else {"JPY_SESSION_NAME": said}, **fields)


# One line for each client that was measured: what it sends, and what that is worth.
FOUND = {
    "JupyterLab and Notebook 7": ("{root}/sub/a.ipynb", {}, "sub/a.ipynb"),
    "renamed and restarted": (
        "{root}/sub/renamed.ipynb",
        {"session": "sub/renamed.ipynb"},
        "sub/renamed.ipynb",
    ),
    "classic, restarted": ("{root}/sub/", {"session": "sub/a.ipynb"}, "sub/a.ipynb"),
    "client omitting name": ("sub/a.ipynb", {}, "sub/a.ipynb"),
    "drive prefix, restarted": (
        "{root}/other.ipynb",
        {"session": "RTC:sub/a.ipynb"},
        "sub/a.ipynb",
    ),
    "nbclient API": ("{root}/sub/a.ipynb", {"root_dir": None}, "sub/a.ipynb"),
}


@pytest.mark.parametrize(("said", "more", "found"), FOUND.values(), ids=FOUND)
def test_notebook_is_found_in_the_session(root, said, more, found):
    answer = find_notebook(place(root, said.format(root=root), **more))

    assert (answer.source, answer.path) == ("session", root / found)


UNKNOWN = {
    "classic, first start": ("{root}/sub/", "is a folder"),
    "VS Code to a remote server": ("{root}/a-5f0c.ipynb", "does not exist on this machine"),
    "Lab console": ("{root}/sub/Console 1", "does not exist on this machine"),
    "a file that is no notebook": ("{root}/sub/notes.md", "is not a notebook"),
    "kernels without a session": (None, "is not set"),
}


@pytest.mark.parametrize(("said", "reason"), UNKNOWN.values(), ids=UNKNOWN)
def test_notebook_stays_unknown(root, said, reason):
    (root / "sub/notes.md").write_text("")

    with pytest.raises(NotebookNotFoundError) as caught:
        find_notebook(place(root, said and said.format(root=root)))

    assert reason in caught.value.tried[0]
    assert "nixenv.toml" in caught.value.tried[-1]


@pytest.mark.parametrize(("said", "_"), UNKNOWN.values(), ids=UNKNOWN)
def test_project_is_used_when_the_notebook_is_unknown(root, said, _):
    (root / "nixenv.toml").write_text("version = 1")

    answer = find_notebook(place(root, said and said.format(root=root)))

    assert (answer.source, answer.path) == ("project", root / "nixenv.toml")


@pytest.mark.parametrize("where", ["said", "inherited"])
def test_override_comes_first(root, where):
    override = {"NIXENV_NOTEBOOK": "../other.ipynb"}
    said = {"JPY_SESSION_NAME": str(root / "sub/a.ipynb")}
    given = {"said": said, "inherited": {}}
    given[where] = {**given[where], **override}

    answer = find_notebook(Place(cwd=root / "sub", root_dir=root, **given))

    assert answer.source == "override"
    assert answer.path.resolve() == root / "other.ipynb"


def test_override_that_is_not_there_is_an_error(root):
    with pytest.raises(MetadataError) as caught:
        find_notebook(place(root, inherited={"NIXENV_NOTEBOOK": str(root / "gone.ipynb")}))

    assert caught.value.key == "NIXENV_NOTEBOOK"


def test_session_of_an_outer_kernel_is_not_believed(root):
    outer = str(root / "sub/a.ipynb")

    with pytest.raises(NotebookNotFoundError) as caught:
        find_notebook(place(root, outer, root_dir=None, inherited={"JPY_SESSION_NAME": outer}))

    assert "outer kernel" in caught.value.tried[0]


def test_voila_says_it_as_a_script_name(root):
    said = {"SERVER_SOFTWARE": "voila/0.5.8", "SCRIPT_NAME": "/voila/render/sub/a%2Eipynb"}

    answer = find_notebook(Place(cwd=root / "sub", said=said, inherited={}))

    assert answer.path == root / "sub/a.ipynb"


class Waiting:
    """A kernel manager that only looks who starts it."""

    parent = None
    has_kernel = False
    ipykernel = False

    async def start_kernel(self, **_):
        self.found = find_client(self)

    async def cleanup_resources(self):
        pass


def test_client_that_starts_the_kernel_is_found():
    manager = Waiting()
    client = NotebookClient(nbformat.v4.new_notebook(), km=manager)

    asyncio.run(client.async_start_new_kernel())

    assert manager.found is client


def test_client_of_another_manager_is_not_found():
    other = NotebookClient(nbformat.v4.new_notebook(), km=Waiting())
    manager = Waiting()

    asyncio.run(manager.start_kernel(), debug=False)

    assert other.km is not manager
    assert manager.found is None


def test_client_is_asked_what_its_notebook_is_called():
    nb = nbformat.v4.new_notebook()
    named = NotebookClient(nb, resources={"metadata": {"name": "a", "path": "/x"}})
    assert client_name(named) == "a.ipynb"
    assert client_name(NotebookClient(nb)) == ""
    nb.metadata["papermill"] = {"input_path": "/x/b.ipynb"}
    assert client_name(NotebookClient(nb)) == "/x/b.ipynb"
