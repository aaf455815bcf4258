"""`%nixenv add` in a running kernel until the import works; beside `uv pip install` and the restart it needs."""

import itertools
import os

from benchmarks.kernels import kernelspecs, start, wait
from benchmarks.measure import Row, Side, compare
from benchmarks.workplace import HUNDRED, UV, Workplace

SMALL = ("humanize", "tabulate", "inflection", "toolz", "pluggy", "xxhash", "docopt", "termcolor")


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
        kernel, _ = await start(place, "nixenv", notebook)
        await kernel.run("import pandas")
        code = f"import time; t = time.perf_counter()\n%nixenv add {package}\nimport {package}\nprint('took', time.perf_counter() - t)"
        seconds = float((await kernel.run(code)).rpartition("took")[2])
        await kernel.stop()
        return seconds

    async def reinstalled() -> float:
        package = next(theirs)
        kernel, _ = await start(place, "plain", notebook)
        await kernel.run("import pandas")

        def restart() -> None:
            place.run(
                *UV, "pip", "install", "--quiet", "--python", str(venv / "bin" / "python"), package
            )

        import time  # noqa: PLC0415

        begin = time.perf_counter()
        restart()
        await kernel.stop()
        again, _ = await start(place, "plain", notebook)
        await again.run(f"import {package}")
        seconds = time.perf_counter() - begin
        await again.stop()
        return seconds

    return [
        compare(
            "`%nixenv add` of one new package, until `import` works",
            Side("nixenv", lambda: wait(extended)),
            Side("`uv pip install` and a kernel restart", lambda: wait(reinstalled)),
            target=0.5,
            rounds=len(SMALL),
        )
    ]
