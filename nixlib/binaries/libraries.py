"""Whether this machine's loader finds the libraries that an interpreter expects of the system."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Final

from nixlib.errors import InterpreterError

# ld.so(8): the cache first, then the default folders; Debian's have the architecture in them.
_CACHE: Final = Path("/etc/ld.so.cache")
_FOLDERS: Final = (
    "lib",
    "lib64",
    "usr/lib",
    "usr/lib64",
    "usr/local/lib",
    "lib/*-linux-gnu",
    "usr/lib/*-linux-gnu",
)


def missing_libraries(libraries: Collection[str], *, root: Path = Path("/")) -> tuple[str, ...]:
    """Those sonames that the loader would not find, sorted; 0.1 ms where none is missing.

    A library of another architecture counts as found: the cache has it under the same name, and a
    machine that has that one alone is rarer than it is worth loading each library to know.

    Args:
        libraries: Such as `libssl.so.3`.
        root: The file system to look in.
    """
    if not libraries:
        return ()
    try:
        cache = (root / _CACHE.relative_to("/")).read_bytes()
    except OSError:
        cache = b""
    absent = [name for name in libraries if f"/{name}\0".encode() not in cache]
    if not absent:
        return ()
    folders = [folder for pattern in _FOLDERS for folder in root.glob(pattern)]
    return tuple(sorted(n for n in absent if not any((folder / n).exists() for folder in folders)))


def check_libraries(version: str, libraries: Collection[str]) -> None:
    """Nothing, if a Python of this machine would find what it expects of the system.

    Args:
        version: Of that Python, for the message.
        libraries: Sonames.

    Raises:
        InterpreterError: It would not.
    """
    missing = missing_libraries(libraries)
    if missing:
        raise InterpreterError(
            f"Python {version} needs libraries that this machine does not have",
            details=tuple(f"`{name}` is missing" for name in missing),
            wanted=missing,
            found=(),
        )
