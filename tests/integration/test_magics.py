"""`%nixenv` in real kernels, in environments that the real engine made, on an old and a new Python."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest
from live_kernel import close_event_loop, kernel_for, locked  # noqa: F401

from nixenv.server.launch import LAUNCHER

pytestmark = [pytest.mark.daemon, pytest.mark.network, pytest.mark.slow]


@pytest.fixture
def notebook(locked, tmp_path) -> Path:  # noqa: F811
    path = tmp_path / "analysis.ipynb"
    path.write_bytes(locked.read_bytes())
    return path


@pytest.fixture
def kernel(notebook, engine_home):
    with kernel_for(notebook, engine_home) as running:
        yield running


def spec_of(notebook: Path) -> dict:
    return json.loads(notebook.read_text())["metadata"]["nixenv"]


def test_a_command_runs_while_garbage_is_collected(kernel):
    """ipykernel's own callback of the collector stopped a forked child for ever on Python 3.8."""
    kernel.run("import gc; gc.set_threshold(1)")
    assert kernel.run("!echo done").stream.strip() == "done"


def test_add_makes_a_package_importable_in_the_next_cell(kernel, notebook):
    before = kernel.value("__import__('sys').prefix")
    assert kernel.run("import toolz").error["ename"] == "ModuleNotFoundError"
    cell = kernel.run('%nixenv add "toolz >=0.11" colorama')
    assert not cell.error, cell.error
    assert any("resolving" in text for text in cell.displays)
    assert "ready: no restart is needed" in cell.displays[-1].splitlines()
    assert kernel.run("import toolz, colorama, six").error == {}
    assert spec_of(notebook)["requirements"] == ["six", "toolz >=0.11", "colorama"]
    after = kernel.value("__import__('sys').prefix")
    assert after != before
    assert kernel.value("toolz.__file__").startswith(str(after))
    assert kernel.value("__import__('importlib.metadata').metadata.version('colorama')")
    # Children of every kind are in the new environment.
    assert kernel.run("!python -c 'import toolz; print(1 + 1)'").stream.strip() == "2"
    spawned = kernel.run(
        "import multiprocessing\n"
        "with multiprocessing.get_context('spawn').Pool(1) as pool:\n"
        "    print(pool.map(toolz.identity, [3]))"
    )
    assert spawned.stream.strip() == "[3]"


def test_added_package_is_there_after_a_restart(kernel, notebook, engine_home):
    kernel.run("%nixenv add toolz")
    with kernel_for(notebook, engine_home) as restarted:
        assert restarted.run("import toolz").error == {}


def test_cell_magic_adds_with_markers(kernel, notebook):
    cell = kernel.run('%%nixenv add\ntoolz\nnumpy; python_version < "3"  # never\n')
    assert not cell.error, cell.error
    assert kernel.run("import toolz").error == {}
    assert spec_of(notebook)["requirements"] == ["six", "toolz", 'numpy; python_version < "3"']


def test_loaded_module_stands_in_the_way_of_another_version(kernel, notebook):
    kernel.run("import six")
    loaded = kernel.value("six.__version__")
    cell = kernel.run("%nixenv add six==1.15.0 toolz")
    assert not cell.error, cell.error
    (said,) = [line for line in cell.displays[-1].splitlines() if "stays as it is" in line]
    assert f"`six` {loaded} becomes 1.15.0, but its module `six` is loaded" in said
    assert kernel.run("import toolz").error["ename"] == "ModuleNotFoundError"
    assert kernel.value("six.__version__") == loaded


def test_version_changes_live_when_nothing_of_it_is_loaded(kernel):
    cell = kernel.run("%nixenv add colorama==0.4.4")
    assert "ready: no restart is needed" in cell.displays[-1]
    cell = kernel.run("%nixenv add colorama==0.4.6")
    assert ["~", "colorama", "0.4.4", "→", "0.4.6"] in map(
        str.split, cell.displays[-1].splitlines()
    )
    assert kernel.value("__import__('colorama').__version__") == "0.4.6"


