"""The scheduling of builds, with an engine that does what the test says."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from nixenv.notebook.metadata import Document, Stamp
from nixenv.server.hit import Hit
from nixenv.server.opening import Opened
from nixenv.watch.desk import Desk
from nixenv.watch.events import Building, Doing, Outdated
from nixlib.errors import NixError
from nixlib.progress import Phase


def document(name: str) -> Document:
    return Document(Path("/n", name), {}, Stamp(0, 0, 0, ""), name)


class Engine:
    """Builds that end when the test lets them."""

    def __init__(self, **options):
        self.started: list[str] = []
        self.stopped: list[str] = []
        self.told: list = []
        self.outcomes: list = []
        self.gates: dict[str, asyncio.Future] = {}
        self.desk = Desk(self.open, self.told.append, self.outcomes.append, **options)

    async def open(self, document, on_event):
        self.started.append(document.name)
        on_event(Phase("resolve"))
        gate = self.gates[document.name] = asyncio.get_running_loop().create_future()
        try:
            return await gate
        except asyncio.CancelledError:
            await asyncio.sleep(0)  # an engine takes its time to leave
            self.stopped.append(document.name)
            raise

    async def end(self, name: str, error: Exception | None = None) -> None:
        await settle()
        if error:
            self.gates[name].set_exception(error)
        else:
            self.gates[name].set_result(Opened(Hit(Path("/env", name), "digest", None), None))
        await settle()

    def names(self, number: int) -> list[str]:
        return [one.name for one in self.outcomes[number].documents]


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def run(scenario, **options):
    async def main():
        engine = Engine(**options)
        await asyncio.wait_for(scenario(engine), 30)
        await engine.desk.close()
        return engine

    return asyncio.run(main())


def test_documents_with_the_same_key_are_one_build():
    async def scenario(engine):
        for name in "abc":
            engine.desk.want(document(name), "key")
        await engine.end("a")

    engine = run(scenario)

    assert engine.started == ["a"]
    assert engine.names(0) == ["a", "b", "c"]
    assert engine.told == [
        Building(Path("/n/a")),
        Doing(Path("/n/a"), Phase("resolve")),
    ]


def test_only_so_many_builds_run_at_a_time():
    async def scenario(engine):
        for name in "abcd":
            engine.desk.want(document(name), name, first=False)
        await settle()
        assert engine.started == ["a", "b"]
        await engine.end("b")
        assert engine.started == ["a", "b", "c"]
        assert not engine.desk.is_idle
        for name in "acd":
            await engine.end(name)
        assert engine.desk.is_idle

    run(scenario, limit=2)


def test_what_was_just_saved_comes_first():
    async def scenario(engine):
        for name in "abc":
            engine.desk.want(document(name), name, first=False)
        engine.desk.want(document("saved"), "saved")
        await engine.end("a")

    assert run(scenario, limit=1).started == ["a", "saved"]


def test_same_wish_again_does_not_disturb_its_build():
    async def scenario(engine):
        for _ in range(3):
            engine.desk.want(document("a"), "key")
            await settle()
        await engine.end("a")

    engine = run(scenario)

    assert (engine.started, engine.stopped) == (["a"], [])


def test_build_is_stopped_when_its_document_wants_another_one():
    async def scenario(engine):
        engine.desk.want(document("a"), "old")
        await settle()
        engine.desk.want(document("a"), "new")
        await engine.end("a")

    engine = run(scenario)

    assert engine.started == ["a", "a"]
    assert engine.stopped == ["a"]
    assert [type(event) for event in engine.told].count(Outdated) == 1
    assert len(engine.outcomes) == 1


def test_build_goes_on_when_only_another_document_leaves():
    async def scenario(engine):
        engine.desk.want(document("a"), "key")
        engine.desk.want(document("b"), "key")
        engine.desk.leave(Path("/n/b"))
        await engine.end("a")

    engine = run(scenario)

    assert engine.stopped == []
    assert engine.names(0) == ["a"]


def test_others_get_their_environment_when_the_first_document_leaves():
    async def scenario(engine):
        engine.desk.want(document("a"), "key")
        engine.desk.want(document("b"), "key")
        engine.desk.want(document("c"), "key")
        await settle()
        engine.desk.leave(Path("/n/a"))
        await settle()
        assert engine.desk.key_of(Path("/n/a")) is None
        await engine.end("b")

    engine = run(scenario)

    assert (engine.started, engine.stopped) == (["a", "b"], ["a"])
    assert engine.names(0) == ["b", "c"]


def test_waiting_build_that_nobody_wants_never_starts():
    async def scenario(engine):
        engine.desk.want(document("a"), "a")
        engine.desk.want(document("b"), "b")
        await settle()
        engine.desk.leave(Path("/n/b"))
        await engine.end("a")
        assert engine.desk.is_idle

    assert run(scenario, limit=1).started == ["a"]


def test_failure_is_everybodys():
    async def scenario(engine):
        engine.desk.want(document("a"), "key")
        engine.desk.want(document("b"), "key")
        await engine.end("a", NixError("no"))
        engine.desk.want(document("b"), "key")
        await engine.end("b")

    engine = run(scenario)

    assert engine.names(0) == ["a", "b"]
    assert isinstance(engine.outcomes[0].result, NixError)
    assert engine.names(1) == ["b"]


def test_close_returns_when_the_engines_are_gone():
    async def scenario(engine):
        for name in "abc":
            engine.desk.want(document(name), name, first=False)
        await settle()
        await engine.desk.close()
        assert sorted(engine.stopped) == ["a", "b"]
        assert engine.desk.is_idle

    assert run(scenario).outcomes == []


@pytest.mark.parametrize("flips", [2, 7])
def test_document_that_changes_its_mind_ends_with_the_last_wish(flips):
    async def scenario(engine):
        for number in range(flips):
            engine.desk.want(document("a"), f"key-{number % 2}")
            await settle()
        await engine.end("a")

    engine = run(scenario)

    assert len(engine.stopped) == flips - 1
    assert len(engine.outcomes) == 1
