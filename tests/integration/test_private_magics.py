"""`%%private` and `%nixenv add --private` in real kernels, on an old and a new Python."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
import time
from pathlib import Path

import pytest
from live_kernel import close_event_loop, kernel_for, locked  # noqa: F401
from test_page import Tab

pytestmark = [pytest.mark.daemon, pytest.mark.network, pytest.mark.slow]

OLD = "%%private old\nimport tomli\ntomli.__version__"


@pytest.fixture
def notebook(locked, tmp_path) -> Path:  # noqa: F811
    path = tmp_path / "analysis.ipynb"
    path.write_bytes(locked.read_bytes())
    return path


def private_of(notebook: Path) -> dict:
    return json.loads(notebook.read_text())["metadata"]["nixenv"].get("private", {})


def ran(kernel, code: str):
    cell = kernel.run(code)
    assert not cell.error, "\n".join(cell.error["traceback"])
    return cell


def version(kernel, first: str, name: str = "tomli") -> object:
    """The version of a package in a cell that begins with `first`."""
    ran(kernel, f"{first}\nimport {name} as found")
    return kernel.value("found.__version__")


def results(kernel, code: str) -> list[str]:
    """What a cell's last expression displays as its `Out`."""
    shown = []

    def take(message) -> None:
        if message["msg_type"] == "execute_result":
            shown.append(message["content"]["data"]["text/plain"])

    kernel.client.execute_interactive(code, output_hook=take, timeout=60)
    return shown


def completions(kernel, code: str) -> list[str]:
    reply = kernel.client.complete(code, reply=True, timeout=60)
    return reply["content"]["matches"]


def test_a_group_is_usable_in_the_next_cell_until_it_is_removed(notebook, engine_home):
    with kernel_for(notebook, engine_home) as kernel:
        assert kernel.value("[name for name in __import__('sys').modules if 'nixenv.groups' in name]") == []  # fmt: skip
        refused = kernel.run(OLD).error
        assert refused["ename"] == "PrivateGroupError"
        assert refused["evalue"].startswith("there is no private group `old`\n  the notebook has no private group")  # fmt: skip
        ran(kernel, "%nixenv add tomli==2.2.1")
        assert version(kernel, "") == "2.2.1"
        added = ran(kernel, '%nixenv add --private old "tomli==2.1.0"')
        assert added.displays[-1].splitlines()[:3] == [
            "private group `old`: 1 added", "  +  old: tomli  2.1.0", "ready: no restart is needed",
        ]  # fmt: skip
        assert private_of(notebook) == {"old": ["tomli==2.1.0"]}
        assert version(kernel, "%%private old") == "2.1.0"
        assert version(kernel, "") == "2.2.1"
        assert version(kernel, "from nixenv.private import old") == "2.2.1"
        script = "from nixenv.private.old import tomli; print(tomli.__version__)"
        assert ran(kernel, f"!python -c '{script}'").stream.split() == ["2.1.0"]
        assert "old" in completions(kernel, "%%private ")
        assert "old" in completions(kernel, "from nixenv.private import o")
        assert "tomli" in completions(kernel, "from nixenv.private.old import tom")

        shown = ran(kernel, "%nixenv status").displays[-1]
        assert "old: tomli==2.1.0" in shown
        assert "old: its module `tomli` is loaded" in shown
        assert ran(kernel, "%nixenv list").displays[-1].splitlines()[-2:] == [
            "private old", "  tomli  2.1.0  tomli==2.1.0",
        ]  # fmt: skip
        assert ran(kernel, "%nixenv tree").displays[-1].splitlines()[-2:] == ["private old", "  tomli 2.1.0"]  # fmt: skip

        other = ran(kernel, "%nixenv add six --private other").displays[-1]
        assert "ready: no restart is needed" in other
        stays = ran(kernel, "%nixenv add --private old tomli==2.0.2").displays[-1].splitlines()
        assert "  ~  old: tomli  2.1.0 → 2.0.2" in stays
        assert (
            "this kernel stays as it is until you restart it: "
            "private group `old` changes, but its module `tomli` is loaded" in stays
        )
        assert version(kernel, "%%private old") == "2.1.0"
    with kernel_for(notebook, engine_home) as kernel:
        assert version(kernel, "%%private old") == "2.0.2"
        assert version(kernel, "%%private other", "six") == version(kernel, "", "six")
    with kernel_for(notebook, engine_home) as kernel:
        gone = ran(kernel, "%nixenv remove --private old").displays[-1]
        assert "  -  old: tomli  2.0.2" in gone
        assert "ready: no restart is needed" in gone
        error = kernel.run("from nixenv.private.old import tomli").error
        assert error["ename"] == "ModuleNotFoundError"
        assert "the notebook has `other`" in error["evalue"]
        assert private_of(notebook) == {"other": ["six"]}


def test_requirements_in_a_cell_make_a_group_that_stays(notebook, engine_home):
    cell = "%%private tomli==2.1.0\nimport tomli\nprint(tomli.__version__)"
    with kernel_for(notebook, engine_home) as kernel:
        made = ran(kernel, cell)
        assert made.stream.split() == ["2.1.0"]
        assert "private group `tomli_2_1_0`: 1 added" in made.displays[-1]
        assert private_of(notebook) == {"tomli_2_1_0": ["tomli==2.1.0"]}
        before = notebook.read_bytes()
        again = ran(kernel, cell)
        assert (again.stream.split(), again.displays) == (["2.1.0"], [])
        absent = kernel.run("%%private tomli==99\nimport tomli\nprint('it ran')")
        assert absent.error["ename"] == "PrivateGroupError"
        assert "it ran" not in absent.stream
        assert notebook.read_bytes() == before
    with kernel_for(notebook, engine_home) as kernel:
        again = ran(kernel, cell)
        assert (again.stream.split(), again.displays) == (["2.1.0"], [])
        assert notebook.read_bytes() == before