def test_remove_takes_a_package_away_unless_it_is_loaded(kernel, notebook):
    kernel.run("%nixenv add toolz colorama")
    kernel.run("import colorama")
    assert "ready: no restart is needed" in kernel.run("%nixenv remove toolz").displays[-1]
    assert kernel.run("import toolz").error["ename"] == "ModuleNotFoundError"
    said = kernel.run("%nixenv remove colorama").displays[-1]
    assert "is removed, but its module `colorama` is loaded" in said
    assert spec_of(notebook)["requirements"] == ["six"]


def test_unknown_package_is_an_error_without_traceback(kernel, notebook):
    before = notebook.read_bytes()
    error = kernel.run("%nixenv add no-such-package-4711").error
    assert error["ename"] == "ResolutionError"
    assert "no-such-package-4711" in error["traceback"][0]
    assert not any("Traceback" in line or "File " in line for line in error["traceback"])
    assert notebook.read_bytes() == before


def test_sync_follows_the_notebook(kernel, notebook, engine_home):
    engine_home.engine("add", notebook, "toolz")
    assert kernel.run("import toolz").error
    assert "ready: no restart is needed" in kernel.run("%nixenv sync").displays[-1]
    assert kernel.run("import toolz").error == {}
    assert "in that environment already" in kernel.run("%nixenv sync").displays[-1]


def test_questions_are_answered(kernel, notebook):
    assert "six" in kernel.run("%nixenv list").displays[-1]
    assert kernel.run("%nixenv tree").displays[-1].splitlines()[0].startswith("six ")
    status = kernel.run("%nixenv status").displays[-1]
    assert status.splitlines()[0] == "`analysis.ipynb`"
    assert str(kernel.value("__import__('os').path.realpath(__import__('sys').prefix)")) in status
    assert not kernel.run("%nixenv lock").error
    assert "six" in kernel.run("%pip list").stream
    assert "six" in kernel.run("%uv pip list").stream
    assert kernel.run("%pip install toolz").error["traceback"][-1] == "hint: %nixenv add toolz"


def test_interrupt_stops_the_engine_and_leaves_the_notebook(kernel, notebook):
    before = notebook.read_bytes()
    engines = []

    def interrupt():
        while not engines:
            engines.extend(engine_processes(notebook))
            time.sleep(0.01)
        # What a front end's interrupt comes to: LocalProvisioner signals the kernel's process group.
        os.killpg(kernel.manager.provisioner.pid, signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    error = kernel.run("%nixenv add scipy").error
    thread.join()
    assert error["ename"] == "Interrupted"
    assert not any(Path(f"/proc/{pid}").exists() for pid in engines)
    assert notebook.read_bytes() == before
    assert kernel.run("1").error == {}


def engine_processes(notebook: Path) -> list[int]:
    """Processes whose command line says `add` and this notebook."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"add" in words and os.fsencode(notebook) in words:
            found.append(int(folder.name))
    return found


def test_kernel_is_a_plain_one_but_for_the_magics(kernel):
    facts = kernel.value(
        "{'path': __import__('sys').path, 'argv': __import__('sys').argv[0],"
        " 'variables': [name for name in __import__('os').environ if name.startswith('NIXENV_')],"
        " 'module': __import__('nixenv').__file__}"
    )
    site = [entry for entry in facts["path"] if entry.endswith("site-packages")]
    assert len(site) == 1
    assert facts["path"].index("") + 1 == facts["path"].index(site[0])
    assert str(LAUNCHER.parent) not in facts["path"]
    assert facts["argv"] == f"{site[0]}/ipykernel_launcher.py"
    assert facts["variables"] == []
    assert facts["module"] == str(LAUNCHER.parent / "__init__.py")
    child = kernel.run("!python -c 'import nixenv'").stream
    assert "ModuleNotFoundError" in child
    assert kernel.run("%load_ext nixenv").stream == ""
    assert not kernel.run("%reload_ext nixenv").error
