"""The real kernel's process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nixenv.bootstrap.child import Child
from nixenv.bootstrap.start import Launch

SAYS = (
    "import sys; print('first', file=sys.stderr); print('last words', file=sys.stderr); sys.exit(3)"
)

ENDS_AS = "import sys; from nixenv.bootstrap.child import end_as; end_as(int(sys.argv[1]))"


def child(code, *arguments, **variables):
    return Child(Launch((sys.executable, "-c", code, *arguments), {**os.environ, **variables}))


def test_last_words_are_kept_and_passed_on(capfd):
    started = child(SAYS)
    assert started.wait(20) == started.status == 3
    assert started.evidence == ("first", "last words")
    assert capfd.readouterr().err == "first\nlast words\n"


def test_program_that_cannot_be_run_is_an_os_error():
    with pytest.raises(OSError, match="nowhere"):
        Child(Launch(("/nowhere/python",), {}))


def test_it_has_a_session_of_its_own_and_knows_its_parent(tmp_path):
    code = "import os, sys; open(sys.argv[1], 'w').write(f'{os.getsid(0) == os.getpid()} {os.environ[\"JPY_PARENT_PID\"]}')"
    assert child(code, str(tmp_path / "told")).wait(20) == 0
    assert (tmp_path / "told").read_text() == f"True {os.getpid()}"


def test_inherited_descriptors_are_open_and_others_are_not(tmp_path):
    wanted, other = (os.open(tmp_path / name, os.O_CREAT | os.O_RDWR) for name in "ab")
    os.set_inheritable(other, True)
    code = f"import os; os.fstat({wanted}); os.fstat({other})"
    started = Child(Launch((sys.executable, "-c", code), os.environ, (wanted,)))
    assert started.wait(20) == 1
    assert "Bad file descriptor" in started.evidence[-1]
    assert f"os.fstat({wanted}); " in code
    os.close(wanted)
    os.close(other)


def test_signal_to_one_that_has_ended_is_nothing():
    started = child("")
    started.wait(20)
    started.send(signal.SIGTERM)
    started.stop()


def test_one_that_ignores_the_end_is_ended():
    started = child(
        "import signal, time; signal.signal(15, signal.SIG_IGN); print(1, flush=True); time.sleep(60)"
    )
    began = time.monotonic()
    started.stop(grace=0.2)
    assert started.status in (-signal.SIGKILL, -signal.SIGTERM)
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("status", [0, 7, -signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT])
def test_end_is_the_same_end(status):
    argv = [sys.executable, "-c", ENDS_AS, str(int(status))]
    assert subprocess.run(argv, check=False).returncode == status


ATTACHED = """
import os, subprocess, sys
code = f"from nixenv.bootstrap.attached import end_with; end_with({os.getpid()}); import time; print(1, flush=True); time.sleep(60)"
engine = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
engine.stdout.readline()
print(engine.pid, flush=True)
sys.stdin.readline()
os.kill(os.getpid(), 9)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="Linux can tell a process of its parent's end")
def test_attached_process_ends_with_its_parent():
    with subprocess.Popen(
        [sys.executable, "-c", ATTACHED], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        engine = int(parent.stdout.readline())
        parent.communicate(b"\n")
    deadline = time.monotonic() + 30
    while _is_running(engine) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not _is_running(engine)


def _is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
