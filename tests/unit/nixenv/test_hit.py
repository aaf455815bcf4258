from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from nixenv.environments import is_running, recorded_uses
from nixenv.server.hit import find_hit, parse_wanted
from nixlib.environment import environment_key, environment_link
from nixlib.errors import LockError, LockStaleError, SpecError
from nixlib.lock import Lock, LockedInterpreter
from nixlib.settings import Settings
from nixlib.spec import Spec

SPEC = Spec(python="3.11", requirements=("pandas",))
LOCK = Lock(
    spec=SPEC.digest,
    interpreter=LockedInterpreter("3.11.7", "host"),
    packages=(),
    systems=("x86_64-linux",),
)


@pytest.fixture
def settings(tmp_path):
    return Settings(cache_dir=tmp_path / "cache", state_dir=tmp_path / "state")


@pytest.fixture
def environment(tmp_path, settings):
    """An environment and its root, as realising leaves them."""
    folder = tmp_path / "store" / "env"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").write_text("")
    link = environment_link(LOCK, settings)
    link.parent.mkdir(parents=True)
    link.symlink_to(folder)
    return folder


def test_wanted_has_spec_and_lock():
    wanted = parse_wanted({**SPEC.to_json(), "lock": LOCK.to_json()})

    assert wanted.spec.digest == SPEC.digest
    assert wanted.lock.digest == LOCK.digest


def test_wanted_without_a_lock_is_only_a_spec():
    assert parse_wanted(SPEC.to_json()).lock is None


def test_wanted_refuses_a_stale_lock():
    value = {**SPEC.to_json(), "requirements": ["polars"], "lock": LOCK.to_json()}

    with pytest.raises(LockStaleError) as caught:
        parse_wanted(value, notebook="a.ipynb")

    assert "a.ipynb" in caught.value.summary


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ([], SpecError),
        ({"version": 1, "lock": 3}, LockError),
        ({"version": 1, "pyhton": "3"}, SpecError),
    ],
    ids=["no object", "damaged lock", "unknown key"],
)
def test_wanted_refuses_what_it_cannot_read(value, kind):
    with pytest.raises(kind):
        parse_wanted(value)


def test_hit_is_the_environment_behind_the_root(settings, environment):
    hit = find_hit(LOCK, settings, Path("/n/a.ipynb"))

    assert hit.environment == environment
    assert hit.python == environment / "bin" / "python"
    assert [use.notebook for use in recorded_uses(settings.state_dir)] == [Path("/n/a.ipynb")]
    hit.release()


def test_hit_is_held_until_everybody_has_let_go(settings, environment):
    root = environment_key(LOCK, settings)
    hit = find_hit(LOCK, settings, None)
    child = subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=hit.descriptors
    )
    hit.release()

    assert is_running(settings.state_dir, root)
    child.communicate(b"\n", timeout=30)
    assert not is_running(settings.state_dir, root)


def test_hit_is_none_when_nothing_was_built(settings):
    before = _descriptors()

    assert find_hit(LOCK, settings, Path("/n/a.ipynb")) is None
    assert recorded_uses(settings.state_dir) == ()
    assert _descriptors() == before


def _descriptors() -> int:
    """How many are open in this process (`/dev/fd` is there on Linux and on macOS)."""
    return sum(1 for _ in Path("/dev/fd").iterdir())


def test_hit_is_none_when_the_root_dangles(settings, environment):
    (environment / "bin" / "python").unlink()

    assert find_hit(LOCK, settings, None) is None


def test_hit_needs_no_state_that_can_be_written(settings, environment):
    running = settings.state_dir / "running"
    running.write_text("a file where a folder should be")

    hit = find_hit(LOCK, settings, None)

    assert (hit.environment, hit.descriptors) == (environment, ())


def test_hit_imports_nothing_heavy():
    heavy = (
        "httpx",
        "packaging",
        "rich",
        "asyncio",
        "socket",
        "ssl",
        "subprocess",
        "sqlite3",
        "uv",
    )
    code = f"import sys, nixenv.server.hit, nixenv.notebook.metadata; print([m for m in {heavy!r} if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert run.stdout.strip() == "[]"
