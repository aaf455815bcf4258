"""Locks between threads and processes."""

import os
import signal
import threading
import time

import pytest

from nixlib.cancel import Cancel
from nixlib.errors import RealisationCancelledError
from nixlib.filelock import file_lock, try_lock, wait_lock


def test_lock_excludes_and_leaves_nothing_behind(tmp_path):
    path = tmp_path / "locks" / "a"
    release = try_lock(path)
    assert release is not None
    assert try_lock(path) is None
    release()
    assert list(path.parent.iterdir()) == []
    with file_lock(path, Cancel()):
        assert try_lock(path) is None
    assert try_lock(path) is not None


def test_waiting_ends_with_a_cancel(tmp_path):
    cancel = Cancel()
    release = wait_lock(tmp_path / "a", cancel)
    threading.Timer(0.1, cancel.set).start()
    with pytest.raises(RealisationCancelledError):
        wait_lock(tmp_path / "a", cancel)
    release()


def test_killed_process_lets_go(tmp_path):
    path = tmp_path / "a"
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try_lock(path)
        os.write(writer, b"x")
        time.sleep(60)
        os._exit(0)
    os.read(reader, 1)
    assert try_lock(path) is None
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert try_lock(path) is not None


def test_one_at_a_time_when_many_come_and_go(tmp_path):
    inside, most = 0, 0

    def work() -> None:
        nonlocal inside, most
        for _ in range(20):
            with file_lock(tmp_path / "a", Cancel()):
                inside += 1
                most = max(most, inside)
                time.sleep(0.0005)
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
