"""Which shared libraries a package needs that it does not bring, read out of its own files (`DT_NEEDED`).

Two kinds are told apart. What an import loads (extension modules, and what they link to) fails without them; a
plugin that nobody may ever load is no reason to say anything, though what it needs is supplied where it can be.
A store object never changes, so what was read of one is kept.
"""

from __future__ import annotations

import json
import mmap
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from nixlib.binaries.elf import Elf, read_elf
from nixlib.storepath import StorePath

_SHARED = re.compile(r".+\.so(\.\d+)*")
_MODULE = re.compile(r"(.+\.(cpython-3\d+[a-z]*(-[\w-]+)?|abi3)|(?!lib).+)\.so")
_FORMAT = 1


@dataclass(frozen=True)
class Needs:
    """Of one package.

    Attributes:
        imported: Sonames that importing it loads and it does not bring, each with a file that needs it.
        further: Sonames that only other libraries of it need.
        brought: Sonames of the libraries that it brings.
    """

    imported: Mapping[str, str] = field(default_factory=dict)
    further: frozenset[str] = frozenset()
    brought: frozenset[str] = frozenset()


def needs_of(path: StorePath, root: Path, cache: Path) -> Needs:
    """What the package at `root`, the store object `path`, needs; 30 µs for each file the first time.

    Args:
        path: Its store path.
        root: Where its files are.
        cache: Folder for what was read before.
    """
    kept = cache / "needed" / f"{path.digest}.json"
    try:
        value = json.loads(kept.read_bytes())
        if value["format"] == _FORMAT:
            return Needs(
                dict(value["imported"]), frozenset(value["further"]), frozenset(value["brought"])
            )
    except (OSError, ValueError, KeyError, TypeError):
        pass
    found = _needs(dict(_shared_files(root)))
    _keep(kept, found)
    return found


def _needs(files: Mapping[str, Elf]) -> Needs:
    by_soname = {path.rpartition("/")[2]: path for path in files}
    by_soname |= {elf.soname: path for path, elf in files.items() if elf.soname}
    imported: dict[str, str] = {}
    waiting = sorted(path for path in files if _MODULE.fullmatch(path.rpartition("/")[2]))
    seen = set(waiting)
    for path in waiting:
        for soname in files[path].needed:
            own = by_soname.get(soname)
            if own is None:
                imported.setdefault(soname, path)
            elif own not in seen:
                seen.add(own)
                waiting.append(own)
    further = {name for elf in files.values() for name in elf.needed} - by_soname.keys()
    return Needs(imported, frozenset(further - imported.keys()), frozenset(by_soname))


def _shared_files(root: Path) -> Iterator[tuple[str, Elf]]:
    for folder, _, names in os.walk(root):
        for name in names:
            if _SHARED.fullmatch(name):
                path = Path(folder, name)
                elf = elf_at(path)
                if elf is not None:
                    yield path.relative_to(root).as_posix(), elf


def elf_at(path: Path) -> Elf | None:
    """The dynamic section of a file; None for what is none or cannot be read."""
    with (
        suppress(OSError, ValueError),
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
    ):
        return read_elf(data)
    return None


def _keep(path: Path, found: Needs) -> None:
    value = {
        "format": _FORMAT,
        "imported": dict(found.imported),
        "further": sorted(found.further),
        "brought": sorted(found.brought),
    }
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    with suppress(OSError):  # a full disk costs another look
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_text(json.dumps(value))
        fresh.replace(path)
