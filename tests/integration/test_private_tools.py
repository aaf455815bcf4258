"""The tools of a notebook's author on private modules: the debugger, `%autoreload`, help, completion."""

from __future__ import annotations

import contextlib
import itertools
import json
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

KERNEL_SIDE = Path(__file__).parents[2] / "nixenv" / "kernel"
pytestmark = pytest.mark.slow
MODULE = '''\
"""Shapes."""
NUMBER = 1


def area(width, height):
    """The area of a rectangle."""
    result = width * height
    return grown(result)


def grown(value):
    return value + NUMBER


class Shape:
    """A shape."""

    sides = 4
'''
PREAMBLE = f"""
import importlib.util, json, os, sys
spec = importlib.util.spec_from_file_location("launcher", {str(KERNEL_SIDE / "launcher.py")!r})
launcher = importlib.util.module_from_spec(spec)
spec.loader.exec_module(launcher)
sys.meta_path.insert(0, launcher.KernelSideFinder)
from nixenv.groups import declare
from nixenv.groups.importing.domain import Domain
from nixenv.groups.group import Group
declare(Domain(Group("old", (sys.argv[1],), frozenset(["lib"]), {{"lib": "1"}})))
"""


@pytest.fixture
def folder(tmp_path):
    """A group's folder, whose package is a link into a store."""
    home = tmp_path / "store" / "lib"
    home.mkdir(parents=True)
    (home / "__init__.py").write_text("from . import shapes\n")
    (home / "shapes.py").write_text(MODULE)
    (tmp_path / "group").mkdir()
    (tmp_path / "group" / "lib").symlink_to(home)
    return tmp_path / "group"


