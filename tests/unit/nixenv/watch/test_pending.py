from __future__ import annotations

from pathlib import Path

from nixenv.watch.pending import PATIENCE, QUIET, Pending

A, B = Path("a.ipynb"), Path("b.ipynb")


def test_pending_is_due_when_it_was_left_alone():
    pending = Pending()
    pending.add(A, 0.0)
    pending.add(A, QUIET / 2)

    assert pending.take(QUIET) == []
    assert pending.take(QUIET * 1.5) == [A]
    assert pending.take(100.0) == []


def test_pending_that_changes_all_the_time_has_its_turn():
    pending = Pending()
    for step in range(100):
        pending.add(A, step * QUIET / 2)
        if pending.take(step * QUIET / 2):
            break

    assert abs(step * QUIET / 2 - PATIENCE) <= QUIET


def test_pending_takes_the_longest_waiting_first():
    pending = Pending()
    pending.add(B, 0.0)
    pending.add(A, 0.1)

    assert pending.take(5.0) == [B, A]


def test_pending_that_was_put_off_is_due_when_it_changes():
    pending = Pending()
    pending.put_off(A, 100.0)
    assert pending.next_due == 100.0

    pending.add(A, 1.0)

    assert pending.take(1.0 + QUIET) == [A]


def test_pending_that_is_gone_is_never_due():
    pending = Pending()
    pending.add_all([A, B], 0.0)
    pending.drop(A)

    assert pending.take(0.0) == [B]
    assert pending.next_due == float("inf")
