"""Compile the standard library that this very interpreter runs on; the bytes depend on nothing else.

Run by the interpreter of a tree that is about to enter the store (Python 3.8 and later, no packages):
the tree's root is the working directory, and standard input has the sources' relative paths, one a
line. Standard output has, for each that compiles, a line `<length of path> <length of code>`, the path and the
contents of its `.pyc` (PEP 552, hash-based and unchecked: the store's files never change).
"""

import sys

del sys.path[0]  # the working directory: nothing in it may be imported

import importlib.util  # noqa: E402
import marshal  # noqa: E402
import types  # noqa: E402

_FLAGS = (1).to_bytes(4, "little")  # PEP 552: hash-based, `check_source` not set
_DERIVED = ("co_code", "co_lnotab", "co_lines", "co_positions", "co_branches")


def hold(code, kept):
    """Append everything inside `code` to `kept`.

    `marshal` marks an object as one that may be referred to when its reference count is above one, so
    the bytes would depend on what else this process happens to hold. Held once more by us, all are.
    """
    for name in dir(code):
        if name.startswith("co_") and name not in _DERIVED:
            hold_value(getattr(code, name), kept)


def hold_value(value, kept):
    kept.append(value)
    if isinstance(value, types.CodeType):
        hold(value, kept)
    elif isinstance(value, (tuple, frozenset)):
        for item in value:
            hold_value(item, kept)


def compiled(path):
    with open(path, "rb") as file:
        source = file.read()
    code = compile(source, path, "exec", dont_inherit=True, optimize=0)
    kept = []
    hold_value(code, kept)
    body = marshal.dumps(code)
    return importlib.util.MAGIC_NUMBER + _FLAGS + importlib.util.source_hash(source) + body


def main():
    out = sys.stdout.buffer
    for line in sys.stdin.buffer.read().splitlines():
        path = line.decode("utf-8")
        try:
            data = compiled(path)
        except (SyntaxError, ValueError):
            continue  # lib2to3 keeps some Python 2, which nobody imports
        out.write(b"%d %d\n" % (len(line), len(data)) + line + data)


main()
