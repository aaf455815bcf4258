"""The compiled files of a group: its extension modules, and the libraries that came with them.

A group's folder is made of links to its packages; what the dynamic linker holds are the files behind them.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from importlib.machinery import EXTENSION_SUFFIXES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterable, Iterator


@dataclass(frozen=True)
class Library:
    """One compiled file.

    Attributes:
        path: As the group's folder has it.
        place: The same relative to the folder.
        file: Where it really is.
    """

    path: str
    place: str
    file: str

    @property
    def is_module(self) -> bool:
        """Whether Python imports it, rather than the dynamic linker finding it for another."""
        name = os.path.basename(self.path)
        return ".cpython-" in name or name.endswith((".abi3.so", *EXTENSION_SUFFIXES[:-1]))


@lru_cache(maxsize=None)
def of_group(folders: tuple[str, ...]) -> tuple[Library, ...]:
    """The compiled files below folders of a store, which do not change."""
    real: dict[str, str] = {}  # folders, each of which has many files
    found = []
    for folder in folders:
        recorded = _recorded(folder)
        for path in below([folder]) if recorded is None else recorded:
            place, name = os.path.split(path)
            if place not in real:
                real[place] = os.path.realpath(place)
            file = os.path.join(real[place], name)
            file = os.path.realpath(file) if os.path.islink(file) else file
            found.append(Library(path, os.path.relpath(path, folder), file))
    return tuple(found)


def _recorded(folder: str) -> list[str] | None:
    """What the distributions' lists of files say; None if one has no list.

    nixenv writes them anew when it unpacks a wheel, so they are true; reading them is ten times as fast as
    looking into each folder.
    """
    entries = os.listdir(folder)
    infos = [entry for entry in entries if entry.endswith(".dist-info")]
    found = []
    try:
        for info in infos:
            with open(os.path.join(folder, info, "RECORD"), encoding="utf-8") as record:
                found += [
                    line.rsplit(",", 2)[0] for line in record if ".so" in line or ".dylib" in line
                ]
    except (OSError, ValueError):
        return None
    paths = [
        os.path.join(folder, name.strip('"')) for name in found if _is_library(name.strip('"'))
    ]
    return paths if infos else None


def _is_library(name: str) -> bool:
    return name.endswith((".so", ".dylib")) or ".so." in os.path.basename(name)


def below(folders: Iterable[str]) -> Iterator[str]:
    """The paths of the compiled files below any folders, by their names."""
    for folder in folders:
        for place, _, names in os.walk(folder, followlinks=True):
            yield from (os.path.join(place, name) for name in names if _is_library(name))
