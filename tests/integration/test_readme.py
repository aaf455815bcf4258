"""What the README tells people to type, typed.

A block below `<!-- test: commands -->` runs in a shell, one below `<!-- test: cell -->` in a notebook, in
the order of the page and in one folder. `STAND_INS` has what a test cannot do as it is written.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

README = Path(__file__).parents[2] / "README.md"

STAND_INS = {
    # `make test` has done this already, into the environment that the tests run in.
    "pipx install .": "command -v nixenv",
    # A browser would have to be closed again; the same kernel is started for this client.
    "jupyter lab analysis.ipynb": "jupyter execute --inplace analysis.ipynb",
}


def blocks(kind):
    """Every marked block of the README, as its lines without comments."""
    found = re.findall(
        rf"<!-- test: {kind} -->\n```[a-z]*\n(.*?)```", README.read_text(), re.DOTALL
    )
    return [[re.sub(r"\s+# .*", "", line).strip() for line in text.splitlines()] for text in found]


def commands():
    return [
        part.strip() for block in blocks("commands") for line in block for part in line.split("&&")
    ]


@pytest.fixture(scope="module")
def folder(engine_home, tmp_path_factory):
    """Where the README's reader is: a home, a folder, Jupyter and nixenv on PATH, and nothing else."""
    place = tmp_path_factory.mktemp("reader")
    env = {
        name: value
        for name, value in engine_home.process_env.items()
        if not name.startswith("XDG_")
    }
    return place, {**env, "HOME": str(place)}


def shell(folder, script):
    place, env = folder
    argv = ["bash", "-euo", "pipefail", "-c", script]
    run = subprocess.run(argv, cwd=place, env=env, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr + run.stdout
    return run.stdout


def test_every_stand_in_stands_in_for_something():
    assert set(STAND_INS) <= set(commands())


@pytest.fixture(scope="module")
def typed(folder):
    """The folder once every marked command has run in it, whichever test comes first."""
    for block in blocks("commands"):
        script = "\n".join(
            " && ".join(STAND_INS.get(part.strip(), part.strip()) for part in line.split("&&"))
            for line in block
        )
        shell(folder, script)
    return folder


def test_marked_commands_run(typed):
    metadata = json.loads((typed[0] / "analysis.ipynb").read_text())["metadata"]
    assert metadata["nixenv"]["requirements"] == ["pandas==1.5", "matplotlib"]


def test_marked_cells_run_in_the_readmes_notebook(typed):
    folder = typed
    notebook = nbformat.read(folder[0] / "analysis.ipynb", as_version=4)
    lines = [line for block in blocks("cell") for line in block if line]
    lines.append("import pandas; print(pandas.__version__, pd_newer.__version__)")
    notebook.cells = [nbformat.v4.new_code_cell(line) for line in lines]
    nbformat.write(notebook, folder[0] / "cells.ipynb")
    shell(folder, "nixenv run cells.ipynb --output done.ipynb")
    done = json.loads((folder[0] / "done.ipynb").read_text())
    assert "seaborn" in done["metadata"]["nixenv"]["requirements"]
    assert done["metadata"]["nixenv"]["private"] == {"newer": ["pandas==2.0.3"]}
    assert done["cells"][-1]["outputs"][0]["text"] == ["1.5.0 2.0.3\n"]


@pytest.mark.parametrize("line", sorted(set(re.findall(r"`(nixenv [^`]+)`", README.read_text()))))
def test_every_command_line_that_is_mentioned_is_one(line):
    """By its verb and its options; operands are often left out in a sentence."""
    verb, *rest = re.findall(r"[\w-]+", line.removeprefix("nixenv "))
    help_text = subprocess.run(
        [sys.executable, "-m", "nixenv", verb, "--help"], capture_output=True, text=True, check=True
    ).stdout
    options = [word for word in rest if word.startswith("--") and word != "--"]
    assert [option for option in options if option not in help_text] == []
