"""A build in a server and the kernel that follows it, over the socket between them."""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import suppress
from pathlib import Path

import pytest

from nixenv.bootstrap.follow import Following, ServerGoneError, read_wish, wish_json
from nixenv.errors import EngineError
from nixenv.server.hit import Hit
from nixenv.server.launch import Target
from nixenv.server.opening import Opened
from nixenv.server.reason import Reason
from nixenv.server.waiting import Waiting
from nixlib.progress import Phase, Progress

OPENED = Opened(Hit(Path("/e"), "digest", None), None)


class Build:
    """A build that does what it is told."""

    def __init__(self):
        self.told = asyncio.get_running_loop().create_future()
        self.begun = asyncio.Event()
        self.is_over = False
        self.announce = None

    async def __call__(self, announce):
        self.announce = announce
        self.begun.set()
        try:
            return await self.told
        finally:
            self.is_over = True


@pytest.fixture
def document(tmp_path):
    path = tmp_path / "a.ipynb"
    value = {
        "cells": [],
        "metadata": {"nixenv": {"version": 1}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    path.write_text(json.dumps(value))
    return path


def run(document, check):
    async def whole():
        build = Build()
        waiting = Waiting(build, wish_json(document, Target(document), document))
        await build.begun.wait()
        await asyncio.wait_for(check(build, waiting), 30)
        await waiting.leave()
        assert build.is_over

    asyncio.run(whole())


async def follow(waiting):
    following = await Following.open(os.dup(waiting.connect()))
    waiting.close_inherited()
    return following


def test_wish_arrives_with_the_document_as_it_is_now(document):
    target = Target(document, name="the name", writer="mailbox")
    wish = asyncio.run(read_wish(json.loads(json.dumps(wish_json(document, target, None)))))
    assert (wish.target, wish.user) == (target, None)
    assert wish.document.spec == {"version": 1}


def test_events_and_the_end_are_told(document):
    events = [Phase("download"), Progress("download", 1, 2, 10, 20)]

    async def check(build, waiting):
        build.announce(events[0])
        following = await follow(waiting)
        assert (await following.wish()).document.path == document
        seen = []
        outcome = asyncio.ensure_future(following.outcome(seen.append))
        while not seen:  # noqa: ASYNC110 - the other side's doing
            await asyncio.sleep(0.01)
        build.announce(events[1])
        build.told.set_result(OPENED)
        assert await outcome is None
        assert seen == events
        assert await waiting.until(None) is OPENED is waiting.opened
        following.close()

    run(document, check)


def test_one_who_comes_when_it_is_over_is_told_so(document):
    async def check(build, waiting):
        build.told.set_exception(EngineError("no such package", type="ResolutionError"))
        with pytest.raises(EngineError):
            await waiting.until(None)
        following = await follow(waiting)
        await following.wish()
        assert await following.outcome(print) == Reason("ResolutionError", "no such package")
        assert waiting.opened is None
        following.close()

    run(document, check)


def test_start_is_answered_when_patience_ends_and_the_build_goes_on(document):
    async def check(build, waiting):
        assert await waiting.until(0.01) is None
        assert not build.is_over

    run(document, check)


def test_start_that_is_cancelled_takes_the_build_with_it(document):
    async def check(build, waiting):
        start = asyncio.ensure_future(waiting.until(None))
        await asyncio.sleep(0)
        start.cancel()
        with suppress(asyncio.CancelledError):
            await start
        assert build.is_over

    run(document, check)


@pytest.mark.parametrize("by_kernel", [True, False])
def test_either_side_can_stop_it(document, by_kernel):
    async def check(build, waiting):
        following = await follow(waiting)
        await following.wish()
        if by_kernel:
            following.cancel()
        else:
            waiting.stop()
        reason = await following.outcome(print)
        assert reason.kind == "RealisationCancelledError"
        assert "stopped on request" in reason.text
        with pytest.raises(EngineError, match="stopped on request"):
            await waiting.until(None)
        following.close()

    run(document, check)


def test_kernel_notices_a_server_that_has_gone(document):
    async def check(build, waiting):
        following = await follow(waiting)
        await following.wish()
        await waiting.leave()
        with pytest.raises(ServerGoneError):
            await following.outcome(print)
        following.close()

    run(document, check)


def test_build_goes_on_when_its_kernel_has_gone(document):
    async def check(build, waiting):
        following = await follow(waiting)
        await following.wish()
        following.close()
        await asyncio.sleep(0.05)
        build.announce(Phase("compose"))
        build.told.set_result(OPENED)
        assert await waiting.until(None) is OPENED

    run(document, check)


def test_kernel_that_reads_nothing_costs_a_bounded_amount(document):
    async def check(build, waiting):
        following = await follow(waiting)
        await following.wish()
        (writer,) = waiting._writers
        for number in range(20_000):
            build.announce(Progress("download", number, 20_000))
        assert writer.transport.get_write_buffer_size() < 1 << 17
        build.told.set_result(OPENED)
        assert await following.outcome(lambda _: None) is None
        following.close()

    run(document, check)


def test_environment_that_nobody_wants_any_more_is_let_go(document, tmp_path):
    descriptor = os.open(tmp_path / "hold", os.O_CREAT | os.O_RDWR)

    async def check(build, waiting):
        build.told.set_result(Opened(Hit(Path("/e"), "digest", descriptor), None))
        await waiting.until(None)

    run(document, check)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)
