"""A real Chromium in front of a real server that has JupyterLab and Notebook 7.

The extension is the checkout's own `extension/prebuilt`, and so is the server's configuration, whatever
has been installed.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from integration.conftest import EngineHome, engine_home  # noqa: F401 - a fixture
from integration.live_server import LiveServer, live_server

CHECKOUT = Path(__file__).parent.parent.parent
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find_browser() -> str | None:
    """`NIXENV_TEST_BROWSER`, else the first on PATH."""
    said = os.environ.get("NIXENV_TEST_BROWSER")
    return said or next(filter(None, map(shutil.which, NAMES)), None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here needs a browser; where none can be had it is skipped."""
    here = [item for item in items if item.path.is_relative_to(Path(__file__).parent)]
    for item in here:
        item.add_marker("browser")
        if find_browser() is None:
            item.add_marker(pytest.mark.skip("no Chromium: sh tools/install_browser.sh"))


@pytest.fixture(scope="module")
def chromium() -> Iterator[object]:
    """Of one module: Playwright keeps an event loop running in this thread until it is stopped."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=find_browser(), args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def home(engine_home: EngineHome, tmp_path_factory) -> EngineHome:  # noqa: F811 - the fixture
    """The engine's home, with a Jupyter that finds the checkout's extensions first."""
    share = tmp_path_factory.mktemp("jupyter")
    (share / "labextensions").mkdir()
    (share / "labextensions" / "nixenv").symlink_to(CHECKOUT / "extension" / "prebuilt")
    # JupyterLab asks a new user whether it may fetch news.
    quiet = share / "settings" / "@jupyterlab" / "apputils-extension"
    quiet.mkdir(parents=True)
    (quiet / "notification.jupyterlab-settings").write_text('{"fetchNews": "false"}')
    env = {
        **engine_home.process_env,
        "JUPYTER_PATH": str(share),
        "JUPYTER_CONFIG_PATH": str(CHECKOUT / "jupyter-config"),
        "JUPYTERLAB_SETTINGS_DIR": str(share / "settings"),
    }
    return replace(engine_home, process_env=env)


@pytest.fixture(scope="module")
def server(home: EngineHome, tmp_path_factory) -> Iterator[LiveServer]:
    """One server for the module's tests."""
    root = tmp_path_factory.mktemp("pages") / "root"
    options = (
        "--LabApp.expose_app_in_browser=True",
        "--JupyterNotebookApp.expose_app_in_browser=True",
    )
    with live_server(root, home.process_env, *options) as running:
        yield running
