"""The process of a group: what runs under the group's own Python, from its path.

`<environment>/bin/python -I …/worker.py <socket> <last words> <group>`. It serves its kernel over the socket
that it was born with, and ends when that ends, however that happens.
"""

from __future__ import annotations

import faulthandler
import importlib
import os
import signal
import socket
import sys
import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from typing import Any

FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SECONDS_TO_END = 2.0


_ROOMS = ("comparing", "display", "guards", "link", "output", "references", "running", "wire")


class KernelSideFinder:
    """Finds `nixenv`, and nothing else: the folder that the kernel, too, has under that name."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """The spec of `nixenv`; None for every other module."""
        del path, target
        if name != "nixenv":
            return None
        from importlib.util import spec_from_file_location  # noqa: PLC0415

        return spec_from_file_location(
            name, os.path.join(FOLDER, "__init__.py"), submodule_search_locations=[FOLDER]
        )


def _room(name: str) -> Any:
    return importlib.import_module(f"nixenv.process.{name}")


def _end(group: Any = None) -> None:
    """Leave nothing of this process's group behind."""
    del group
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGTERM)


class Worker:
    """This process, and its link to the kernel."""

    def __init__(self, connection: socket.socket, group: str) -> None:
        comparing, display, guards, link, output, references, running, wire = map(_room, _ROOMS)
        self._kinds = wire
        self._ended = link.EndedError
        self._display = display
        self._folder = os.getcwd()
        self.link: Any = None
        self._pumps = [output.Pump(1, "stdout", self._say), output.Pump(2, "stderr", self._say)]
        sys.stdout = output.Stream("stdout", 1, self._say)
        sys.stderr = output.Stream("stderr", 2, self._say)
        sys.stdin = output.NoInput(group)
        table = references.References("", "define it in an ordinary cell of the notebook")
        self.link = link.Link(
            wire.Wire(connection),
            table,
            "the notebook",
            first=1,
            guard=guards.WorkerGuard(self._flush),
            on_end=self._on_end,
        )
        self._cells = running.Cells(
            self._variable, lambda value: comparing.fingerprint(value, table), self._after_cell
        )
        self.link.operations.update(
            _room("operations").OF_MODULES,
            cell=self._run_cell,
            folder=self._go_to,
            figures=self._figures,
        )
        import builtins  # noqa: PLC0415

        builtins.display = self._show_all  # type: ignore[attr-defined]

    def greet(self) -> None:
        """Say who this is, and what it can make of the kernel's values."""
        from importlib.util import find_spec  # noqa: PLC0415

        has = [name for name in _room("vocabulary").TOLD if find_spec(name) is not None]
        self.link.tell(
            self._kinds.HELLO,
            {"has": has, "python": list(sys.version_info[:3]), "pid": os.getpid()},
        )

    def run(self) -> None:
        """Serve the kernel until it ends."""
        self.link.serve()

    # --- what is asked ------------------------------------------------------------------------------------

    def _run_cell(self, _: Any, *what: Any) -> Any:
        return self._cells.run(*what)

    def _go_to(self, _: Any, folder: str) -> None:
        os.chdir(folder)

    def _figures(self, _: Any) -> None:
        self._display.figures(self._show)

    def _variable(self, name: str) -> Any:
        found, value = self.link.call("variable", name)
        if not found:
            raise KeyError(name)
        return value

    # --- what is said -------------------------------------------------------------------------------------

    def _say(self, stream: str, text: str) -> None:
        if self.link is not None and self.link.ended is None:
            self.link.tell(self._kinds.OUTPUT, ("stream", stream, text))

    def _show(self, value: Any) -> None:
        self._flush()
        self.link.tell(self._kinds.OUTPUT, ("display", *self._display.bundle(value)))

    def _show_all(self, *values: Any, **_: Any) -> None:
        for value in values:
            self._show(value)

    def _after_cell(self) -> None:
        self._display.figures(self._show)

    def _flush(self) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        for pump in self._pumps:
            pump.drain()

    def _on_end(self, _: str) -> BaseException:
        """The kernel is gone: end orderly, and soon in any case."""

        def at_last() -> None:
            _kill()

        timer = threading.Timer(SECONDS_TO_END, at_last)
        timer.daemon = True
        timer.start()
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        ended: BaseException = self._ended("the notebook's kernel has ended")
        return ended


def _kill() -> None:
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(0)


def main(arguments: list[str]) -> None:
    """Serve one kernel."""
    number, words, group = int(arguments[0]), int(arguments[1]), arguments[2]
    faulthandler.enable(words, all_threads=False)
    sys.meta_path.insert(0, KernelSideFinder)
    sys.path.insert(0, "")
    sys.argv[:] = [""]
    worker = Worker(socket.socket(fileno=number), group)
    worker.greet()
    worker.run()
    import atexit  # noqa: PLC0415

    atexit._run_exitfuncs()  # noqa: SLF001 - then nothing of its own is left
    _end()
    _kill()


if __name__ == "__main__":
    main(sys.argv[1:])
