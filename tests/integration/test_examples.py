"""Every notebook under `examples/`, locked for this machine and run: it shows what is stored in it."""

from __future__ import annotations

import base64
import json
import shutil
from pathlib import Path

import pytest

from nixlib.testing.stand_ins import stand_ins

pytestmark = [pytest.mark.daemon, pytest.mark.network]

EXAMPLES = Path(__file__).parents[2] / "examples"
NOTEBOOKS = sorted(path.relative_to(EXAMPLES).as_posix() for path in EXAMPLES.rglob("*.ipynb"))
LOCKED = [name for name in NOTEBOOKS if not name.startswith("sources/")]
"""Those below `sources` have no lock: what stands in for their channels is no answer to anybody else."""

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module", autouse=True)
def sources(engine_home):
    """What stands in for conda-forge and nixpkgs, which the notebooks below `sources` ask."""
    with stand_ins() as variables:
        engine_home.process_env.update(variables)
        yield
        for name in variables:
            del engine_home.process_env[name]


@pytest.fixture
def locked_copy(engine_home, tmp_path):
    """A copy whose lock has a Python of this machine; skips when there is none that it asks for."""

    def copy(name):
        notebook = tmp_path / Path(name).name
        shutil.copy(EXAMPLES / name, notebook)
        lock = engine_home.engine("lock", notebook, "--json", check=False)
        answer = json.loads(lock.stdout)
        if answer.get("error", {}).get("type") == "InterpreterError":
            pytest.skip(answer["error"]["message"])
        assert lock.returncode == 0, lock.stderr
        return notebook

    return copy


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def shown(notebook):
    """What each code cell shows: its texts, and whether it draws."""
    return [
        (
            "".join(text_of(output) for output in cell["outputs"]),
            # A kernel may send what is printed in one message or in several.
            [
                "image/png" in output.get("data", {})
                for output in cell["outputs"]
                if output["output_type"] != "stream"
            ],
        )
        for cell in notebook["cells"]
        if cell["cell_type"] == "code"
    ]


def text_of(output):
    return "".join(output.get("text") or output.get("data", {}).get("text/plain", ""))


def images(notebook):
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", [])]
    return [
        base64.b64decode(output["data"]["image/png"])
        for output in outputs
        if "image/png" in output.get("data", {})
    ]


def versions(notebook):
    """What the lock says for each system and each group, whatever Python it names."""
    lock = notebook["metadata"]["nixenv"]["lock"]
    groups = {"": lock, **{group["name"]: group for group in lock.get("private", ())}}
    return {
        (group, package["name"], package["version"])
        for group, its in groups.items()
        for package in its["packages"]
    }


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_example_shows_what_is_stored_in_it(engine_home, locked_copy, tmp_path, name):
    notebook, output = locked_copy(name), tmp_path / "out.ipynb"

    engine_home.engine("run", notebook, "--output", output)

    assert any(text for text, _ in shown(read(EXAMPLES / name)))
    assert shown(read(output)) == shown(read(EXAMPLES / name))
    assert all(image.startswith(PNG) for image in images(read(output)))


@pytest.mark.parametrize("name", LOCKED)
def test_locking_an_example_again_moves_no_package(locked_copy, name):
    assert versions(read(locked_copy(name))) == versions(read(EXAMPLES / name))


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_example_holds_nothing_of_the_machine_that_made_it(name):
    notebook = read(EXAMPLES / name)
    assert not any("execution" in cell["metadata"] for cell in notebook["cells"])
    assert set(notebook["metadata"]) == {"kernelspec", "nixenv"}
    shown_texts = [text for text, _ in shown(notebook)]
    assert [text for text in shown_texts if "/" in text] == []
