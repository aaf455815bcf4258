"""A conda prefix as one package of an environment.

The prefix is whole by itself: its programs and libraries carry its own path. An environment shows the
same files below *its* path, because that is `sys.prefix`, where packages look for their data; and it has
commands of its own in the place of those that would start the prefix's Python, which knows no wheels.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from pathlib import Path

from nixlib.composition.package import FACTS_NAME, Package, Place, no_facts
from nixlib.composition.scripts import command_fault, is_python_script
from nixlib.conda.listing import PrefixListing
from nixlib.storepath import StorePath

__all__ = ["PREFIX", "prefix_package"]

PREFIX = "conda"
"""What the prefix is called where no package of it is meant."""

_HEAD = 4096  # bytes in which a first line, or the three that stand for one, end
_PYTHON_FOLDER = re.compile(r"python3\.\d+t?")


def prefix_package(
    path: StorePath,
    physical: Path,
    *,
    version: str,
    members: Collection[str],
    owner: Callable[[str], str],
) -> Package:
    """The prefix at `path` as a package whose every folder joins but the standard library's.

    Args:
        path: Its store path.
        physical: Where it is on this machine, which is also the path that its files carry.
        version: Of its Python, `3.11.7`; empty where it has none.
        members: Names of the packages that it was made of.
        owner: Which of them brought a path of the prefix.
    """
    listing = PrefixListing(physical)
    parts: dict[str, Place] = {"": "top", "bin": "bin"}
    apart = {FACTS_NAME}
    programs = listing.children("bin")
    if version:
        folder = "python" + ".".join(version.split(".")[:2])
        parts[f"lib/{folder}/site-packages"] = "site-packages"
        # The interpreter's own: the environment leads to them in its own way.
        apart |= {
            f"{place}/{name}"
            for place in ("include", "lib")
            for name in listing.children(place)
            if _PYTHON_FOLDER.fullmatch(name)
        }
        apart |= {f"bin/{name}" for name in programs if command_fault(name)}
    scripts = [
        name
        for name, kind in programs.items()
        # Also links to one: what they lead to would find itself in the prefix.
        if kind != "dir" and not command_fault(name) and _is_script(physical, name)
    ]
    return Package(
        name=PREFIX,
        version=version,
        path=path,
        listing=listing,
        facts=no_facts(PREFIX, version, python_scripts=tuple(sorted(scripts))),
        parts=parts,
        apart=frozenset(apart),
        members=frozenset(members),
        owner=owner,
    )


def _is_script(physical: Path, name: str) -> bool:
    try:
        with (physical / "bin" / name).open("rb") as file:
            head = file.read(_HEAD)
    except (FileNotFoundError, IsADirectoryError):
        return False  # a link to nothing, or to a folder
    return head.startswith(b"#!") and is_python_script(head, str(physical))