def run(folder, code):
    done = subprocess.run(
        [sys.executable, "-c", PREAMBLE + textwrap.dedent(code), str(folder)],
        capture_output=True, text=True, check=False, timeout=60, cwd=folder.parent,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


SHELL = """
import contextlib, io
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
def ran(cell):
    text = io.StringIO()
    with contextlib.redirect_stdout(text): result = shell.run_cell(cell)
    result.raise_error()
    return text.getvalue()
def completed(line):
    from IPython.core.completer import provisionalcompleter
    with provisionalcompleter(): return sorted(one.text for one in shell.Completer.completions(line, len(line)))
"""


def test_autoreload_takes_over_changed_functions_and_classes(folder):
    changed = MODULE.replace("value + NUMBER", "value + 100").replace("sides = 4", "sides = 5")
    told = run(
        folder,
        SHELL
        + f"""
import time
from pathlib import Path
ran("%load_ext autoreload\\n%autoreload 2")
ran("from nixenv.private.old import lib\\nfrom nixenv.private.old.lib.shapes import area, Shape\\nshape = Shape()")
first = ran("print(area(2, 3), shape.sides)")
file = Path(sys.argv[1], "lib", "shapes.py")
file.write_text({changed!r}); os.utime(file, (time.time() + 5,) * 2)
second = ran("print(area(2, 3), shape.sides, lib.shapes.area is area)")
print(json.dumps([first.split(), second.split(), "lib" in sys.modules]))
""",
    )
    assert told == [["7", "4"], ["106", "5", "True"], False]


def test_help_source_and_completion_are_the_groups(folder):
    told = run(
        folder,
        SHELL
        + """
ran("from nixenv.private.old import lib")
page = shell.object_inspect_text("lib.shapes.area", detail_level=1)
attributes = completed("lib.shapes.ar")
modules = completed("from nixenv.private.old.lib import sha")
groups = completed("from nixenv.private import ol")
tops = completed("from nixenv.private.old import li")
print(json.dumps(["width * height" in page, "The area of a rectangle." in page, "lib/shapes.py" in page, attributes, modules, groups, tops]))
""",
    )
    assert told == [True, True, True, ["area"], ["shapes"], ["old"], ["lib"]]


def test_traceback_of_a_cell_shows_the_groups_lines(folder):
    told = run(
        folder,
        SHELL
        + """
ran("from nixenv.private.old import lib")
text = io.StringIO()
with contextlib.redirect_stdout(text): shell.run_cell("lib.shapes.area(None, 1)")
import re
told = re.sub("\\x1b\\[[0-9;]*m", "", text.getvalue())
print(json.dumps(["result = width * height" in told, "shapes.py" in told, "nixenv/kernel" in told]))
""",
    )
    assert told == [True, True, False]


class Adapter:
    """A client of debugpy's: https://microsoft.github.io/debug-adapter-protocol."""

    def __init__(self, connection: socket.socket) -> None:
        self._stream = connection.makefile("rwb")
        self._number = itertools.count(1)
        self._events: list[dict[str, object]] = []

    def send(self, command: str, **arguments: object) -> int:
        number = next(self._number)
        message = {"seq": number, "type": "request", "command": command, "arguments": arguments}
        body = json.dumps(message).encode()
        self._stream.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self._stream.flush()
        return number

    def _read(self) -> dict[str, object]:
        length = 0
        while line := self._stream.readline().strip():
            length = int(line.partition(b":")[2])
        return json.loads(self._stream.read(length))

    def answer(self, number: int) -> dict[str, object]:
        while True:
            message = self._read()
            if message["type"] == "event":
                self._events.append(message)
            elif message.get("request_seq") == number:
                assert message["success"], message
                return message.get("body") or {}

    def ask(self, command: str, **arguments: object) -> dict[str, object]:
        return self.answer(self.send(command, **arguments))

    def event(self, name: str) -> dict[str, object]:
        while True:
            for message in self._events:
                if message["event"] == name:
                    self._events.remove(message)
                    return message.get("body") or {}
            message = self._read()
            if message["type"] == "event":
                self._events.append(message)


@pytest.mark.parametrize("way", ["group", "store"])
def test_debugger_stops_and_steps_in_a_private_module(folder, way):
    """Whether the file was opened by the name in a traceback, or by the one in the store."""
    pytest.importorskip("debugpy")
    script = folder.parent / "script.py"
    script.write_text(
        PREAMBLE + "from nixenv.private.old import lib\nprint(lib.shapes.area(2, 3))\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    output = folder.parent / "output"
    with output.open("w") as stream:
        process = subprocess.Popen(
            [sys.executable, "-Xfrozen_modules=off", "-m", "debugpy", "--listen", f"127.0.0.1:{port}",
             "--wait-for-client", str(script), str(folder)],
            stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT, cwd=folder.parent,
        )  # fmt: skip
    try:
        with _connection(port) as connection:
            lines = _steps(Adapter(connection), folder.parent / way / "lib" / "shapes.py")
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
    assert lines == [("area", 7), ("area", 8), ("grown", 12)]
    assert output.read_text().split() == ["7"]


def _steps(adapter: Adapter, file: Path) -> list[tuple[object, object]]:
    """Functions and lines of three steps from line 7 of the private module on."""
    adapter.ask("initialize", adapterID="test", pathFormat="path", linesStartAt1=True)
    attached = adapter.send("attach", justMyCode=False)
    adapter.event("initialized")
    found = adapter.ask("setBreakpoints", source={"path": str(file)}, breakpoints=[{"line": 7}])
    assert [point["verified"] for point in found["breakpoints"]] == [True]
    adapter.ask("configurationDone")
    adapter.answer(attached)
    lines = []
    for _ in range(3):
        thread = adapter.event("stopped")["threadId"]
        frame = adapter.ask("stackTrace", threadId=thread)["stackFrames"][0]
        lines.append((frame["name"], frame["line"]))
        value = adapter.ask("evaluate", expression="__name__", frameId=frame["id"])["result"]
        assert value == "'nixenv.private.old.lib.shapes'"
        adapter.ask("stepIn", threadId=thread)
    adapter.event("stopped")
    adapter.ask("continue", threadId=thread)
    adapter.event("terminated")
    adapter.ask("disconnect")
    return lines


def _connection(port: int) -> socket.socket:
    ends = time.monotonic() + 30
    while True:
        with contextlib.suppress(ConnectionRefusedError):
            return socket.create_connection(("127.0.0.1", port), timeout=30)
        assert time.monotonic() < ends
        time.sleep(0.1)
