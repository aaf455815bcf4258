"""Programs, shared libraries and extension modules out of a few lines of C, compiled where tests run.

Needs a C compiler on PATH, and no headers but the C library's: the extension module says itself what it uses of
Python's stable ABI.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

__all__ = ["extension_module", "newer_library", "program", "shared_library"]

_MODULE = """
extern int {function}(void);
extern void *PyModule_Create2(void *, int);
extern int PyModule_AddIntConstant(void *, const char *, long);
struct definition {{
    long count; void *type; void *init; long index; void *copy;
    const char *name; const char *doc; long size;
    void *methods; void *slots; void *traverse; void *clear; void *release;
}};
static struct definition module = {{ 1, 0, 0, 0, 0, "{name}", 0, -1, 0, 0, 0, 0, 0 }};
void *PyInit_{name}(void) {{
    void *made = PyModule_Create2(&module, 1013);
    if (made) PyModule_AddIntConstant(made, "answer", {function}());
    return made;
}}
"""


def program(source: str, *flags: str) -> bytes:
    """A program."""
    return _compiled(source, flags)


def shared_library(soname: str, source: str, *, needs: Sequence[bytes] = ()) -> bytes:
    """A library that calls itself `soname` and is linked to the libraries `needs`."""
    return _compiled(source, ("-shared", "-fPIC", f"-Wl,-soname,{soname}"), needs)


def newer_library(soname: str, version: str, function: str = "greet") -> bytes:
    """A library whose `function` needs `version` of the C library, such as `GLIBC_2.99`."""
    # A C library of that version, as far as the linker can tell.
    script = f"{version} {{ global: future; }};\n"
    with tempfile.TemporaryDirectory() as folder:
        versions = Path(folder, "versions")
        versions.write_text(script)
        flags = (
            "-shared",
            "-fPIC",
            "-nostdlib",
            "-Wl,-soname,libc.so.6",
            f"-Wl,--version-script={versions}",
        )
        libc = _compiled("int future(void) { return 1; }", flags)
    source = f"extern int future(void); int {function}(void) {{ return future(); }}"
    own = ("-shared", "-fPIC", "-nostdlib", f"-Wl,-soname,{soname}")
    return _compiled(source, own, (libc,))


def extension_module(name: str, library: bytes, function: str = "greet") -> bytes:
    """An extension module whose `answer` is what `function` of a shared library returns."""
    source = _MODULE.format(name=name, function=function)
    return _compiled(source, ("-shared", "-fPIC", "-Wl,--allow-shlib-undefined"), (library,))


def _compiled(source: str, flags: Sequence[str], libraries: Sequence[bytes] = ()) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "out")
        given = [Path(folder, f"lib{number}.so") for number in range(len(libraries))]
        for path, data in zip(given, libraries, strict=True):
            path.write_bytes(data)
        argv = ["cc", "-x", "c", "-O1", "-s", "-o", str(out), "-", "-x", "none", *map(str, given)]
        done = subprocess.run(
            [*argv, *flags], input=source.encode(), capture_output=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"the C compiler failed: {done.stderr.decode()}")
        return out.read_bytes()
