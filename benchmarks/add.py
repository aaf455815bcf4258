"""`%nixenv add` in a running kernel until the import works; beside `uv pip install` and the restart it needs."""

import itertools
import os
import time

from benchmarks.kernels import kernelspecs, started, wait
from benchmarks.measure import Row, Side, compare
from benchmarks.workplace import HUNDRED, UV, Workplace

SMALL = ("humanize", "tabulate", "inflection", "toolz", "pluggy", "xxhash", "parse", "termcolor")


def measure(place: Workplace) -> list[Row]:
    """Each round adds a package that neither side has seen."""
    notebook = place.notebook("add.ipynb", *HUNDRED)
    place.nixenv("build", str(notebook))
    venv = place.venv("venv", place.pins(notebook))
    place.run(str(venv / "bin" / "python"), "-m", "compileall", "-q", str(venv / "lib"))
    kernelspecs(place, venv)
    os.environ.update(place.env)
    ours, theirs = itertools.cycle(SMALL), itertools.cycle(SMALL)

    async def extended() -> float:
        package = next(ours)
        async with started(place, "nixenv", notebook) as (kernel, _):
            await kernel.run("import pandas")
            begin = time.perf_counter()
            await kernel.run(f"%nixenv add {package}\nimport {package}")
            return time.perf_counter() - begin

    async def reinstalled() -> float:
        package = next(theirs)
        async with started(place, "plain", notebook) as (kernel, _):
            await kernel.run("import pandas")
            begin = time.perf_counter()
            python = str(venv / "bin" / "python")
            place.run(*UV, "pip", "install", "--quiet", "--python", python, package)
            await kernel.stop()
            async with started(place, "plain", notebook) as (again, _):
                await again.run(f"import {package}")
                return time.perf_counter() - begin

    return [
        compare(
            "`%nixenv add` of one new package, until `import` works",
            Side("nixenv", lambda: wait(extended)),
            Side("`uv pip install` and a kernel restart", lambda: wait(reinstalled)),
            target=0.5,
            rounds=len(SMALL),
        )
    ]
