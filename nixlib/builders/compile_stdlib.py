"""Compile the standard library that this very interpreter runs on; the bytes depend on nothing else.

Run by the interpreter of a tree that is about to enter the store (Python 3.8 and later, no packages):
the tree's root is the working directory, the argument is the version that it must be, and standard
input has the sources' relative paths, one a line. Standard output has, for each that compiles, a line
`<length of path> <length of code>`, then the path and the contents of its `.pyc`.
"""

from __future__ import annotations

import sys

if __name__ == "__main__":
    del sys.path[0]  # the working directory: nothing in it may be imported

import importlib.util
import marshal
import types

# PEP 552: hash-based, `check_source` not set, because the store's files never change.
_FLAGS = (1).to_bytes(4, "little")
_DERIVED = ("co_code", "co_lnotab", "co_lines", "co_positions", "co_branches")


def hold(value: object, kept: list[object]) -> None:
    """Append `value` and everything inside it to `kept`.

    `marshal` marks an object as one that may be referred to when its reference count is above one, so
    the bytes would depend on what else this process happens to hold. Held once more by us, all are.
    """
    kept.append(value)
    if isinstance(value, types.CodeType):
        for name in dir(value):
            if name.startswith("co_") and name not in _DERIVED:
                hold(getattr(value, name), kept)
    elif isinstance(value, (tuple, frozenset)):
        for item in value:
            hold(item, kept)


def compiled(path: str) -> bytes:
    """The contents of the `.pyc` of the source at `path`, which is also the name in tracebacks.

    Python puts the real path in its place when it loads the file.
    """
    with open(path, "rb") as file:  # noqa: PTH123 - pathlib would cost half of the run
        source = file.read()
    code = compile(source, path, "exec", dont_inherit=True, optimize=0)
    kept: list[object] = []
    hold(code, kept)
    body = marshal.dumps(code)
    return importlib.util.MAGIC_NUMBER + _FLAGS + importlib.util.source_hash(source) + body


def main() -> None:
    """Compile what standard input names."""
    version = sys.version.split()[0].rstrip("+")
    if version != sys.argv[1]:
        sys.exit("it is Python " + version)
    out = sys.stdout.buffer
    for line in sys.stdin.buffer.read().splitlines():
        try:
            data = compiled(line.decode("utf-8"))
        except (SyntaxError, ValueError):
            continue  # lib2to3 keeps some Python 2, which nobody imports
        out.write(b"%d %d\n" % (len(line), len(data)) + line + data)


if __name__ == "__main__":
    main()
