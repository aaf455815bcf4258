"""A start that is repeated for as long as nothing it follows from has changed."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nixenv.bootstrap.again import named_notebook, recall, remember
from nixenv.notebook import notebookpath
from nixenv.server import scrubbing


class World:
    """A notebook, its environment behind a link, and a start that was written down."""

    def __init__(self, root: Path):
        self.notebook = root / "a.ipynb"
        self.notebook.write_text("{}")
        self.age(self.notebook)
        self.place = root / "store" / "env"
        (self.place / "bin").mkdir(parents=True)
        (self.place / "bin" / "python").write_text("")
        self.link = root / "link"
        self.link.symlink_to(self.place)
        self.hold, self.use, self.cached = (root / name for name in ("hold", "use", "cached"))
        for file in (self.hold, self.use, self.cached):
            file.write_text("")
        self.environ = {
            "HOME": str(root),
            "JPY_SESSION_NAME": str(self.notebook),
            "PATH": "/usr/bin",
            "PYTHONPATH": "/elsewhere",
            "NIX_REMOTE": "/store",
        }

    def age(self, file, seconds=60):
        os.utime(file, (time.time() - seconds,) * 2)

    def remember(self):
        places = (self.hold, self.link, self.place, self.use, self.cached)
        variables = {"NIXENV_DOCUMENT": str(self.notebook), "NIXENV_WRITER": "file"}
        argv = [str(self.place / "bin" / "python"), "launcher.py", "-f"]
        remember(self.environ, str(self.notebook), [str(one) for one in places], argv, variables)

    def recall(self, **changes):
        found = recall({**self.environ, **changes})
        for descriptor in self.held():
            os.close(descriptor)
        return found

    def held(self):
        """Descriptors of this process on the file that is locked."""
        own = Path("/proc/self/fd")
        return [int(fd.name) for fd in own.iterdir() if _leads_to(fd, self.hold)]


def _leads_to(descriptor, file):
    try:
        return descriptor.readlink() == file
    except OSError:
        return False


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    made.remember()
    return made


def test_start_is_the_same_again(world):
    found = world.recall(MINE="1")
    assert found.argv == [str(world.place / "bin" / "python"), "launcher.py", "-f"]
    assert found.process_env["NIXENV_DOCUMENT"] == str(world.notebook)
    assert found.process_env["PATH"] == f"{world.place}/bin:/usr/bin"
    assert found.process_env["MINE"] == "1"
    assert "PYTHONPATH" not in found.process_env


@pytest.mark.skipif(sys.platform != "linux", reason="looks at this process's descriptors")
def test_environment_is_held_as_ever_and_its_use_recorded(world):
    for file in (world.use, world.cached):
        world.age(file)
    recall(world.environ)
    (descriptor,) = world.held()
    assert os.get_inheritable(descriptor)
    with world.hold.open() as other, pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(descriptor)
    assert all(time.time() - file.stat().st_mtime < 30 for file in (world.use, world.cached))


def rewrite(world):
    before = world.notebook.stat()
    world.notebook.write_text("[]")
    os.utime(world.notebook, ns=(before.st_atime_ns, before.st_mtime_ns))


CHANGES = {
    "other notebook of the same size and time": rewrite,
    "environment collected": lambda world: (world.place / "bin" / "python").unlink(),
    "link leads elsewhere": lambda world: (world.link.unlink(), world.link.symlink_to("/")),
    "hold removed": lambda world: world.hold.unlink(),
    "use forgotten": lambda world: world.use.unlink(),
    "bytecode removed": lambda world: world.cached.unlink(),
    "settings written": lambda world: _configure(world, "{}"),
}


def _configure(world, text):
    file = Path(world.environ["HOME"], ".config", "nixenv", "config.json")
    file.parent.mkdir(parents=True)
    file.write_text(text)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_anything_that_has_changed_is_noticed(world, change):
    assert world.recall() is not None
    change(world)
    assert world.recall() is None


@pytest.mark.parametrize(
    "variables",
    [
        {"NIXENV_STORE": "/other"},
        {"NIX_REMOTE": ""},
        {"XDG_STATE_HOME": "/other"},
        {"JPY_SESSION_NAME": "/other/a.ipynb"},
        {"JPY_SESSION_NAME": "a.ipynb"},
        {"NIXENV_NOTEBOOK": "/other/a.ipynb"},
        {"NIXENV_FOLLOW": "5"},
    ],
)
def test_other_variables_are_another_start(world, variables):
    assert world.recall(**variables) is None


def test_notebook_that_has_just_changed_is_not_written_down(tmp_path):
    world = World(tmp_path)
    os.utime(world.notebook)
    world.remember()
    assert world.recall() is None


@pytest.mark.parametrize("content", [b"", b"x", b"1\0a\0b", b"2\0a", b"9" * 100, os.urandom(300)])
def test_file_that_is_something_else_is_no_start(world, content):
    (file,) = Path(world.environ["HOME"], ".cache", "nixenv", "starts").iterdir()
    file.write_bytes(content)
    assert world.recall() is None


def test_file_that_others_can_write_is_not_believed(world):
    (file,) = Path(world.environ["HOME"], ".cache", "nixenv", "starts").iterdir()
    file.chmod(0o666)
    assert world.recall() is None


def test_home_that_cannot_be_written_is_no_error(world):
    world.environ["XDG_CACHE_HOME"] = "/proc/nowhere"
    world.remember()
    assert world.recall() is None


@pytest.mark.parametrize("path", ["/n/two\nlines.ipynb", "/n/é ü.ipynb", "/n/\udcff.ipynb"])
def test_any_path_is_a_name(path):
    assert named_notebook({"NIXENV_NOTEBOOK": path}) == path


@pytest.mark.parametrize("path", ["", "a.ipynb", "/n/a.py", "~/a.ipynb"])
def test_what_has_to_be_looked_at_is_no_name(path):
    assert named_notebook({"JPY_SESSION_NAME": path}) == ""


def test_both_sides_call_the_variable_the_same():
    assert notebookpath.OVERRIDE == scrubbing.OVERRIDE


def test_next_to_nothing_is_imported():
    """What this is for: each of these costs milliseconds of every start."""
    heavy = {"asyncio", "dataclasses", "json", "pathlib", "re", "subprocess", "typing", "zmq"}
    code = f"import sys; before = set(sys.modules); import nixenv.bootstrap.main; print({heavy} & set(sys.modules) - before)"
    argv = [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.append({str(ROOT)!r}); {code}"]
    shown = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    assert shown == "set()\n"


ROOT = Path(__file__).parents[4]
