# ruff: noqa: PTH102, PTH123, PTH211
"""Lay out a conda prefix: the folders, links, copies and patched files that a plan names.

Run by Nix as a builder (Python 3.8 and later, no packages); the argument is a JSON file, made by
`nixlib/conda/prefix.py`, with `store` (where the inputs are) and `place` (where store objects lie for
whoever uses the prefix; its own path in there is what is written into files). No code of any package runs.
How a placeholder is replaced is rattler's way (`link.rs`, `entry_point.rs`), to the byte.
"""

from __future__ import annotations

import json
import os
import re
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, BinaryIO

PIECE = 1 << 20
SHEBANG_LENGTH = 512 if sys.platform == "darwin" else 127

SHEBANG = re.compile(r"(#! *(/(?:\\ |[^ \n\r\t])*)(.*))")
PYTHON = re.compile(r"python(?:\d+(?:\.\d+)?)?", re.ASCII)

COMMAND = """\
{shebang}
# -*- coding: utf-8 -*-
import re
import sys

from {module} import {name}

if __name__ == '__main__':
\tsys.argv[0] = re.sub(r'(-script\\.pyw?|\\.exe)?$', '', sys.argv[0])
\tsys.exit({function}())
"""


def raw(text: str) -> bytes:
    """A path or text as bytes, whatever the locale of the builder is."""
    return text.encode("utf-8", "surrogateescape")


def patched_binary(data: bytes, old: bytes, new: bytes) -> bytes:
    """`data` with `old` replaced in each of its C strings, which keep their lengths."""
    pieces: list[bytes] = []
    done = 0
    start = data.find(old)
    while start >= 0:
        end = data.find(b"\0", start + len(old))
        end = len(data) if end < 0 else end
        text = data[start:end].replace(old, new)
        pieces += (data[done:start], text[: end - start], bytes(max(0, end - start - len(text))))
        done = end
        start = data.find(old, end)
    pieces.append(data[done:])
    return b"".join(pieces)


def patched_text(data: bytes, old: bytes, new: bytes) -> bytes:
    """`data` with `old` replaced, and a first line that the kernel can use."""
    head = b""
    end = data.find(b"\n")
    if data.startswith(b"#!") and end >= 0:
        head, data = data[:end], data[end:]
        line = head.decode("utf-8", "replace")
        head = patched_shebang(line, old.decode(), new.decode()).encode()
    return head + data.replace(old, new)


def patched_shebang(line: str, old: str, new: str) -> str:
    """A `#!` line with `old` replaced; one that is too long or has spaces finds its program otherwise."""
    if " " in new:
        return through_env(line).replace(old, new) if old in line else line
    line = line.replace(old, new)
    return line if len(line.encode()) <= SHEBANG_LENGTH else through_env(line)


def through_env(line: str) -> str:
    """A `#!` line that the kernel takes whatever the length of its path is."""
    found = SHEBANG.fullmatch(line)
    if found is None:
        return line
    path, options = found.group(2), found.group(3)
    name = path.rpartition("/")[2]
    if PYTHON.fullmatch(name):
        return "#!/bin/sh\n'''exec' \"" + path + '"' + options + ' "$0" "$@" #\'\'\''
    return "#!/usr/bin/env " + name + options


def command(python: str, module: str, function: str) -> bytes:
    """The file of a command that calls a function."""
    if len(python.encode()) > 127 - 2 or " " in python:
        shebang = "#!/bin/sh\n'''exec' \"" + python + '" "$0" "$@" #\'\'\''
    else:
        shebang = "#!" + python
    name = function.partition(".")[0]
    return raw(COMMAND.format(shebang=shebang, module=module, name=name, function=function))


def is_executable(file: BinaryIO) -> bool:
    """Whether an open file may be run."""
    return bool(os.fstat(file.fileno()).st_mode & 0o100)


def copy(source: bytes, path: bytes) -> None:
    """A file as it is; without `shutil`, whose import takes as long as a hundred of these."""
    with open(source, "rb") as file:
        mode = 0o777 if is_executable(file) else 0o666
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as copied:
            for piece in iter(lambda: file.read(PIECE), b""):
                copied.write(piece)


def write(path: bytes, data: bytes, *, executable: bool) -> None:
    """A file that was not there."""
    mode = 0o777 if executable else 0o666
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(data)


def build(orders: dict[str, Any], out: str) -> None:
    """Make the prefix `out`."""
    store, prefix = orders["store"], orders["place"] + "/" + os.path.basename(out)  # noqa: PTH119
    os.mkdir(out)
    os.chdir(out)
    for folder in orders["folders"]:
        os.mkdir(raw(folder))
    for path, target in orders["links"]:
        os.symlink(raw(target), raw(path))
    for path, source in orders["copies"]:
        copy(raw(store + "/" + source), raw(path))
    for path, source, mode, placeholder in orders["patches"]:
        with open(raw(store + "/" + source), "rb") as file:
            data = file.read()
            executable = is_executable(file)
        patch = patched_text if mode == "text" else patched_binary
        data = patch(data, raw(placeholder), raw(prefix))
        write(raw(path), data, executable=executable)
    for path, module, function in orders["commands"]:
        data = command(prefix + "/" + orders["python"], module, function)
        write(raw(path), data, executable=True)
    for path, text in orders["records"]:
        write(raw(path), raw(text), executable=False)


def main() -> None:
    """Do what the file says that the argument names."""
    with open(sys.argv[1], "rb") as file:
        orders = json.loads(file.read().decode())
    build(orders, os.environ["out"])  # noqa: SIM112 - Nix's name


if __name__ == "__main__":
    main()
