"""A watch of a real folder, with an engine that makes empty environments."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import time
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from nixenv.config import load_settings
from nixenv.environments import recorded_uses
from nixenv.errors import EngineError, UsageError
from nixenv.notebook.metadata import read_document, write_document
from nixenv.server.hit import Hit, find_hit, parse_wanted
from nixenv.server.opening import Opened
from nixenv.watch.events import Building, Idle, Outdated, Polling, Ready, Trouble, Watching
from nixenv.watch.observer import Observer
from nixenv.watch.pace import Pace
from nixenv.watch.watching import watch
from nixlib.environment import environment_link
from nixlib.lock import Lock, LockedInterpreter
from nixlib.spec import Spec

PATIENCE = 60.0


def lock_of(spec: Spec) -> Lock:
    return Lock(spec.digest, LockedInterpreter("3.11.7", "host"), (), ("x86_64-linux",))


def value(*requirements: str, locked: bool = True) -> dict:
    spec = Spec(python="3.11", requirements=requirements)
    return {**spec.to_json(), **({"lock": lock_of(spec).to_json()} if locked else {})}


def save(path: Path, nixenv: object, **more: object) -> Path:
    """As careful editors save: a new file, renamed into place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = {} if nixenv is None else {"nixenv": nixenv}
    staging = path.with_name(f".~{path.name}")
    staging.write_text(json.dumps({"cells": [], "metadata": metadata, "nbformat": 4, **more}))
    staging.replace(path)
    return path


