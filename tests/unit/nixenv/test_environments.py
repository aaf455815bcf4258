"""Uses of environments, and holds on them."""

import os
import subprocess
import sys
import time

import pytest

from nixenv import environments as registry

OTHER = """
import sys
from pathlib import Path
from nixenv.environments import hold
hold(Path(sys.argv[1]), sys.argv[2])
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """A process that holds the root `r` until its input ends."""
    with subprocess.Popen(
        [sys.executable, "-c", OTHER, str(tmp_path), "r"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        if process.poll() is None:
            process.communicate()


def test_use_is_found_again(tmp_path):
    notebook = tmp_path / "a b.ipynb"
    registry.record_use(tmp_path, "r", notebook, when=1000.0)
    assert registry.recorded_uses(tmp_path) == (registry.Use("r", notebook, 1000.0),)


def test_use_is_renewed_and_not_doubled(tmp_path):
    registry.record_use(tmp_path, "r", tmp_path / "a.ipynb", when=1000.0)
    registry.record_use(tmp_path, "r", tmp_path / "a.ipynb", when=2000.0)
    assert [use.last_used for use in registry.recorded_uses(tmp_path)] == [2000.0]


def test_uses_are_ordered_oldest_first(tmp_path):
    for name, when in (("b", 3.0), ("a", 1.0), ("c", 2.0)):
        registry.record_use(tmp_path, "r", tmp_path / name, when=when)
    assert [use.notebook.name for use in registry.recorded_uses(tmp_path)] == ["a", "c", "b"]


def test_use_forgets_one_pair_and_a_whole_root(tmp_path):
    for root, name in (("r", "a"), ("r", "b"), ("s", "a")):
        registry.record_use(tmp_path, root, tmp_path / name)
    registry.forget_use(tmp_path, registry.Use("r", tmp_path / "a", 0.0))
    assert {(use.root, use.notebook.name) for use in registry.recorded_uses(tmp_path)} == {
        ("r", "b"),
        ("s", "a"),
    }
    registry.forget_root(tmp_path, "r")
    assert {use.root for use in registry.recorded_uses(tmp_path)} == {"s"}


def test_use_is_dropped_silently_when_nothing_can_be_written(tmp_path):
    blocked = tmp_path / "state"
    blocked.write_text("a file where a folder should be")
    registry.record_use(blocked, "r", tmp_path / "a.ipynb")
    assert registry.recorded_uses(blocked) == ()


def test_hold_keeps_a_claim_out_until_the_process_ends(tmp_path, holder):
    assert registry.is_running(tmp_path, "r")
    with registry.claim(tmp_path, "r") as is_ours:
        assert not is_ours
    holder.kill()
    holder.wait()
    assert not registry.is_running(tmp_path, "r")
    with registry.claim(tmp_path, "r") as is_ours:
        assert is_ours


def test_hold_is_inherited_by_a_child_that_outlives_its_parent(tmp_path):
    descriptor = registry.hold(tmp_path, "r")
    child = subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdin.read()"],
        stdin=subprocess.PIPE,
        pass_fds=(descriptor,),
    )
    os.close(descriptor)
    assert registry.is_running(tmp_path, "r")
    child.communicate()
    assert not registry.is_running(tmp_path, "r")


def test_two_holds_share_one_environment(tmp_path, holder):
    os.close(registry.hold(tmp_path, "r"))
    assert registry.is_running(tmp_path, "r")


def test_hold_taken_after_a_claim_removed_the_file_still_counts(tmp_path):
    with registry.claim(tmp_path, "r") as is_ours:
        assert is_ours
    descriptor = registry.hold(tmp_path, "r")
    assert registry.is_running(tmp_path, "r")
    os.close(descriptor)


def test_hold_that_waited_for_a_claim_is_on_the_new_file(tmp_path):
    with registry.claim(tmp_path, "r") as is_ours:
        assert is_ours
        waiting = subprocess.Popen(
            [sys.executable, "-c", OTHER, str(tmp_path), "r"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        # It has to block on the lock of the file that the claim removes; seen through /proc/locks' waiters
        # only on Linux, so it is given the time that a start of Python takes, several times over.
        time.sleep(0.5)
    assert waiting.stdout.readline() == "held\n"
    assert registry.is_running(tmp_path, "r")
    waiting.communicate()


def test_nothing_is_running_and_nothing_is_left_where_nobody_was(tmp_path):
    assert not registry.is_running(tmp_path, "r")
    assert list(tmp_path.iterdir()) == []
