"""Real headless clients: `jupyter execute`, nbclient's API, nbconvert, papermill."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.daemon, pytest.mark.network]

WHERE = "import sys; print('at', *sys.version_info[:2], sys.prefix)"


def run(home, *argv, cwd, check=True, **variables):
    """A client as a process."""
    done = subprocess.run(  # noqa: PLW1510 - checked below, with what it said
        [sys.executable, *map(str, argv)],
        cwd=cwd,
        env={**home.process_env, **variables},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0 or not check, done.stderr
    return done


def printed(path: Path) -> str:
    """All that the cells of a notebook have printed."""
    outputs = [
        output
        for cell in json.loads(path.read_text())["cells"]
        for output in cell.get("outputs", [])
    ]
    return "".join("".join(output.get("text", "")) for output in outputs)


def _execute(home, notebook, output, cwd):
    run(home, "-m", "jupyter", "execute", notebook, f"--output={output}", cwd=cwd)


def _nbconvert(home, notebook, output, cwd):
    run(
        home,
        "-m",
        "nbconvert",
        "--to",
        "notebook",
        "--execute",
        notebook,
        "--output",
        output,
        cwd=cwd,
    )


def _papermill(home, notebook, output, cwd):
    run(home, "-m", "papermill", notebook, output, "--no-progress-bar", cwd=cwd)


def _papermill_cwd(home, notebook, output, cwd):
    run(home, "-m", "papermill", "--cwd", notebook.parent, notebook, output, cwd=cwd)


API = """
import sys, nbformat
from nbclient import NotebookClient
nb = nbformat.read(sys.argv[1], as_version=4)
NotebookClient(nb, kernel_name="nixenv").execute()
nbformat.write(nb, sys.argv[2])
"""


def _api(home, notebook, output, cwd):
    run(home, "-c", API, notebook, output, cwd=cwd)


SYNCHRONOUS = API.replace(
    "NotebookClient(nb,",
    "NotebookClient(nb, kernel_manager_class='jupyter_client.manager.KernelManager',",
)


def _synchronous_manager(home, notebook, output, cwd):
    run(home, "-c", SYNCHRONOUS, notebook, output, cwd=cwd)


CLIENTS = [_execute, _nbconvert, _papermill, _papermill_cwd, _api, _synchronous_manager]


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.__name__[1:])
def test_notebook_runs_in_its_own_environment(engine_home, tmp_path, older_python, client):
    notebook = engine_home.notebook(tmp_path / "sub" / "a.ipynb", WHERE, python=older_python)
    output = tmp_path / "out.ipynb"

    client(engine_home, notebook, output, tmp_path)

    assert printed(output).startswith("at 3 9 ")
    assert str(engine_home.folder / "store") in printed(output)
    assert (
        json.loads(output.read_text())["metadata"]["nixenv"]
        == json.loads(notebook.read_text())["metadata"]["nixenv"]
    )


@pytest.mark.parametrize(
    "client", [_execute, _nbconvert, _papermill], ids=lambda client: client.__name__[1:]
)
def test_package_added_while_running_is_in_the_output_notebook(engine_home, tmp_path, client):
    notebook = engine_home.notebook(
        tmp_path / "a.ipynb", "%nixenv add six", "import six; print('six is', six.__name__)"
    )
    before = notebook.read_text()
    output = tmp_path / "out.ipynb"

    client(engine_home, notebook, output, tmp_path)

    written = json.loads(output.read_text())["metadata"]["nixenv"]
    assert "six is six" in printed(output)
    assert written["requirements"] == ["six"]
    assert "six" in [package["name"] for package in written["lock"]["packages"]]
    assert notebook.read_text() == before
    # The next run starts in what this one has made.
    again = tmp_path / "again.ipynb"
    client(engine_home, output, again, tmp_path)
    assert "six is six" in printed(again)


def test_package_added_before_a_failing_cell_is_in_the_output_notebook(engine_home, tmp_path):
    notebook = engine_home.notebook(tmp_path / "a.ipynb", "%nixenv add six", "1 / 0")
    output = tmp_path / "out.ipynb"

    done = run(engine_home, "-m", "papermill", notebook, output, cwd=tmp_path, check=False)

    assert done.returncode != 0
    assert json.loads(output.read_text())["metadata"]["nixenv"]["requirements"] == ["six"]


BAD = {
    "stale lock": ({"requirements": ["six"]}, "LockStaleError"),
    "unknown key": ({"requirments": []}, "SpecError"),
    "damaged lock": ({"lock": {"layout": 1}}, "LockError"),
}


@pytest.mark.parametrize(("changes", "kind"), BAD.values(), ids=BAD)
def test_run_fails_when_there_is_no_environment(engine_home, tmp_path, changes, kind):
    notebook = engine_home.notebook(tmp_path / "a.ipynb", "open('witness', 'w')", **changes)

    done = run(engine_home, "-m", "jupyter", "execute", notebook, cwd=tmp_path, check=False)

    assert done.returncode != 0
    assert kind in done.stderr
    assert not (tmp_path / "witness").exists()


BARE_API = """
import sys, nbformat
from nbclient import NotebookClient
NotebookClient(nbformat.read(sys.argv[1], 4), kernel_name="nixenv").execute()
"""


@pytest.mark.parametrize(
    ("program", "name"),
    [
        (("-m", "papermill", "{}", "o.ipynb"), "a.ipynb"),
        (("-m", "jupyter", "execute", "{}"), "a.ipynb"),
        (("-c", BARE_API, "{}"), "this notebook"),
    ],
    ids=["papermill", "execute", "api"],
)
def test_run_without_metadata_fails_and_names_the_notebook(engine_home, tmp_path, program, name):
    notebook = engine_home.notebook(tmp_path / "sub" / "a.ipynb", "1")
    value = json.loads(notebook.read_text())
    del value["metadata"]["nixenv"]
    notebook.write_text(json.dumps(value))

    argv = [word.format("sub/a.ipynb") if word == "{}" else word for word in program]
    done = run(engine_home, *argv, cwd=tmp_path, check=False)

    assert done.returncode != 0
    assert f"`{name}` does not say what environment it needs" in done.stderr


def test_override_decides_the_environment_and_the_output_gets_it(
    engine_home, tmp_path, older_python
):
    notebook = engine_home.notebook(tmp_path / "a.ipynb", WHERE)
    other = engine_home.notebook(tmp_path / "other.ipynb", python=older_python)

    run(
        engine_home,
        "-m",
        "jupyter",
        "execute",
        notebook,
        "--output=out",
        cwd=tmp_path,
        NIXENV_NOTEBOOK=str(other),
    )

    assert printed(tmp_path / "out.ipynb").startswith("at 3 9 ")


def test_progress_of_a_build_is_on_standard_error(engine_home, tmp_path):
    notebook = engine_home.notebook(tmp_path / "a.ipynb", WHERE)

    done = run(
        engine_home,
        *("-m", "jupyter", "execute", notebook, "--output=out"),
        cwd=tmp_path,
        XDG_STATE_HOME=str(tmp_path / "state"),
    )

    assert (
        "adding to the store" in done.stderr
        or "composing" in done.stderr
        or "downloading" in done.stderr
    )
    assert printed(tmp_path / "out.ipynb").startswith("at 3 11 ")


def test_nothing_is_left_in_the_temporary_folder(engine_home, tmp_path):
    notebook = engine_home.notebook(tmp_path / "a.ipynb", WHERE)
    temporary = tmp_path / "tmp"
    temporary.mkdir()

    run(engine_home, "-m", "jupyter", "execute", notebook, cwd=tmp_path, TMPDIR=str(temporary))

    assert [path.name for path in temporary.iterdir() if path.name.startswith("nixenv-")] == []
