"""JupyterLab's start in a browser, from the click to the restored page: with our extension and without."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.measure import Row, Side, compare
from benchmarks.workplace import Workplace

PREBUILT = Path(__file__).parent.parent / "extension" / "prebuilt"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
MORE = 0.050  # seconds that the extension may add
# JupyterLab shows its application object to whoever asks for that; set at its start.
WATCH = """Object.defineProperty(window, 'jupyterapp', {
  set: app => void app.restored.then(() => { window.restoredAt = performance.now(); })
})"""


@dataclass(frozen=True)
class Tab:
    """A page on one JupyterLab."""

    page: Any
    url: str

    def start(self) -> float:
        """Seconds from the click to the restored page."""
        self.page.goto("about:blank")
        self.page.goto(self.url)
        self.page.wait_for_function("window.restoredAt", timeout=120_000)
        milliseconds: float = self.page.evaluate("window.restoredAt")
        return milliseconds / 1000

    @property
    def has_extension(self) -> bool:
        """Whether ours is one of those that the page has loaded."""
        return bool(self.page.evaluate("!!window._JUPYTERLAB?.nixenv"))


def measure(place: Workplace) -> list[Row]:
    """One row; its target is what the other side takes and 50 ms."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - needed by no other row

    with ExitStack() as stack:
        playwright = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(executable_path=_executable(), args=["--no-sandbox"])
        stack.callback(browser.close)
        ours, theirs = (
            Tab(_page(browser), stack.enter_context(_lab(place, name, bundle)))
            for name, bundle in (("ours", PREBUILT), ("theirs", None))
        )
        row = compare(
            "JupyterLab's start, from the click to the restored page",
            Side("with nixenv's extension", ours.start),
            Side("JupyterLab alone", theirs.start),
            target=1,
            rounds=25,
            warm_up=3,
        )
        if not ours.has_extension or theirs.has_extension:
            sys.exit("not what was to be measured: one of the pages has the wrong extensions")
    return [replace(row, target=round(1 + MORE / row.theirs, 3))]


def _executable() -> str | None:
    said = os.environ.get("NIXENV_TEST_BROWSER")
    return said or next(filter(None, map(shutil.which, BROWSERS)), None)


def _page(browser: Any) -> Any:
    context = browser.new_context()
    context.add_init_script(WATCH)
    return context.new_page()


@contextmanager
def _lab(place: Workplace, name: str, bundle: Path | None) -> Iterator[str]:
    """The address of a JupyterLab that has the extension in `bundle` and no other."""
    folder = place.root / name
    extensions, runtime = folder / "labextensions", folder / "runtime"
    extensions.mkdir(parents=True)
    if bundle is not None:
        (extensions / "nixenv").symlink_to(bundle)
    argv = (
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
        *("--ServerApp.port=0", f"--ServerApp.root_dir={folder}", "--LabApp.news_url=None"),
        *(f"--LabApp.labextensions_path={extensions}", "--LabApp.expose_app_in_browser=True"),
    )
    env = place.env | {"JUPYTER_RUNTIME_DIR": str(runtime), "JUPYTER_CONFIG_DIR": str(folder)}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(argv, env=env, **quiet) as process:
        try:
            said = json.loads(_wait_for(runtime, "jpserver-*.json").read_text())
            yield f"{said['url']}lab?reset&token={said['token']}"
        finally:
            process.terminate()


def _wait_for(folder: Path, pattern: str) -> Path:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        for path in folder.glob(pattern):
            if path.stat().st_size:
                return path
        time.sleep(0.05)
    sys.exit("JupyterLab did not start")
