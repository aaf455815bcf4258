"""Python as a conda package, made of the one that runs the tests: it starts, wheels run on it.

It is laid out as conda's is, with the prefix in a program, in a script's first line and in a text. What
no notebook imports is left out, so that the archive has a few megabytes.
"""

from __future__ import annotations

import struct
import sys
from pathlib import Path

from nixlib.interpreters.host_python import HostPython, read_host
from nixlib.interpreters.host_tree import host_tree
from nixlib.interpreters.trim import minor_of
from nixlib.testing.conda_archives import PLACEHOLDER, CondaArchive, make_conda
from nixlib.tree import Directory, Node, Regular, Symlink, walk

__all__ = ["own_python", "python_archives"]

_LEFT_OUT = (
    "ensurepip",
    "idlelib",
    "lib2to3",
    "pydoc_data",
    "tkinter",
    "turtle",
    "turtledemo",
    "_tkinter",
)
_PT_LOAD = 1
_HEADER = 64  # bytes of a 64-bit ELF header
_SEGMENT = 56  # bytes of one of its program headers


def own_python() -> HostPython:
    """The installation behind the Python that runs."""
    program = f"bin/python{sys.version_info.major}.{sys.version_info.minor}"
    host = read_host((Path(sys.base_prefix) / program).resolve())
    if host is None:
        raise RuntimeError(f"`{sys.base_prefix}` has no Python that can be copied")
    return host


def python_archives(host: HostPython, subdir: str, *, scratch: Path) -> list[CondaArchive]:
    """`python` for `subdir`, and its `python_abi`; costs some 3 s.

    Args:
        host: What it is made of.
        subdir: Conda's name of this machine's platform.
        scratch: Folder for temporary files, on a file system that lets programs run.
    """
    minor = minor_of(host.version)
    tag = minor.replace(".", "")
    return [
        make_conda(
            "python",
            host.version,
            "h0_0_cpython",
            _files(host_tree(host, scratch=scratch).tree, minor),
            constrains=[f"python_abi {minor}.* *_cp{tag}"],
            subdir=subdir,
            index={"python_site_packages_path": f"lib/python{minor}/site-packages"},
        ),
        make_conda("python_abi", minor, f"8_cp{tag}", constrains=[f"python {minor}.* *_cpython"]),
    ]


def trimmed_python(tree: Directory, minor: str) -> dict[str, Node]:
    """The files of a copied Python that the tests' packages of it have."""
    return {
        path: _stripped(node) if isinstance(node, Regular) else node
        for path, node in walk(tree)
        if not isinstance(node, Directory) and _is_wanted(path, node, minor)
    }


def _files(tree: Directory, minor: str) -> dict[str, Node]:
    files = trimmed_python(tree, minor)
    program = f"bin/python{minor}"
    own = _bytes(files[program])
    # What follows an ELF file's segments is not loaded; installers look for prefixes everywhere.
    embedded = f"\0{PLACEHOLDER}/lib/python{minor}\0{PLACEHOLDER}/bin\0".encode()
    return {
        **files,
        program: Regular.of(own + embedded, executable=True),
        f"bin/pydoc{minor}": Regular.of(
            f"#!{PLACEHOLDER}/bin/python{minor}\nimport pydoc\npydoc.cli()\n".encode(),
            executable=True,
        ),
        "bin/pydoc": Symlink(f"pydoc{minor}"),
        f"lib/pkgconfig/python-{minor}.pc": Regular.of(
            f"prefix={PLACEHOLDER}\nName: Python\nVersion: {minor}\n".encode()
        ),
        f"lib/python{minor}/site-packages/README.txt": Regular.of(b"Packages are put here.\n"),
    }


def _bytes(node: Node) -> bytes:
    return b"".join(node.read()) if isinstance(node, Regular) else b""


def _is_wanted(path: str, node: Node, minor: str) -> bool:
    inside = path.removeprefix(f"lib/python{minor}/").removeprefix("lib-dynload/")
    if isinstance(node, Symlink) and "__pycache__" in path:
        return False  # of our own layout, not of Python's
    first = inside.replace("__pycache__/", "").split("/")[0].split(".")[0]
    return first not in _LEFT_OUT


def _stripped(node: Regular) -> Regular:
    """Without what follows the last segment of an ELF file: debugging information, for the most part."""
    data = b"".join(node.read())
    if data[:6] != b"\x7fELF\x02\x01":
        return node
    table, count = struct.unpack_from("<Q", data, 32)[0], struct.unpack_from("<H", data, 56)[0]
    segments = [struct.unpack_from("<IIQQQQ", data, table + _SEGMENT * n) for n in range(count)]
    end = max(start + size for kind, _, start, _, _, size in segments if kind == _PT_LOAD)
    end = max(end, table + _SEGMENT * count, _HEADER)
    header = bytearray(data[:_HEADER])
    struct.pack_into("<Q", header, 40, 0)  # no section headers any more
    struct.pack_into("<HHH", header, 58, 0, 0, 0)
    return Regular.of(bytes(header) + data[_HEADER:end], executable=node.executable)
