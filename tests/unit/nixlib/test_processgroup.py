"""Ending a program with what it started."""

import os
import subprocess
import time
from pathlib import Path

from nixlib.processgroup import end_group


def started(tmp_path, ending):
    """A shell that started a `sleep`, and the process id of that."""
    told = tmp_path / "child"
    process = subprocess.Popen(
        ["sh", "-c", f'sleep 60 & echo $! > "{told}.new"; mv "{told}.new" "{told}"; {ending}'],
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    while not told.exists():
        time.sleep(0.01)
    return process, int(told.read_text())


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_what_a_process_started_ends_with_it(tmp_path):
    process, child = started(tmp_path, "wait")
    end_group(process)
    assert process.returncode == -9
    while is_running(child):
        time.sleep(0.01)


def test_what_outlives_a_process_that_ended_by_itself_stays(tmp_path):
    process, child = started(tmp_path, "exit 3")
    process.wait()
    end_group(process)
    assert process.returncode == 3
    assert is_running(child)
    os.kill(child, 9)
