"""What private groups cost in the notebook's own process: public imports beside them, the first import, a call.

Each side is a kernel of its own, started as a server starts it: one whose notebook has a group, and that has
loaded pandas out of it, and one of the same packages without groups.
"""

import asyncio
import os
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack
from itertools import cycle
from pathlib import Path

from benchmarks.kernels import Kernel, kernelspecs, started, wait
from benchmarks.measure import Row, Side, compare
from benchmarks.workplace import Workplace

PUBLIC = ("pandas==2.2.3", "numpy<2")
OLD = "pandas==2.0.3"
FIRST = "import time; t = time.perf_counter(); {}; t = time.perf_counter() - t"
LOOPS = """
import importlib, sys, threading, time
def best(work, rounds=40):
    times = []
    for _ in range(rounds):
        start = time.perf_counter(); work(); times.append(time.perf_counter() - start)
    return min(times)
def cached():
    for _ in range(20_000): import json
def uncached():
    for _ in range(20):
        for name in ("colorsys", "sched", "netrc", "stringprep"):
            sys.modules.pop(name, None)
            importlib.import_module(name)
def in_thread(work):
    def run():
        thread = threading.Thread(target=work); thread.start(); thread.join()
    return run
"""
CALL = """

frame = pd.DataFrame({"a": range(1000), "b": [1, 2] * 500})
def call():
    for _ in range(200): frame.groupby("b").sum()
"""
KERNELS = 4


def measure(place: Workplace) -> list[Row]:
    """All rows, out of three notebooks."""
    kernelspecs(place, Path(sys.prefix))
    os.environ.update(place.env)
    without = place.notebook("without.ipynb", *PUBLIC)
    grouped = place.notebook("grouped.ipynb", *PUBLIC)
    place.nixenv("add", str(grouped), "--private", "old", OLD)
    plain = place.notebook("plain.ipynb", OLD, "numpy<2")
    for notebook in (without, grouped, plain):
        place.nixenv("build", str(notebook))
    return [
        compare(
            "first `import pandas` in a new kernel, from a private group",
            Side(
                "nixenv",
                lambda: first(place, grouped, "from nixenv.private.old import pandas"),
            ),
            Side("the notebook's own", lambda: first(place, plain, "import pandas")),
            target=1.1,
            rounds=15,
            warm_up=2,
        ),
        *asyncio.run(beside(place, without, grouped, plain)),
    ]


def first(place: Workplace, notebook: Path, line: str) -> float:
    """Seconds of this import in a new kernel."""

    async def run() -> float:
        async with started(place, "nixenv", notebook) as (kernel, _):
            return float(await kernel.run(FIRST.format(line), "t"))

    return wait(run)


async def beside(place: Workplace, without: Path, grouped: Path, plain: Path) -> list[Row]:
    """The rows of kernels that stay: of what runs in them while the group is there.

    Of each kind there are several, taken in turns: where a process has its memory makes more of a
    difference between two of them than what is measured.
    """
    setups = {
        without: "import pandas",
        grouped: "import pandas; from nixenv.private.old import pandas as pd" + CALL,
        plain: "import pandas as pd" + CALL,
    }
    async with AsyncExitStack() as stack:
        kernels: dict[Path, Iterator[Kernel]] = {}
        for notebook, setup in setups.items():
            started_ones = []
            for _ in range(KERNELS):
                kernel, _ = await stack.enter_async_context(started(place, "nixenv", notebook))
                await kernel.run(LOOPS + setup)
                started_ones.append(kernel)
            kernels[notebook] = cycle(started_ones)
        loop = asyncio.get_running_loop()

        def row(what: str, value: str, other: Path, against: str, target: float) -> Row:
            def timed(notebook: Path) -> float:
                asked = next(kernels[notebook]).run("", value)
                return float(asyncio.run_coroutine_threadsafe(asked, loop).result())

            return compare(
                what,
                Side("nixenv", lambda: timed(grouped)),
                Side(against, lambda: timed(other)),
                target=target,
                rounds=6 * KERNELS,
                warm_up=KERNELS,
            )

        same = "the same in a kernel without groups"
        loaded = "20,000 times `import` of a loaded module beside a loaded group"
        new = "80 public imports of new modules beside a loaded group"
        rows = (
            (loaded, "best(cached)", without, same, 1.01),
            (new, "best(uncached)", without, same, 1.01),
            ("the same in a thread", "best(in_thread(uncached))", without, same, 1.01),
            ("200 calls into a private pandas", "best(call)", plain, "the notebook's own", 1.02),
        )
        return [await asyncio.to_thread(row, *one) for one in rows]
