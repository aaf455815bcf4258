"""The kernel for when there is no environment to start in: it answers every cell with the reason.

It runs in Jupyter's own Python, so it runs no code of the user: in another environment than the one
asked for, code that seems to work is worse than an error. `%nixenv` works, so that the notebook can be
mended from inside.
"""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Callable
from itertools import chain, repeat
from pathlib import Path
from typing import Any

from ipykernel.kernelapp import IPKernelApp
from ipykernel.kernelbase import Kernel

from nixenv.kernel.comms import TARGET, session_of
from nixenv.kernel.dispatch import Host, carry_out
from nixenv.kernel.failure import KernelSideError
from nixenv.kernel.page import pages
from nixenv.kernel.verbs import VERBS, parse_line
from nixenv.kernel.writer import writing_page
from nixenv.server.reason import load_reason
from nixenv.server.scrubbing import DOCUMENT, ERROR

MAGIC = "%nixenv"

_LEAVING = frozenset({"exit", "quit", "exit()", "quit()"})
"""How people leave a console; that is the kernel's business, as in IPython."""

_RESTART = "restart the kernel to start in this environment"


class FallbackKernel(Kernel):
    """Speaks for an environment that is not there."""

    implementation = "nixenv"
    implementation_version = ""
    banner = "nixenv: the environment of this notebook is not there; run any cell to see why"
    language_info = {  # noqa: RUF012 - ipykernel's attribute
        "name": "python",
        "mimetype": "text/x-python",
        "file_extension": ".py",
        "version": "{}.{}.{}".format(*sys.version_info[:3]),
        "pygments_lexer": "ipython3",
        "codemirror_mode": {"name": "ipython", "version": 3},
    }

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)  # type: ignore[no-untyped-call]
        self.reason = load_reason(Path(os.environ[ERROR]))
        # `IPythonKernel` has these from its comm manager, which wants a shell.
        for kind in ("comm_open", "comm_msg", "comm_close"):
            self.shell_handlers[kind] = getattr(self, kind)

    def comm_open(self, stream: Any, ident: Any, message: dict[str, Any]) -> None:
        """A front end opens a comm: a page of ours is heard, everybody else is told that nobody is here."""
        del stream, ident
        content = message["content"]
        comm = str(content.get("comm_id"))
        if content.get("target_name") == TARGET:
            pages().opened(
                comm,
                session_of(message),
                content.get("data"),
                lambda data: self._send_comm("comm_msg", comm, data),
            )
        else:
            self._send_comm("comm_close", comm, {})

    def comm_msg(self, stream: Any, ident: Any, message: dict[str, Any]) -> None:
        """A page says something."""
        del stream, ident
        pages().told(str(message["content"].get("comm_id")), message["content"].get("data"))

    def comm_close(self, stream: Any, ident: Any, message: dict[str, Any]) -> None:
        """A page has gone."""
        del stream, ident
        pages().closed(str(message["content"].get("comm_id")))

    def _send_comm(self, kind: str, comm: str, data: dict[str, Any]) -> None:
        content = {"comm_id": comm, "data": data}
        assert self.session is not None  # noqa: S101 - a kernel that was sent something has one
        parent = self.get_parent()  # type: ignore[no-untyped-call]
        self.session.send(
            self.iopub_socket, kind, content, parent=parent, ident=f"comm-{comm}".encode()
        )

    async def do_execute(
        self,
        code: str,
        silent: bool,  # noqa: FBT001
        *_: Any,
        **__: Any,
    ) -> dict[str, Any]:
        """Run the `%nixenv` lines of a cell; answer the rest of it with the reason."""
        if code.strip() in _LEAVING:
            return self._succeed([{"source": "ask_exit", "keepkernel": False}])
        lines, rest = split_cell(code)
        try:
            for line in lines:
                self._run_line(line)
        except KernelSideError as error:
            return self._fail(error.kind, error.render(), silent=silent)
        except KeyboardInterrupt:
            return self._fail("Interrupted", "stopped on request", silent=silent)
        if rest:
            return self._fail(self.reason.kind, self.reason.text, silent=silent)
        return self._succeed([])

    def _succeed(self, payload: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "status": "ok",
            "execution_count": self.execution_count,
            "payload": payload,
            "user_expressions": {},
        }

    def _fail(self, kind: str, text: str, *, silent: bool) -> dict[str, Any]:
        error = {"ename": kind, "evalue": text, "traceback": f"{kind}: {text}".splitlines()}
        if not silent:
            self._publish("error", error)
        return {"status": "error", "execution_count": self.execution_count, **error}

    def _run_line(self, line: str) -> None:
        command = parse_line(line)
        if command is None:
            self._print(_help())
            return
        if DOCUMENT not in os.environ and writing_page(self) is None:
            raise KernelSideError(self.reason.kind, self.reason.text)
        host = Host(self, self._painter(), lambda *_: _RESTART, self._facts)
        page = carry_out(command, host)
        self._publish("display_data", {"data": _bundle(page.text(), page.html()), "metadata": {}})

    def _facts(self, notebook: str) -> dict[str, str]:
        return {"notebook": notebook, "kernel": f"has no environment to run in: {self.reason.kind}"}

    def _painter(self) -> Callable[[str, str], None]:
        """Paints in one place: the first time a display, then its updates."""
        identity = uuid.uuid4().hex
        kinds = chain(["display_data"], repeat("update_display_data"))

        def paint(text: str, html: str) -> None:
            shown = {"data": _bundle(text, html), "metadata": {}}
            self._publish(next(kinds), {**shown, "transient": {"display_id": identity}})

        return paint

    def _print(self, text: str) -> None:
        self._publish("stream", {"name": "stdout", "text": text})

    def _publish(self, kind: str, content: dict[str, Any]) -> None:
        self.send_response(self.iopub_socket, kind, content)  # type: ignore[no-untyped-call]

    async def do_complete(self, code: str, cursor_pos: int) -> dict[str, Any]:
        """Complete the verbs and options of `%nixenv`; nothing else exists here."""
        before = code[:cursor_pos].rpartition("\n")[2]
        word, matches = completions(before)
        return {
            "status": "ok",
            "matches": matches,
            "cursor_start": cursor_pos - len(word),
            "cursor_end": cursor_pos,
            "metadata": {},
        }

    async def do_is_complete(self, code: str) -> dict[str, Any]:
        """Every line is complete: there is nothing to continue."""
        del code
        return {"status": "complete"}

    async def do_shutdown(self, restart: bool) -> dict[str, Any]:  # noqa: FBT001 - Jupyter's signature
        """Nothing to tidy up."""
        return {"status": "ok", "restart": restart}


