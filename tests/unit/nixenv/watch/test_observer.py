from __future__ import annotations

import os
import threading
import time

from nixenv.watch.observer import Hints, Observer


class Woken:
    def __init__(self):
        self.times = 0

    def __call__(self):
        self.times += 1


def until(condition) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_hints_wake_once_until_they_are_taken():
    woken = Woken()
    hints = Hints(woken)
    for _ in range(3):
        hints.add("/n/a.ipynb", is_folder=False)
    hints.add("/n/sub", is_folder=True)

    assert woken.times == 1
    assert hints.take() == ({"/n/a.ipynb"}, True)
    assert hints.take() == (set(), False)
    hints.add("/n/sub", is_folder=True)
    assert woken.times == 2


def collected(root, act):
    """The names that `act` gives hints about."""
    names: set[str] = set()
    hints = Hints(lambda: None)
    observer = Observer(root, hints)
    observer.start()
    try:
        act()
        (root / "last").touch()
        until(lambda: names.update(hints.take()[0]) or str(root / "last") in names)
    finally:
        observer.stop()
    assert not observer.is_alive
    return {os.path.relpath(name, root) for name in names}


def test_reading_a_file_gives_no_hint(tmp_path):
    (tmp_path / "a.ipynb").write_text("{}")

    assert "a.ipynb" not in collected(tmp_path, (tmp_path / "a.ipynb").read_text)


def test_rename_gives_a_hint_about_both_names(tmp_path):
    (tmp_path / "a.ipynb").write_text("{}")

    names = collected(tmp_path, lambda: (tmp_path / "a.ipynb").rename(tmp_path / "b.ipynb"))

    assert {"a.ipynb", "b.ipynb"} <= names


def test_check_leaves_nothing_behind(tmp_path):
    observer = Observer(tmp_path, Hints(lambda: None))
    observer.start()
    threads = threading.active_count()
    observer.check()

    until(lambda: threading.active_count() == threads)
    observer.stop()
