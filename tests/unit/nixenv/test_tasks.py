from __future__ import annotations

import asyncio
import itertools
import json
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import jsonschema
import pytest

import nixenv.server
from nixenv.errors import EngineError, MetadataError
from nixenv.server.shared import share
from nixenv.server.tasks import KEPT, KEPT_SECONDS, Surroundings, Tasks, tasks_of
from nixlib.errors import RealisationCancelledError
from nixlib.progress import Phase, Progress

SERVED = Path(nixenv.server.__file__).parent
SCHEMA = json.loads((SERVED / "task-1.json").read_text())


@dataclass
class World:
    """A clock that tests set, and what was announced when."""

    now: float = 0.0
    said: list = field(default_factory=list)
    timers: list = field(default_factory=list)

    def announce(self, task):
        jsonschema.validate(task, SCHEMA)
        self.said.append((self.now, task))

    def later(self, seconds, call):
        timer = SimpleNamespace(when=self.now + seconds, call=call)
        timer.cancel = lambda: self.timers.remove(timer)
        self.timers.append(timer)
        return timer

    def go_to(self, moment):
        while due := [timer for timer in self.timers if timer.when <= moment]:
            timer = min(due, key=lambda timer: timer.when)
            self.now = max(self.now, timer.when)
            self.timers.remove(timer)
            timer.cancel = lambda: None
            timer.call()
        self.now = moment

    @property
    def messages(self):
        return [task["message"] for _, task in self.said]


@pytest.fixture
def world():
    return World()


@pytest.fixture
def tasks(world):
    return Tasks(Surroundings(world.announce, lambda: world.now, world.later))


def nothing():
    pass


def test_first_and_last_are_said_at_once_and_few_between(tasks, world):
    with tasks.running("a.ipynb", "kernel", nothing) as task:
        for step in range(1000):
            world.go_to(step / 100)
            task.sink(Progress("import", step, 1000))
        world.go_to(10.0)

    moments = [moment for moment, _ in world.said]
    assert moments[0] == 0
    assert moments[-1] == 10.0
    assert len(moments) <= 2 + 4 * 10
    assert all(b - a >= 0.2499 for a, b in itertools.pairwise(moments[:-1]))
    assert world.messages[0] == "starting"
    assert world.messages[-1] == "ready in 10.0 s"
    assert not world.timers


def test_what_was_kept_back_is_said_when_nothing_follows(tasks, world):
    with tasks.running("a.ipynb", None, nothing) as task:
        world.go_to(0.1)
        task.sink(Progress("import", 1, 9))
        task.sink(Progress("import", 2, 9))
        world.go_to(60.0)

        assert world.messages == ["starting", "adding to the store 2 of 9"]


ENDS = {
    "done": (None, "done", "ready in 0.0 s"),
    "stopped by the engine": (
        EngineError("stopped", type="RealisationCancelledError"),
        "cancelled",
        "stopped on request",
    ),
    "stopped here": (RealisationCancelledError("stopped"), "cancelled", "stopped on request"),
    "cancelled": (asyncio.CancelledError(), "cancelled", "stopped on request"),
    "failed": (MetadataError("it is not", hint="do"), "failed", "it is not"),
    "a bug": (KeyError("x"), "failed", "this is a bug in nixenv, not a mistake of yours: "),
}


@pytest.mark.parametrize(("error", "state", "message"), ENDS.values(), ids=ENDS)
def test_exception_is_how_a_task_ended(tasks, world, error, state, message):
    try:
        with tasks.running("a.ipynb", None, nothing):
            if error:
                raise error
    except type(error or KeyError):
        pass

    (task,) = tasks.all()
    assert task.state == world.said[-1][1]["state"] == state
    assert world.messages[-1].startswith(message)
    assert (world.said[-1][1]["error"] is None) == (state != "failed")


def test_engines_evidence_is_told_line_by_line(tasks, world):
    error = EngineError("cannot\n  one\n  two", details=("three",), hint="do", type="PlanError")
    with pytest.raises(EngineError), tasks.running("a.ipynb", None, nothing):
        raise error

    assert world.said[-1][1]["error"] == {
        "type": "PlanError",
        "message": "cannot",
        "details": ["one", "two", "three"],
        "hint": "do",
    }


def test_cancel_is_passed_on_once_and_not_after_the_end(tasks, world):
    calls = []
    with tasks.running("a.ipynb", None, lambda: calls.append(1)) as task:
        task.cancel()
        task.cancel()
        world.go_to(1.0)
        stopping = world.messages[-1]
    with tasks.running("b.ipynb", None, lambda: calls.append(2)) as other:
        pass
    other.cancel()

    assert calls == [1]
    assert stopping == "stopping"


def test_event_after_the_end_changes_nothing(tasks, world):
    with tasks.running("a.ipynb", None, nothing) as task:
        pass
    task.sink(Phase("compose"))
    task.end(KeyError())

    assert len(world.said) == 2
    assert task.state == "done"


def test_ended_tasks_are_forgotten_in_time_and_in_number(tasks, world):
    forever = tasks.begin("forever.ipynb", None, nothing)
    for number in range(KEPT + 10):
        world.go_to(float(number))
        with tasks.running(f"{number}.ipynb", None, nothing):
            pass
    kept = [task.path for task in tasks.all()]
    world.go_to(KEPT + KEPT_SECONDS)
    later = [task.path for task in tasks.all()]
    world.go_to(1e6)

    assert len(kept) == KEPT + 1
    assert kept[1] == "10.ipynb"
    assert later[1] == "100.ipynb"
    assert tasks.all() == (forever,)
    assert tasks.find(forever.id) is forever


def test_tasks_are_those_of_the_server_above(tasks):
    server = SimpleNamespace(web_app=SimpleNamespace(settings={}))
    kernels = SimpleNamespace(parent=server)
    without = tasks_of(kernels)
    share(server, tasks)

    assert without is None
    assert tasks_of(kernels) is tasks
    for stranger in (None, SimpleNamespace(parent=None), SimpleNamespace(parent=object())):
        assert tasks_of(stranger) is None


def test_event_and_answer_are_the_same_thing():
    openapi = json.loads((SERVED / "openapi.json").read_text())

    told = openapi["components"]["schemas"]["Task"]

    assert {key: SCHEMA[key] for key in told} == told
    assert SCHEMA["$id"] in openapi["info"]["description"]


def test_schema_is_one_that_jupyter_takes():
    from jupyter_events import EventLogger

    logger = EventLogger()
    logger.register_event_schema(dict(SCHEMA))

    assert SCHEMA["$id"] in logger.schemas
