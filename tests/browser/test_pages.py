"""Notebooks in a real Chromium: in JupyterLab and Notebook 7, with a real server and real kernels."""

from __future__ import annotations

import json

import pytest
from browser.notebook_page import PATIENCE, NotebookPage

from nixlib.testing.index import IndexServer, Manners, make_wheel

pytestmark = [pytest.mark.daemon, pytest.mark.network, pytest.mark.slow]


@pytest.fixture
def open_page(chromium, server):
    contexts = []

    def open_page(app: str, path: str) -> NotebookPage:
        contexts.append(chromium.new_context(viewport={"width": 1280, "height": 720}))
        page = NotebookPage(contexts[-1].new_page(), server)
        page.open(app, path)
        return page

    yield open_page
    for context in contexts:
        context.close()


def requirements(path) -> list[str]:
    return json.loads(path.read_text())["metadata"]["nixenv"]["requirements"]


@pytest.mark.parametrize("app", ["lab", "notebook"])
def test_add_changes_the_open_document_and_nothing_else(open_page, server, home, app):
    path = home.notebook(
        server.root / f"añadir in {app}.ipynb", "%nixenv add six", "import six; six.__name__"
    )
    before = path.read_bytes()
    page = open_page(app, path.name)
    page.wait_for_kernel()

    said = page.run(0)
    page.wait_for("context.model.dirty")
    added = page.nixenv
    page.restart()
    imported = page.run(1)

    assert "six" in said
    assert added["requirements"] == ["six"]
    assert imported == "'six'"  # by the unsaved requirements
    assert path.read_bytes() == before

    page.command("notebook:undo-cell-action")
    page.wait_for("context.model.sharedModel.getMetadata('nixenv').requirements.length === 0")
    page.command("notebook:redo-cell-action")
    page.wait_for("context.model.sharedModel.getMetadata('nixenv').requirements.length === 1")
    page.command("docmanager:save")
    page.wait_for("context.model.dirty === false")
    assert page.dialogs == []
    assert requirements(path) == ["six"]

    page.page.reload()
    page.wait_until_open()
    assert page.nixenv == added
    assert page.dialogs == []


def test_nameless_group_of_a_cell_is_a_change_of_the_open_document(open_page, server, home):
    path = home.notebook(
        server.root / "private.ipynb",
        "%%private six==1.15.0\nimport six\nsix.__version__",
        "six.__name__",
    )
    before = path.read_bytes()
    page = open_page("lab", path.name)
    page.wait_for_kernel()

    said = page.run(0)
    page.wait_for("context.model.dirty")

    assert "'1.15.0'" in said
    assert page.run(1) == "'nixenv.private.six_1_15_0.six'"  # with no restart
    assert page.nixenv["private"] == {"six_1_15_0": ["six==1.15.0"]}
    assert [group["name"] for group in page.nixenv["lock"]["private"]] == ["six_1_15_0"]
    assert path.read_bytes() == before

    page.command("notebook:undo-cell-action")
    page.wait_for("context.model.sharedModel.getMetadata('nixenv').private === undefined")
    assert page.dialogs == []


def test_unsaved_metadata_is_honoured_by_the_first_kernel(open_page, server, home):
    path = home.notebook(server.root / "unsaved.ipynb", "import sys; sys.version_info[:2]")
    notebook = json.loads(path.read_text())
    value = notebook["metadata"].pop("nixenv")
    path.write_text(json.dumps(notebook))
    page = open_page("lab", path.name)
    page.wait_for_kernel()
    refused = page.run(0)
    page.do("context.sessionContext.shutdown()")

    page.edit(value)
    page.do("context.sessionContext.changeKernel({name: 'nixenv'})")
    page.wait_for_kernel()

    assert "Error" in refused
    assert page.run(0) == "(3, 11)"
    assert "nixenv" not in json.loads(path.read_text())["metadata"]
    assert "metadata" not in " ".join(page.console)


def test_changes_that_cross_are_for_the_user_to_decide(open_page, server, home):
    with IndexServer([make_wheel("parcel", "1.0")], Manners(delay=0.03)) as index:
        path = home.notebook(
            server.root / "crossing.ipynb", "%nixenv add parcel", indexes=[index.url]
        )
        page = open_page("lab", path.name)
        page.wait_for_kernel()
        mine = {**page.nixenv, "requirements": ["mine"]}

        page.begin(0)
        while not index.asked:  # From then on the engine works on what the page said before.
            page.page.wait_for_timeout(20)
        page.edit(mine)
        toast = page.notification("Yours are kept")
        assert page.nixenv == mine
        toast.get_by_text("Take the kernel").click()

    page.wait_for("context.model.sharedModel.getMetadata('nixenv').requirements[0] === 'parcel'")
    toast.wait_for(state="detached")


def test_progress_cancel_failure_and_the_way_out(open_page, server, home):
    """A package that its server first does not send, then refuses, then sends."""
    wheel = make_wheel("parcel", "1.0", files={"parcel.py": "size = 5\n"})
    with IndexServer([wheel]) as index:
        path = home.notebook(
            server.root / "progress.ipynb",
            "import parcel; parcel.size",
            requirements=["parcel"],
            indexes=[index.url],
        )
        home.engine("lock", path)
        index.manners = Manners(delay=PATIENCE / 1000)
        page = open_page("lab", path.name)
        page.notification("progress.ipynb: ")
        page.page.reload()
        # Two builds: the page that is gone cannot call off the one that it has asked for.
        while len(server.request("GET", "nixenv/api/tasks")["tasks"]) < 2:
            page.page.wait_for_timeout(20)
        page.notification("progress.ipynb: ").get_by_text("Cancel").click()
        cancelled = page.notification("cancelled")
        page.wait_for_kernel()
        assert "Cancelled" in page.run(0)

        index.manners = Manners(status=404)
        cancelled.get_by_text("Try again").click()
        failed = page.notification("parcel")
        failed.get_by_text("Details").click()
        report = page.page.locator(".jp-Dialog pre").inner_text()
        page.page.locator(".jp-Dialog .jp-mod-accept").click()
        assert "404" in report
        assert "hint: " in report

        index.manners = Manners()
        failed.get_by_text("Try again").click()
        failed.wait_for(state="detached")
        page.wait_for_kernel()
        assert page.run(0) == "5"


def test_slider_is_drawn_and_its_value_reaches_the_kernel(open_page, server, home):
    path = home.notebook(
        server.root / "slider.ipynb",
        "import ipywidgets\nslider = ipywidgets.IntSlider(7)\nslider",
        "slider.value",
        requirements=["ipywidgets"],
    )
    home.engine("lock", path)
    page = open_page("lab", path.name)
    page.wait_for_kernel()
    page.begin(0)

    handle = page.page.locator(".jp-OutputArea .noUi-handle")
    for _ in range(3):
        handle.press("ArrowRight")
    page.page.locator(".widget-readout", has_text="10").wait_for()

    assert page.run(1) == "10"


def test_server_without_our_extension_is_asked_once(chromium, server, home):
    path = home.notebook(server.root / "alone.ipynb", "%nixenv status")
    context = chromium.new_context()
    asked = []

    def refuse(route):
        asked.append(route.request.url)
        route.fulfill(status=404)

    context.route("**/nixenv/api/**", refuse)
    page = NotebookPage(context.new_page(), server)
    page.open("lab", path.name)
    page.wait_for_kernel()
    page.run(0)
    page.edit({**page.nixenv, "requirements": ["six"]})
    page.restart()
    context.close()

    assert len(asked) == 1
    assert len([line for line in page.console if "404" in line]) == 1, page.console