def split_cell(code: str) -> tuple[tuple[str, ...], bool]:
    r"""The arguments of a cell's `%nixenv` lines, and whether the cell has anything else in it (pure).

    Blank lines, comments and `%load_ext nixenv` count as nothing.

    Examples:
        >>> split_cell("# more\n%nixenv add pandas\n")
        (('add pandas',), False)
        >>> split_cell("import pandas")
        ((), True)
    """
    lines = [line.strip() for line in code.splitlines()]
    said = [
        line for line in lines if line and not line.startswith("#") and line != "%load_ext nixenv"
    ]
    magic = [line for line in said if line.split()[0] == MAGIC]
    return tuple(line[len(MAGIC) :].strip() for line in magic), len(magic) < len(said)


def completions(before: str) -> tuple[str, list[str]]:
    """The word at the end of `before` and what it could become (pure).

    Examples:
        >>> completions("%nixenv l")
        ('l', ['list', 'lock'])
    """
    words = before.split()
    word = "" if before[-1:].isspace() else (words.pop() if words else "")
    if not words:
        known = [MAGIC] if word else []
    elif words == [MAGIC]:
        known = sorted(VERBS)
    else:
        known = sorted(VERBS[words[1]].options) if words[0] == MAGIC and words[1] in VERBS else []
    return word, [name for name in known if name.startswith(word)]


def _help() -> str:
    return "".join(
        f"{MAGIC} {verb.name} {verb.usage}\n    {verb.summary}\n" for verb in VERBS.values()
    )


def _bundle(text: str, html: str) -> dict[str, str]:
    return {"text/plain": text, "text/html": html}


def main() -> None:
    """Run the kernel until it is shut down; its reason is in the file that `NIXENV_ERROR` names."""
    FallbackApp.launch_instance()


class FallbackApp(IPKernelApp):
    """ipykernel's application without a shell of its own."""

    kernel_class = FallbackKernel
