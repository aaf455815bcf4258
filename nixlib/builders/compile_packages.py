"""Compile packages of an environment into their owner's cache, when nobody else wants the processor.

Run by the environment's own Python (3.8 and later, no packages). Standard input has one JSON object:
`suffix` of bytecode files, `lock`, a file to hold while compiling, and `jobs`, lists of
`[done, [[source, target], …]]`: modules or folders, and where their bytecode goes; `done` is a file that
says that a job needs no second look. Each `.pyc` appears whole, by a rename, so this can be killed at any
time. Tests that packages bring along are left out: few people import them.
"""

import fcntl
import json
import os
import py_compile
import sys

UNCHECKED = py_compile.PycInvalidationMode.UNCHECKED_HASH
LEFT_OUT = ("__pycache__", "tests", "test")


def stand_back():
    """Take only what the machine has left over."""
    os.nice(19)
    try:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    except (AttributeError, OSError):
        pass  # not Linux, or not allowed in this container


def modules(source, target, suffix):
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


def compile_module(source, target):
    if os.path.lexists(target):
        return
    try:
        py_compile.compile(source, target, doraise=True, invalidation_mode=UNCHECKED)
    except (py_compile.PyCompileError, SyntaxError, ValueError, RecursionError):
        pass  # Python 2, or a template: nobody imports it


def main():
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
