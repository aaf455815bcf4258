"""A page with one open notebook, in JupyterLab or Notebook 7, and what a person does and sees there."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from integration.live_server import TOKEN, LiveServer

PATIENCE = 120_000  # milliseconds
APPS = {"lab": "lab/workspaces/test-{number}/tree/{path}", "notebook": "notebooks/{path}"}
PANEL = "window.jupyterapp?.shell.currentWidget"
_numbers = itertools.count()


@dataclass
class NotebookPage:
    """One page.

    Attributes:
        page: Playwright's.
        console: Warnings and errors that the page has logged.
    """

    page: Any
    server: LiveServer
    console: list[str] = field(default_factory=list)

    def open(self, app: str, path: str) -> None:
        """Open a notebook by its address, and wait until it is drawn."""
        self.page.set_default_timeout(PATIENCE)
        self.page.on("console", self._log)
        address = APPS[app].format(number=next(_numbers), path=quote(path))
        self.page.goto(f"{self.server.url}/{address}?token={TOKEN}")
        self.wait_until_open()

    def wait_for(self, state: str) -> Any:
        """The first true value of something of the open notebook's panel."""
        return self.wait(f"{PANEL}.{state}")

    def do(self, call: str) -> None:
        """Have the open notebook's panel do something, and wait for its promise."""
        self.ask(f"{PANEL}.{call}.then(() => null)")

    def restart(self) -> None:
        """Restart the kernel, and wait until it is there."""
        self.do("context.sessionContext.restartKernel()")
        self.wait_for_kernel()

    def wait_until_open(self) -> None:
        """Until the document is there; its kernel may not be."""
        self.wait(f"{PANEL}?.context?.isReady && {PANEL}.content?.widgets.length")

    def _log(self, message: Any) -> None:
        if message.type in ("warning", "error"):
            self.console.append(message.text)

    def wait(self, expression: str) -> Any:
        """The first true value of a JavaScript expression."""
        return self.page.wait_for_function(f"() => {expression}", polling=50).json_value()

    def ask(self, expression: str) -> Any:
        """The value of a JavaScript expression."""
        return self.page.evaluate(f"() => {expression}")

    @property
    def nixenv(self) -> Any:
        """What the document says, saved or not."""
        return self.ask(f"{PANEL}.context.model.sharedModel.getMetadata('nixenv') ?? null")

    def edit(self, value: Any) -> None:
        """Change the metadata, as JupyterLab's own editor of it does."""
        self.ask(f"{PANEL}.context.model.sharedModel.setMetadata('nixenv', {json.dumps(value)})")

    def wait_for_kernel(self, status: str = "idle") -> None:
        """Until the kernel is there and has nothing to do."""
        self.wait_for(f"context.sessionContext.kernelDisplayStatus === {status!r}")

    def begin(self, cell: int) -> None:
        """Start a cell as people do."""
        self.page.locator(".jp-Notebook .jp-CodeCell").nth(cell).locator(".cm-content").click()
        self.page.keyboard.press("Control+Enter")

    def end(self, cell: int) -> str:
        """Wait for a cell's end: its output as text."""
        model = f"{PANEL}.content.widgets[{cell}].model"
        self.wait(f"{model}.executionCount !== null")
        return self.output(cell)

    def output(self, cell: int) -> str:
        """What stands below a cell."""
        place = self.page.locator(".jp-Notebook .jp-CodeCell").nth(cell)
        return "\n".join(place.locator(".jp-OutputArea-output").all_inner_texts())

    def run(self, cell: int) -> str:
        """Run a cell."""
        self.begin(cell)
        return self.end(cell)

    def command(self, name: str) -> None:
        """One of JupyterLab's commands, begun."""
        self.ask(f"void window.jupyterapp.commands.execute({name!r})")

    def notification(self, text: str) -> Any:
        """The toast that has this text, once it is there."""
        toast = self.page.locator(".Toastify__toast", has_text=text)
        toast.wait_for()
        return toast

    @property
    def dialogs(self) -> list[str]:
        """The titles of JupyterLab's dialogs."""
        return self.page.locator(".jp-Dialog-header").all_inner_texts()