class Scene:
    """One watch, what it told, and the engine under it."""

    def __init__(self, root: Path, *, is_slow: bool = False, **errors: list[Exception]) -> None:
        self.root = root
        self.told: list = []
        self.built: list[str] = []
        self.stopped: list[str] = []
        self.errors = errors
        self.is_slow = is_slow
        self.process_env = dict(os.environ)
        self.settings = load_settings(environ=self.process_env)

    async def open(self, document, _on_event):
        """An engine: it takes its time, makes the environment, and writes a lock where there is none."""
        self.built.append(document.name)
        try:
            while self.is_slow:  # noqa: ASYNC110 - the test may make it slow at any moment
                await asyncio.sleep(0.01)
        except asyncio.CancelledError:
            self.stopped.append(document.name)
            raise
        if self.errors.get(document.path.stem):
            raise self.errors[document.path.stem].pop(0)
        wanted = parse_wanted(document.spec)
        lock = wanted.lock or lock_of(wanted.spec)
        self.make(lock)
        if wanted.lock is None:
            spec = {**wanted.spec.to_json(), "lock": lock.to_json()}
            write_document(read_document(document.path), {"nixenv": spec})
        hit = find_hit(lock, self.settings, document.path)
        return Opened(Hit(hit.environment, lock.digest, hit.hold), None)

    def make(self, lock: Lock) -> None:
        environment = self.root.parent / "store" / lock.digest.partition("-")[2].replace("/", "_")
        (environment / "bin").mkdir(parents=True, exist_ok=True)
        (environment / "bin" / "python").touch()
        link = environment_link(lock, self.settings)
        link.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            link.symlink_to(environment)

    def kinds(self, *kinds: type) -> list:
        return [event for event in self.told if isinstance(event, kinds)]

    def ready(self) -> list[str]:
        return [event.document.name for event in self.kinds(Ready)]

    async def until(self, condition) -> None:
        """Wait until `condition` holds."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, self.told
            await asyncio.sleep(0.01)

    async def until_idle(self, ready: int, troubled: int = 0) -> None:
        await self.until(lambda: self.told and self.told[-1] == Idle(ready, troubled))


@pytest.fixture
def root(tmp_path, monkeypatch):
    for name in ("CACHE", "STATE", "CONFIG"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name))
    monkeypatch.setenv("NIX_REMOTE", str(tmp_path / "store"))
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


@asynccontextmanager
async def watching(scene: Scene, **options):
    task = asyncio.ensure_future(
        watch(
            scene.root,
            process_env=scene.process_env,
            tell=scene.told.append,
            opener=scene.open,
            **options,
        )
    )
    try:
        await scene.until(lambda: task.done() or scene.kinds(Watching))
        if task.done():
            await task
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def played(root: Path, scenario, engine=None, **options) -> Scene:
    async def main():
        scene = Scene(root, **(engine or {}))
        async with watching(scene, **options):
            await scenario(scene)
        return scene

    return asyncio.run(main())


def test_watch_builds_what_is_there_and_says_when_it_is_done(root):
    save(root / "a.ipynb", value("numpy"))
    save(root / "sub" / "b.ipynb", value("pandas"))
    save(root / "same.ipynb", value("numpy"))
    save(root / "plain.ipynb", None)

    async def scenario(scene):
        await scene.until_idle(3)

    scene = played(root, scenario)

    assert scene.told[0] == Watching(root, 4)
    assert sorted(scene.built) == ["a.ipynb", "b.ipynb"]
    assert sorted(scene.ready()) == ["a.ipynb", "b.ipynb", "same.ipynb"]
    users = {use.notebook.name for use in recorded_uses(scene.settings.state_dir)}
    assert users == {"a.ipynb", "b.ipynb", "same.ipynb"}


def test_watch_does_not_build_what_is_ready(root):
    save(root / "a.ipynb", value("numpy"))

    async def scenario(scene):
        await scene.until_idle(1)

    first, second = played(root, scenario), played(root, scenario)

    assert (first.built, second.built) == (["a.ipynb"], [])
    assert second.kinds(Ready)[0].seconds is None


def test_watch_builds_notebooks_as_they_are_saved(root):
    async def scenario(scene):
        await scene.until_idle(0)
        save(root / "a.ipynb", value("numpy"))
        await scene.until(lambda: scene.ready() == ["a.ipynb"])
        save(root / "new" / "folder" / "b.ipynb", value("pandas"))
        await scene.until(lambda: "b.ipynb" in scene.ready())
        (root / "new").rename(root / "renamed")
        save(root / "renamed" / "folder" / "b.ipynb", value("polars"))
        await scene.until(lambda: scene.built == ["a.ipynb", "b.ipynb", "b.ipynb"])
        await scene.until_idle(2)

    played(root, scenario)


def test_saving_only_cells_builds_nothing_and_says_nothing(root):
    save(root / "a.ipynb", value("numpy"))

    async def scenario(scene):
        await scene.until_idle(1)
        before = len(scene.kinds(Building, Ready, Trouble))
        save(root / "a.ipynb", value("numpy"), nbformat_minor=5)
        save(root / "b.ipynb", value("numpy"))
        await scene.until(lambda: "b.ipynb" in scene.ready())
        assert len(scene.kinds(Building, Ready, Trouble)) == before + 1

    played(root, scenario)


def test_newest_content_wins(root):
    async def scenario(scene):
        scene.is_slow = True
        for requirement in ("numpy", "pandas", "polars"):
            started = len(scene.built)
            save(root / "a.ipynb", value(requirement))
            await scene.until(lambda started=started: len(scene.built) > started)
        scene.is_slow = False
        await scene.until_idle(1)

    scene = played(root, scenario)

    assert scene.stopped == ["a.ipynb", "a.ipynb"]
    assert len(scene.kinds(Outdated)) == 2
    (ready,) = scene.kinds(Ready)
    wanted = lock_of(Spec(python="3.11", requirements=("polars",)))
    assert ready.lock == wanted.digest


def test_build_of_a_vanished_notebook_is_stopped(root):
    async def scenario(scene):
        scene.is_slow = True
        path = save(root / "a.ipynb", value("numpy"))
        await scene.until(lambda: scene.built)
        path.unlink()
        await scene.until(lambda: scene.stopped)
        await scene.until_idle(0)

    played(root, scenario)


def test_flood_of_events_is_survived_and_identical_notebooks_are_one_build(root):
    async def scenario(scene):
        for number in range(400):
            save(root / f"{number % 20}" / f"{number}.ipynb", value("numpy"))
        for number in range(0, 400, 2):
            (root / f"{number % 20}" / f"{number}.ipynb").unlink()
        for number in range(1, 400, 2):
            save(root / f"{number % 20}" / f"{number}.ipynb", value("pandas"))
        await scene.until(lambda: scene.told[-1] == Idle(200, 0))

    scene = played(root, scenario)

    assert 1 <= len(scene.built) <= 4


def test_half_written_notebook_is_read_again_without_a_word(root):
    whole = json.dumps({"cells": [], "metadata": {"nixenv": value("numpy")}, "nbformat": 4})

    async def scenario(scene):
        await scene.until_idle(0)
        with (root / "a.ipynb").open("w") as file:
            file.write(whole[:100])
            file.flush()
            await asyncio.sleep(1)
            file.write(whole[100:])
        await scene.until_idle(1)

    assert played(root, scenario).kinds(Trouble) == []


def test_broken_notebook_is_named_once_and_built_when_it_is_mended(root):
    path = root / "a.ipynb"
    path.write_text('{"cells"')
    os.utime(path, (1, 1))

    async def scenario(scene):
        await scene.until_idle(0, 1)
        os.utime(path, (2, 2))
        save(root / "b.ipynb", value("numpy"))
        await scene.until_idle(1, 1)
        save(path, value("numpy"))
        await scene.until_idle(2)

    (trouble,) = played(root, scenario).kinds(Trouble)

    assert "`a.ipynb` is not JSON" in str(trouble.error)


def test_bad_metadata_is_named_and_nothing_is_built(root):
    bad = {**value("numpy", locked=False), "requirments": []}
    save(root / "typo.ipynb", bad)
    save(root / "stale.ipynb", {**value("numpy"), "requirements": ["pandas"]})
    save(root / "list.ipynb", [])
    (root / "nixenv.toml").write_text("requirements = [")

    async def scenario(scene):
        await scene.until_idle(0, 4)

    scene = played(root, scenario)

    assert scene.built == []
    assert {event.document.name for event in scene.kinds(Trouble)} == {
        "typo.ipynb",
        "stale.ipynb",
        "list.ipynb",
        "nixenv.toml",
    }


def test_notebook_without_a_lock_is_named_once_and_left_as_it_is(root):
    path = save(root / "a.ipynb", value("numpy", locked=False))
    before = path.read_bytes()

    async def scenario(scene):
        await scene.until_idle(0, 1)
        save(path, value("numpy", locked=False))
        save(root / "b.ipynb", value("numpy"))
        await scene.until_idle(1, 1)

    scene = played(root, scenario)

    assert scene.built == ["b.ipynb"]
    (trouble,) = scene.kinds(Trouble)
    assert "has no lock" in str(trouble.error)
    assert path.read_bytes() == before


def test_notebook_without_a_lock_gets_one_where_that_is_asked_for(root):
    path = save(root / "a.ipynb", value("numpy", locked=False))

    async def scenario(scene):
        await scene.until_idle(1)

    scene = played(root, scenario, may_lock=True)

    assert scene.built == ["a.ipynb"]
    assert scene.ready() == ["a.ipynb"]
    assert scene.stopped == []
    assert "lock" in read_document(path).spec


def test_notebook_that_was_saved_while_it_was_locked_is_locked_again(root):
    save(root / "a.ipynb", value("numpy", locked=False))

    conflict = EngineError("changed", type="ConflictError", exit_status=2)

    async def scenario(scene):
        await scene.until_idle(1)

    scene = played(root, scenario, {"a": [conflict]}, may_lock=True)

    assert scene.kinds(Trouble) == []
    assert scene.built == ["a.ipynb", "a.ipynb"]


def test_failed_build_is_said_and_tried_again_when_the_notebook_is_saved(root):
    save(root / "a.ipynb", value("numpy"))

    collision = EngineError("no", type="CollisionError", exit_status=2)

    async def scenario(scene):
        await scene.until_idle(0, 1)
        save(root / "a.ipynb", value("numpy"))
        await scene.until(lambda: len(scene.kinds(Trouble)) == 2)
        await scene.until_idle(0, 1)
        save(root / "a.ipynb", value("numpy"))
        await scene.until_idle(1)

    played(root, scenario, {"a": [collision] * 2})


def test_build_that_the_network_failed_is_tried_again_by_itself(root):
    save(root / "a.ipynb", value("numpy"))
    silence = EngineError("no", type="NetworkError", exit_status=5)

    async def scenario(scene):
        await scene.until_idle(1)

    scene = played(root, scenario, {"a": [silence] * 2}, pace=Pace(retry=0.05))

    assert len(scene.built) == 3
    assert len(scene.kinds(Trouble)) == 1


class Unable(Observer):
    """What a system does that has no watches left."""

    def start(self):
        raise OSError(errno.ENOSPC, "inotify watch limit reached")


def test_system_without_watches_is_polled_and_the_sysctl_is_named(root):
    async def scenario(scene):
        await scene.until_idle(0)
        save(root / "sub" / "a.ipynb", value("numpy"))
        await scene.until_idle(1)
        save(root / "sub" / "a.ipynb", value("pandas"))
        await scene.until(lambda: len(scene.built) == 2)

    scene = played(root, scenario, pace=Pace(poll=0.1), make_observer=Unable)

    (polling,) = scene.kinds(Polling)
    assert polling.reason == "inotify watch limit reached"
    assert "fs.inotify.max_user_watches" in polling.command


class Deaf(Observer):
    """What a network's disk does: no error, and no event either."""

    def start(self):
        """Nothing comes."""

    @property
    def is_alive(self):
        return True


