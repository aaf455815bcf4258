"""Kernel start, environment already there; beside the plain kernelspec of a uv venv with the same packages.

And the imports of a second start, beside the same venv with its bytecode compiled.
"""

import os

from benchmarks.kernels import kernelspecs, started, wait
from benchmarks.measure import Row, Side, compare
from benchmarks.workplace import HUNDRED, Workplace

IMPORTS = "import time; t = time.perf_counter(); import pandas, sklearn, matplotlib; t = time.perf_counter() - t"


def measure(place: Workplace) -> list[Row]:
    """Both rows, from the same two environments."""
    notebook = place.notebook("start.ipynb", *HUNDRED)
    place.nixenv("build", str(notebook))
    venv = place.venv("venv", place.pins(notebook))
    place.run(str(venv / "bin" / "python"), "-m", "compileall", "-q", str(venv / "lib"))
    kernelspecs(place, venv)
    os.environ.update(place.env)

    async def start(kernelspec: str) -> float:
        async with started(place, kernelspec, notebook) as (_, seconds):
            return seconds

    async def imports(kernelspec: str) -> float:
        async with started(place, kernelspec, notebook) as (kernel, _):
            return float(await kernel.run(IMPORTS, "t"))

    return [
        compare(
            "kernel start, environment already there",
            Side("nixenv", lambda: wait(lambda: start("nixenv"))),
            Side("the plain kernelspec in a uv venv", lambda: wait(lambda: start("plain"))),
            target=1.03,
            rounds=15,
            warm_up=2,
        ),
        compare(
            "second start, `import pandas, sklearn, matplotlib`",
            Side("nixenv", lambda: wait(lambda: imports("nixenv"))),
            Side("the same import in a compiled venv", lambda: wait(lambda: imports("plain"))),
            target=1.05,
            rounds=9,
            warm_up=2,
        ),
    ]