def test_a_cell_is_as_any_other(notebook, engine_home):
    engine_home.engine("add", notebook, "tomli==2.1.0", "--private", "old")
    with kernel_for(notebook, engine_home) as kernel:
        assert results(kernel, OLD) == ["'2.1.0'"]
        assert results(kernel, f"{OLD};") == []
        ran(
            kernel,
            "%%private old\nimport asyncio, tomli\nawait asyncio.sleep(0)\nx = !echo $HOME\n%time y = 1;",
        )
        assert kernel.value("x") == [engine_home.process_env["HOME"]]
        for order in ("%%time\n%%private old", "%%private old\n%%time"):
            timed = ran(kernel, f"{order}\nimport tomli\nprint(tomli.__version__)")
            assert timed.stream.split()[0] == "2.1.0"
            assert "Wall time" in timed.stream
        error = kernel.run("%%private old\nimport tomli\n\ntomli.loads(1), 1 / 0").error
        text = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(error["traceback"]))
        assert error["ename"] == "TypeError"
        assert "----> 4 tomli.loads(1), 1 / 0" in text
        syntax = kernel.run("%%private old\nimport tomli\n\nx = = 1").error
        assert "line 4" in "\n".join(syntax["traceback"])
        magic = kernel.run("%%private old\n%time import tomli").error
        assert magic["ename"] == "UsageError"
        assert "would import the notebook's `tomli`" in magic["evalue"]
        assert ran(kernel, "%%private").stream.rstrip().endswith("the notebook has `old`")
        assert kernel.run("%%private\nx = 1").error["ename"] == "UsageError"


def test_a_group_with_a_process_runs_the_cell_there(notebook, engine_home):
    with kernel_for(notebook, engine_home) as kernel:
        added = ran(kernel, '%nixenv add --private legacy --process "tomli==2.1.0"')
        assert "ready: no restart is needed" in added.displays[-1]
        assert private_of(notebook) == {
            "legacy": {"mode": "process", "requirements": ["tomli==2.1.0"]}
        }
        ran(kernel, "mine = 20")
        cell = ran(
            kernel,
            "%%private legacy\nimport os, tomli\nversion, pid, twice = tomli.__version__, os.getpid(), mine * 2\n"
            "print(version)",
        )
        assert cell.stream.split() == ["2.1.0"]
        assert kernel.value("[version, twice, pid == __import__('os').getpid()]") == [
            "2.1.0",
            40,
            False,
        ]
        assert "legacy: its process is running (" in ran(kernel, "%nixenv status").displays[-1]
        stays = ran(kernel, "%nixenv remove --private legacy").displays[-1]
        assert "private group `legacy` is removed, but its process is running" in stays


def test_an_open_page_is_told_of_groups_that_cells_make(notebook, engine_home):
    before = notebook.read_bytes()
    value = json.loads(before)["metadata"]["nixenv"]
    with kernel_for(notebook, engine_home) as kernel:
        tab = Tab(kernel, value, "analysis.ipynb")
        cell = tab.run("%%private tomli==2.1.0\nimport tomli\nprint(tomli.__version__)")
        change = tab.change(cell)
        assert cell.stream.split() == ["2.1.0"]
        assert change["nixenv"]["private"] == {"tomli_2_1_0": ["tomli==2.1.0"]}
        assert (
            "changed `analysis.ipynb` in this page: save the notebook to keep it"
            in cell.displays[-1]
        )
        assert tab.answer(change) == "applied"

        # A group that its author typed into the metadata.
        typed = {**tab.value, "private": {**tab.value["private"], "typed": ["tomli==2.0.2"]}}
        tab.value = typed
        tab.tell({"nixenv": typed})
        code = "%%private typed\nimport tomli as typed\nprint(typed.__version__)"
        error = tab.run(code).error
        assert error["evalue"].endswith("hint: `%nixenv lock`, then `%nixenv sync`")
        assert tab.answer(tab.change(tab.run("%nixenv lock"))) == "applied"
        assert tab.run(code).error["evalue"].endswith("hint: `%nixenv sync`")
        assert "ready: no restart is needed" in tab.run("%nixenv sync").displays[-1]
        assert tab.run(code).stream.split() == ["2.0.2"]
        tab.close()
    assert notebook.read_bytes() == before


def test_an_interrupt_stops_what_makes_a_group(notebook, engine_home):
    """Also in a cell with `await`, for which ipykernel keeps interrupts until it is back in its loop."""
    before = notebook.read_bytes()
    with kernel_for(notebook, engine_home) as kernel:
        pid = kernel.value("__import__('os').getpid()")

        def interrupt() -> None:
            time.sleep(2.0)
            os.kill(pid, signal.SIGINT)

        thread = threading.Thread(target=interrupt)
        thread.start()
        begun = time.monotonic()
        stopped = kernel.run(
            "%%private botocore boto3==1.26.0 awscli\nimport asyncio\nawait asyncio.sleep(0)\nprint('it ran')"
        )
        thread.join()
        assert stopped.error["ename"] == "Interrupted"
        assert "it ran" not in stopped.stream
        assert time.monotonic() - begun < 30
        assert kernel.value("1 + 1") == 2
    assert notebook.read_bytes() == before