def test_what_the_system_does_not_tell_is_found_by_looking(root):
    async def scenario(scene):
        path = save(root / "a.ipynb", value("numpy"))
        await scene.until_idle(1)
        path.unlink()
        await scene.until_idle(0)

    played(root, scenario, pace=Pace(look=0.1), make_observer=Deaf)


def test_folder_that_is_removed_ends_the_watch(root):
    async def main():
        scene = Scene(root)
        async with watching(scene) as task:
            await scene.until_idle(0)
            root.rmdir()
            await asyncio.wait_for(task, PATIENCE)

    with pytest.raises(UsageError, match="there is no folder"):
        asyncio.run(main())


def test_folder_that_is_replaced_is_watched_on(root):
    async def scenario(scene):
        await scene.until_idle(0)
        new = root.with_name("new")
        save(new / "a.ipynb", value("numpy"))
        root.rmdir()
        new.rename(root)
        await scene.until(lambda: scene.ready() == ["a.ipynb"])
        save(root / "b.ipynb", value("pandas"))
        await scene.until(lambda: "b.ipynb" in scene.ready())

    played(root, scenario)


def test_root_may_be_a_link_and_keeps_its_name(root):
    link = root.with_name("link")
    link.symlink_to(root)

    async def scenario(scene):
        save(root / "a.ipynb", value("numpy"))
        await scene.until(lambda: scene.ready() == ["a.ipynb"])

    scene = played(link, scenario)

    assert scene.kinds(Ready)[0].document == link / "a.ipynb"


def test_stopping_stops_the_builds(root):
    save(root / "a.ipynb", value("numpy"))

    async def scenario(scene):
        await scene.until(lambda: scene.built)

    assert played(root, scenario, {"is_slow": True}).stopped == ["a.ipynb"]


def test_bug_in_a_build_ends_the_watch(root):
    save(root / "a.ipynb", value("numpy"))

    async def main():
        scene = Scene(root, a=[ZeroDivisionError()])
        async with watching(scene) as task:
            await asyncio.wait_for(task, PATIENCE)

    with pytest.raises(ZeroDivisionError):
        asyncio.run(main())
