"""What a builder's guard passes on: started as Nix starts it, with a pipe where Nix would read."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from builders import gone

from nixlib.builders import supervise

SCRIPT = Path(supervise.__file__)


def run(code, *argv):
    """Exit status and output of `code` under the guard."""
    command = [sys.executable, "-I", "-S", SCRIPT, sys.executable, "-c", code, *argv]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    return done.returncode, done.stdout


def test_output_and_errors_come_in_order_and_the_status_with_them():
    code = "import os, sys; os.write(1, b'one\\n'); os.write(2, b'two\\nthree'); sys.exit(5)"
    assert run(code) == (5, b"one\ntwo\nthree")


def test_a_signal_is_a_status_above_128():
    assert run("import os; os.kill(os.getpid(), 9)")[0] == 137


def test_there_is_nothing_to_read():
    assert run("import sys; print(repr(sys.stdin.read()))") == (0, b"''\n")


@pytest.mark.parametrize(
    ("printed", "passed_on"),
    [
        ("@nix {}\n", b" @nix {}\n"),
        ("a\r@nix {}\n", b"a\n @nix {}\n"),
        ("a\r\nb\rc\n", b"a\nb\nc\n"),
        ("x @nix {}\n", b"x @nix {}\n"),
    ],
)
def test_nix_gets_no_orders_and_no_line_twice(printed, passed_on):
    assert run(f"import sys; sys.stdout.write({printed!r})") == (0, passed_on)


def test_a_line_without_end_is_cut_into_pieces():
    size = 3 * supervise.LINE_BYTES + 5
    lines = run(f"print('x' * {size}, end='')")[1].split(b"\n")
    assert b"".join(lines) == b"x" * size
    assert max(map(len, lines)) == supervise.LINE_BYTES


@pytest.mark.parametrize(
    ("count", "size"), [(supervise.START_LINES * 2, 1), (600, 100_000)], ids=["lines", "bytes"]
)
def test_of_a_long_log_the_start_and_the_end_are_passed_on(count, size):
    code = f"""
import os
os.write(1, b'first\\n')
for _ in range({count} // 100): os.write(1, (b'x' * {size} + b'\\n') * 100)
os.write(1, b'last\\n')
"""
    status, log = run(code)
    assert status == 0
    assert log.startswith(b"first\n")
    assert log.endswith(b"last\n")
    assert b"bytes of log left out" in log
    assert len(log) < supervise.START_BYTES + supervise.END_BYTES + 2_000_000


def test_program_ends_with_its_guard():
    word = f"supervised-{os.getpid()}"
    code = "import time; print('begun', flush=True); time.sleep(600)"
    command = [sys.executable, "-I", "-S", SCRIPT, sys.executable, "-c", code, word]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as guard:
        assert guard.stdout.readline() == b"begun\n"
        guard.send_signal(signal.SIGKILL)
    assert gone(word)


def test_program_ends_when_nobody_listens_any_more():
    word = f"unheard-{os.getpid()}"
    code = "import time; print('begun', flush=True); time.sleep(600)"
    command = [sys.executable, "-I", "-S", SCRIPT, sys.executable, "-c", code, word]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as guard:
        assert guard.stdout.readline() == b"begun\n"
        time.sleep(0.05)
        guard.stdout.close()
        assert guard.wait(10) != 0
    assert gone(word)
