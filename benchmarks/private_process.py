"""A call with a frame of 100 MB into a group's process; beside the same with `multiprocessing` and shared memory.

The other side is what one writes by hand: a process of the same interpreter and packages that waits, the frame's
values copied into a new block of `multiprocessing.shared_memory` for each call, the frame made there on that
block, and the answer sent back through a pipe.
"""

import os
import subprocess
from pathlib import Path

from benchmarks.measure import Row, Side, compare
from benchmarks.workplace import Workplace

KERNEL_SIDE = Path(__file__).parents[1] / "nixenv" / "kernel"
PINS = """
numpy==1.26.4
pandas==2.2.3
python-dateutil==2.9.0.post0
pytz==2024.2
six==1.16.0
tzdata==2024.2
"""
COMMON = """
import os, sys, time
import numpy as np, pandas as pd
FRAME = pd.DataFrame(np.random.default_rng(0).random((1_000_000, 13)))
def timed(call):
    start = time.perf_counter()
    assert call() > 0
    return time.perf_counter() - start
def serve(call):
    print("ready", flush=True)
    for _ in sys.stdin:
        print(timed(call), flush=True)
"""
OURS = """
import importlib.util
spec = importlib.util.spec_from_file_location("launcher", {launcher!r})
launcher = importlib.util.module_from_spec(spec)
spec.loader.exec_module(launcher)
sys.meta_path.insert(0, launcher.KernelSideFinder)
from nixenv.groups import registry
from nixenv.process.remote import ProcessGroup, Remote
registry.declare(Remote(ProcessGroup("legacy", sys.prefix, {{}})))
from nixenv.private.legacy import builtins, pandas
total = builtins.eval("lambda frame: float(frame.iloc[::1000].to_numpy().sum())")
serve(lambda: total(FRAME))
"""
THEIRS = """
import multiprocessing
from multiprocessing import resource_tracker, shared_memory
resource_tracker.ensure_running()  # One for both, or each would clean up after the other.
def work(pipe):
    while True:
        name, shape, dtype = pipe.recv()
        block = shared_memory.SharedMemory(name)
        frame = pd.DataFrame(np.ndarray(shape, dtype, block.buf), copy=False)
        pipe.send(float(frame.iloc[::1000].to_numpy().sum()))
        del frame
        block.close()
mine, other = multiprocessing.Pipe()
multiprocessing.get_context("fork").Process(target=work, args=(other,), daemon=True).start()
def call():
    values = FRAME.to_numpy()
    block = shared_memory.SharedMemory(create=True, size=values.nbytes)
    there = np.ndarray(values.shape, values.dtype, block.buf)
    there[:] = values
    mine.send((block.name, values.shape, values.dtype.str))
    answer = mine.recv()
    del there
    block.close()
    block.unlink()
    return answer
serve(call)
"""


class Serving:
    """A process that makes one call for each line that it is sent, and says how long it took."""

    def __init__(self, python: Path, code: str) -> None:
        self._process = subprocess.Popen(
            [python, "-c", COMMON + code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        )
        self._line()

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def call(self) -> float:
        """Seconds that one call takes."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return float(self._line())

    def end(self) -> None:
        """No more calls."""
        self._process.communicate(timeout=30)


def measure(place: Workplace) -> list[Row]:
    """One row."""
    pins = place.root / "pins.txt"
    pins.write_text(PINS)
    venv = place.venv("venv", pins)
    python = venv / "bin" / "python"
    ours = Serving(python, OURS.format(launcher=str(KERNEL_SIDE / "launcher.py")))
    theirs = Serving(python, THEIRS)
    try:
        return [
            compare(
                "call with a frame of 104 MB into a group's process",
                Side("nixenv", ours.call),
                Side("`multiprocessing` with shared memory", theirs.call),
                target=1.5,
                rounds=15,
                warm_up=3,
            )
        ]
    finally:
        ours.end()
        theirs.end()
