from __future__ import annotations

import asyncio
import json
import os
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from nixenv.errors import EngineError
from nixenv.server.builds import Builds, Order, current_builds
from nixlib.progress import Note, Phase, Progress

ENGINE = """
import json, os, sys, time
place = sys.argv[1]
open(os.path.join(place, f"engine-{os.getpid()}"), "w").close()
def say(**event):
    print(json.dumps(event), file=sys.stderr, flush=True)
say(event="phase", name="resolve")
say(event="progress", phase="download", done=1, total=2, bytes_done=10, bytes_total=20)
print("not an event", file=sys.stderr, flush=True)
"""


def order(place: Path, rest: str, key: str = "k") -> Order:
    """An engine that says three lines and then does `rest`."""
    return Order(key, (sys.executable, "-c", ENGINE + rest, str(place)), dict(os.environ))


def engines(place: Path) -> list[int]:
    """Process ids of the engines that were started."""
    return [int(path.name.partition("-")[2]) for path in place.glob("engine-*")]


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def until_started(place: Path) -> None:
    while not engines(place):  # noqa: ASYNC110 - another process's doing
        await asyncio.sleep(0.01)


def test_build_gives_the_answer_and_the_events(tmp_path):
    events = []

    answer = asyncio.run(Builds().run(order(tmp_path, 'print(\'{"env": "/e"}\')'), events.append))

    assert answer == {"env": "/e"}
    assert events == [Phase("resolve"), Progress("download", 1, 2, 10, 20)]


def test_build_is_shared_by_all_who_wait_for_it(tmp_path):
    async def many():
        builds = Builds()
        sinks = [[] for _ in range(20)]
        slow = order(tmp_path, "time.sleep(0.3); print(json.dumps({'by': os.getpid()}))")
        return (
            await asyncio.gather(*(builds.run(slow, sink.append) for sink in sinks)),
            sinks,
            builds.keys,
        )

    answers, sinks, keys = asyncio.run(many())

    assert len(engines(tmp_path)) == 1
    assert {answer["by"] for answer in answers} == set(engines(tmp_path))
    assert all(len(sink) == 2 for sink in sinks)
    assert keys == ()


def test_builds_of_different_environments_are_not_shared(tmp_path):
    async def two():
        builds = Builds()
        orders = [order(tmp_path, "print('{}')", key) for key in "ab"]
        await asyncio.gather(*(builds.run(one, print) for one in orders))

    asyncio.run(two())

    assert len(engines(tmp_path)) == 2


def test_second_build_starts_anew(tmp_path):
    async def twice():
        builds = Builds()
        for _ in range(2):
            await builds.run(order(tmp_path, "print('{}')"), print)

    asyncio.run(twice())

    assert len(engines(tmp_path)) == 2


def test_error_of_the_engine_is_raised_for_everybody(tmp_path):
    error = {
        "type": "ResolutionError",
        "message": "no",
        "hint": "h",
        "details": ["d"],
        "notebook": "n",
    }

    async def two():
        builds = Builds()
        failing = order(tmp_path, f"print(json.dumps({{'error': {error!r}}})); sys.exit(3)")
        return await asyncio.gather(
            *(builds.run(failing, print) for _ in range(2)), return_exceptions=True
        )

    for raised in asyncio.run(two()):
        assert isinstance(raised, EngineError)
        assert (raised.type, raised.exit_status, raised.notebook) == ("ResolutionError", 3, "n")
        assert raised.render() == "no\n  d\n\nhint: h"


def test_engine_that_dies_leaves_its_last_words(tmp_path):
    with pytest.raises(EngineError) as caught:
        asyncio.run(Builds().run(order(tmp_path, "os.kill(os.getpid(), 9)"), print))

    assert caught.value.exit_status == -9
    assert caught.value.details == ("not an event",)


def test_engine_that_cannot_be_started_is_an_error():
    with pytest.raises(EngineError) as caught:
        asyncio.run(Builds().run(Order("k", ("/nowhere/engine",), {}), print))

    assert "/nowhere/engine" in caught.value.details[0]


def test_one_who_stops_waiting_does_not_stop_the_others(tmp_path):
    async def one_leaves():
        builds = Builds()
        slow = order(tmp_path, "time.sleep(0.5); print('{\"done\": true}')")
        leaving = asyncio.ensure_future(builds.run(slow, print))
        staying = asyncio.ensure_future(builds.run(slow, print))
        await until_started(tmp_path)
        leaving.cancel()
        return await staying

    assert asyncio.run(one_leaves()) == {"done": True}


def test_build_is_stopped_when_nobody_waits_for_it(tmp_path):
    async def all_leave():
        builds = Builds()
        waiting = [
            asyncio.ensure_future(builds.run(order(tmp_path, "time.sleep(60)"), print))
            for _ in range(3)
        ]
        await until_started(tmp_path)
        for one in waiting:
            one.cancel()
        for one in waiting:
            with suppress(asyncio.CancelledError):
                await one
        return builds.keys

    assert asyncio.run(all_leave()) == ()
    assert not is_alive(engines(tmp_path)[0])


def test_build_can_be_stopped_for_everybody(tmp_path):
    async def stop():
        builds = Builds()
        waiting = [
            asyncio.ensure_future(builds.run(order(tmp_path, "time.sleep(60)"), print))
            for _ in range(2)
        ]
        await until_started(tmp_path)
        assert builds.cancel("k")
        assert not builds.cancel("another")
        return await asyncio.gather(*waiting, return_exceptions=True)

    raised = asyncio.run(stop())

    assert [type(one) for one in raised] == [EngineError, EngineError]
    assert [one.type for one in raised] == ["RealisationCancelledError"] * 2
    assert not is_alive(engines(tmp_path)[0])


def test_event_sink_that_fails_does_not_stop_the_build(tmp_path):
    def broken(_event):
        raise RuntimeError

    answer = asyncio.run(Builds().run(order(tmp_path, "print('{\"env\": 1}')"), broken))

    assert answer == {"env": 1}


def test_unknown_events_are_ignored(tmp_path):
    events = []
    rest = "say(event='note', level='info', text='t'); say(event='new kind'); say(a=1); print('{}')"

    asyncio.run(Builds().run(order(tmp_path, rest), events.append))

    assert events[2:] == [Note("info", "t")]


def test_long_answers_arrive_whole(tmp_path):
    rest = "print(json.dumps({'lock': 'x' * 5_000_000})); sys.stderr.write('y' * 300_000 + '\\n')"

    answer = asyncio.run(Builds().run(order(tmp_path, rest), print))

    assert len(answer["lock"]) == 5_000_000


def test_builds_belong_to_their_loop():
    async def mine():
        return current_builds(), current_builds()

    one, same = asyncio.run(mine())
    other, _ = asyncio.run(mine())

    assert one is same
    assert one is not other
    assert json.dumps(one.keys) == "[]"
