"""Commands of an environment: the files that console scripts and `#!python` scripts become (pure).

An environment does not know where it will lie (a chroot store is anywhere), so no command can name its
interpreter by an absolute path. Each finds `python` beside itself instead, through `realpath`, because a
user may well reach it through a link of his own. Source: entry points specification, wheel
specification ("Recommended installer features").
"""

from __future__ import annotations

import re

__all__ = [
    "RESERVED_COMMANDS",
    "command_fault",
    "console_script",
    "is_python_script",
    "relocate_python_script",
]

# A sub-shell and two programs a start, 2 ms; the price of not knowing where one is.
_HERE = '"$(dirname -- "$(realpath -- "$0")")"'

# To sh, line 2 replaces the shell by Python; to Python, lines 2 and 3 are one string. So `python
# $(which jupyter)` works as well, which people and process managers do.
_POLYGLOT = f"""#!/bin/sh
'''exec' {_HERE}/python "$0" "$@"
' '''
"""

# A script of a wheel is not ours to rewrite: a string above its docstring would take that one's place
# (`argparse(description=__doc__)`), stand before its `from __future__`, and move its coding line out of
# the first two. So only line 1 changes, and `env -S` (GNU coreutils 8.30, of the same year as the glibc
# 2.28 that we ask wheels for; macOS has it) gets the whole of it. 84 bytes: Linux cuts at 127.
_ONE_LINE = f'#!/usr/bin/env -S sh -c \'exec {_HERE}/python "$0" "$@"\'\n'

_ENTRY_POINT = re.compile(
    r"\s*(?P<module>[^\W\d]\w*(\.[^\W\d]\w*)*)\s*:\s*(?P<attribute>[^\W\d]\w*(\.[^\W\d]\w*)*)\s*"
    r"(\[[^\]]*\]\s*)?"
)
_COMMAND = re.compile(r"[0-9A-Za-z_][0-9A-Za-z_.+@-]*")
_MAX_COMMAND = 200

RESERVED_COMMANDS = frozenset({"env", "sh", "dirname", "realpath"})
"""Programs that our own commands call by name: with `bin/` first on PATH, such a command would start
itself for ever."""

_PYTHON = re.compile(r"python([0-9]+(\.[0-9]+)*t?)?", re.IGNORECASE)


def command_fault(name: str) -> str:
    """Why `name` cannot be a command of an environment; empty if it can.

    Examples:
        >>> command_fault("f2py"), command_fault("../x"), command_fault("python3")
        ('', 'not a file name that a command can have', 'the interpreter has this name')
    """
    if len(name) > _MAX_COMMAND or not _COMMAND.fullmatch(name):
        return "not a file name that a command can have"
    if _PYTHON.fullmatch(name):
        return "the interpreter has this name"
    return "commands find Python by it" if name in RESERVED_COMMANDS else ""


def console_script(entry_point: str) -> bytes | None:
    """The file for a console or GUI script; None if `entry_point` is not `module:attribute`.

    Args:
        entry_point: As in `entry_points.txt`, such as `numpy.f2py.f2py2e:main`; an `[extra]` at the
            end is allowed, and means nothing once everything is locked.
    """
    match = _ENTRY_POINT.fullmatch(entry_point)
    if not match:
        return None
    module, attribute = match["module"], match["attribute"]
    first = attribute.partition(".")[0]
    body = (
        f"import sys\nfrom {module} import {first}\n"
        f'if __name__ == "__main__":\n    sys.exit({attribute}())\n'
    )
    return (_POLYGLOT + body).encode()


def relocate_python_script(data: bytes) -> bytes:
    """A `#!python` script with a first line that finds the environment's Python.

    Every other byte stays, and so do line numbers, the coding line and the docstring. Of a script that sh
    hands to Python (an installer's answer to paths that are too long for the kernel) that goes as well.
    """
    handed_over = _HANDED_OVER.match(data)
    if handed_over:
        return _POLYGLOT.encode() + data[handed_over.end() :]
    _, _, rest = data.partition(b"\n")
    return _ONE_LINE.encode() + rest


_HANDED_OVER = re.compile(
    rb"#!/bin/sh\n'''exec' \"?(?P<program>/[^\n\"]*/bin/python[0-9.t]*)\"? [^\n]*(#'''|\n' ''')\n"
)
_STARTED = re.compile(rb"#! ?(?P<program>/[^\n ]*/bin/python[0-9.t]*)( [^\n]*)?\n")
_FOUND = re.compile(rb"#!/usr/bin/env python[0-9.t]*( [^\n]*)?\n")


def is_python_script(head: bytes, prefix: str) -> bool:
    r"""Whether a file that begins with `head` is run by the Python in `prefix`, or by the first on PATH.

    Examples:
        >>> is_python_script(b"#!/opt/conda/bin/python3.11\nprint(1)", "/opt/conda")
        True
        >>> is_python_script(b"#!/bin/sh\n", "/opt/conda")
        False
    """
    found = _HANDED_OVER.match(head) or _STARTED.match(head)
    if found:
        return found["program"].startswith(f"{prefix}/bin/".encode())
    return _FOUND.match(head) is not None
