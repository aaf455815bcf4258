"""Loads the native libraries of an environment that no search of the loader's would find.

A package that links to `libGL.so.1` gets it when a library of that name is in the process already, however it
came there. So this module, imported by a `.pth` file when any Python of this environment starts, loads each
by its path. A variable (`LD_LIBRARY_PATH`) would reach every program that is started from there as well, with
libraries that are not theirs: `git` and the shell break. This reaches Pythons of this environment and nothing else.
"""

import os
import sys

_loaded = False


def load() -> None:
    """Load them. Repeatable: `site` reads a virtual environment's `.pth` files twice."""
    global _loaded  # noqa: PLW0603 - once in a process
    folder = os.path.join(sys.prefix, "lib", "nixenv-libraries")
    if _loaded or not os.path.isdir(folder):
        return
    _loaded = True
    import ctypes  # only where there is something to load

    for name in sorted(os.listdir(folder)):
        # Its true place: glibc expands `$ORIGIN` from the path that it is given, links kept.
        path = os.path.realpath(os.path.join(folder, name))
        try:
            ctypes.CDLL(path)
        except OSError as error:
            sys.stderr.write("nixenv: %s\n" % error)  # noqa: UP031 - runs on Python 3.8
