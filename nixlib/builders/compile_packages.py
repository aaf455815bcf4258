# ruff: noqa: PTH110, PTH118, PTH123 - pathlib is not worth its import in a script that only walks
"""Compile packages of an environment into their owner's cache, when nobody else wants the processor.

Run by the environment's own Python (3.8 and later, no packages). Standard input has one JSON object:
`suffix` of bytecode files, `lock`, a file to hold while compiling, and `jobs`, lists of
`[done, [[source, target], …]]`: modules or folders, and where their bytecode goes; `done` is a file that
says that a job needs no second look. Each `.pyc` appears whole, by a rename, so this can be killed at any
time. Tests that packages bring along are left out: few people import them.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import py_compile
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

UNCHECKED = py_compile.PycInvalidationMode.UNCHECKED_HASH
LEFT_OUT = ("__pycache__", "tests", "test")


def stand_back() -> None:
    """Take only what the machine has left over."""
    os.nice(19)
    with contextlib.suppress(AttributeError, OSError):  # not Linux, or not allowed in a container
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def modules(source: str, target: str, suffix: str) -> Iterator[tuple[str, str]]:
    """Pairs of a module and its bytecode file."""
    if source.endswith(".py"):
        yield source, target
        return
    for folder, folders, files in os.walk(source, followlinks=True):
        folders[:] = sorted(name for name in folders if name not in LEFT_OUT)
        inside = os.path.normpath(os.path.join(target, os.path.relpath(folder, source)))
        for name in sorted(files):
            if name.endswith(".py"):
                yield os.path.join(folder, name), os.path.join(inside, name[:-3] + suffix)


def compile_module(source: str, target: str) -> None:
    """Make one bytecode file, whole or not at all."""
    if os.path.lexists(target):
        return
    # What is Python 2, or a template, nobody imports.
    with contextlib.suppress(py_compile.PyCompileError, SyntaxError, ValueError, RecursionError):
        py_compile.compile(source, target, doraise=True, invalidation_mode=UNCHECKED)


def main() -> None:
    """Do the jobs one after the other, alone."""
    stand_back()
    orders = json.load(sys.stdin)
    sys.stdin.close()
    with open(orders["lock"], "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for done, pairs in orders["jobs"]:
            if os.path.exists(done):
                continue
            for source, target in pairs:
                for module, bytecode in modules(source, target, orders["suffix"]):
                    compile_module(module, bytecode)
            open(done, "w").close()


if __name__ == "__main__":
    main()
