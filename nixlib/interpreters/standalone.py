"""Pythons of python-build-standalone: which exist, and what is in one's release tarball.

uv knows which releases exist: it carries the list, so this needs no network.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from nixlib.errors import InterpreterError
from nixlib.interpreters.precompile import with_bytecode
from nixlib.interpreters.python_request import by_preference
from nixlib.interpreters.sysconfigdata import relocated
from nixlib.interpreters.tarball import read_tarball
from nixlib.interpreters.trim import is_kept, minor_of
from nixlib.platforms import SYSTEMS, standalone_triple
from nixlib.tree import Directory, Node, Regular, Symlink, tree_of, walk

RECIPE = 1
"""Changes whenever the same tarball would give another tree."""

_ROOT: Final = "python"  # the only folder at the top of an `install_only` archive
_CONFIGURED: Final = "/install"  # the prefix that upstream builds for
_SECONDS: Final = 60
# `install_only` is the tree alone; the other kinds have object files, or need a zstd reader. Of both
# kinds of one version uv names the stripped one, a third of the size.
_FILE: Final = re.compile(
    r".*/download/(?P<release>[^/]+)/(?P<file>[^/]+-install_only(_stripped)?\.tar\.gz)"
)


@dataclass(frozen=True, slots=True)
class Release:
    """One file of a release: its version and system, and where it is below the mirror's address."""

    version: str
    system: str
    release: str
    file: str


def known_releases(uv: Sequence[str] | None = None) -> tuple[Release, ...]:
    """Every CPython that uv knows a download of, for our systems; 0.1 s, no network.

    Args:
        uv: The command; None for the one that is installed beside us.

    Raises:
        InterpreterError: uv could not be started or does not answer as it should.
    """
    command = [
        *(uv or (_uv(),)),
        "python",
        "list",
        "--all-versions",
        "--all-platforms",
        "--all-arches",
    ]
    command += ["--only-downloads", "--output-format", "json", "--no-config"]
    # Variables that point uv at another list or mirror change the answer's URLs, not what we ask.
    process_env = {key: value for key, value in os.environ.items() if not key.startswith("UV_")}
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=_SECONDS, check=True, env=process_env, cwd="/"
        )
        return tuple(_releases(json.loads(done.stdout)))
    except (OSError, subprocess.SubprocessError, ValueError, KeyError) as error:
        raise InterpreterError(
            "`uv` does not tell which Pythons can be downloaded", details=(str(error),)
        ) from error


def _uv() -> str:
    from uv import find_uv_bin  # noqa: PLC0415 - needed here alone

    return str(find_uv_bin())


def _releases(entries: Sequence[Mapping[str, str]]) -> Iterator[Release]:
    triples = {standalone_triple(system): system for system in SYSTEMS}
    for entry in entries:
        if entry["implementation"] != "cpython" or entry["variant"] != "default":
            continue
        found = _FILE.fullmatch(unquote(entry["url"] or ""))
        if found is None:
            continue
        name = found["file"]
        system = next((s for t, s in triples.items() if f"-{t}-install_only" in name), None)
        if system is not None:  # else for Windows, musl, or a processor newer than the baseline
            yield Release(entry["version"], system, found["release"], name)


def choose(
    request: str | None, releases: Collection[Release], systems: Collection[str], usual: str
) -> dict[str, Release]:
    """The best version that `request` allows, for each of `systems` that has it.

    Versions that every system has come first. Nothing where none is allowed.
    """
    table: dict[str, dict[str, Release]] = {}
    for release in releases:
        if release.system in systems:
            table.setdefault(release.version, {})[release.system] = release
    ordered = by_preference(request, table, usual)
    return max((table[version] for version in ordered), key=len, default={})


def standalone_tree(
    tarball: bytes | memoryview, version: str, *, scratch: Path | None = None
) -> Directory:
    """The interpreter in a release tarball, with the bytecode of its standard library.

    Run-paths need no change: upstream's are `$ORIGIN/../lib`. The bytecode is made by the
    interpreter itself and depends on nothing else, so this stays a function of the tarball's bytes.

    Args:
        tarball: An `install_only` archive for the system of this machine.
        version: The version that it must be of.
        scratch: Folder for a temporary copy, on a file system that lets programs run.

    Raises:
        InterpreterError: The archive is damaged or hostile, or is of another version or system.
    """
    minor = minor_of(version)
    archive = read_tarball(tarball, root=_ROOT)
    nodes = {path: node for path, node in walk(archive) if not isinstance(node, Directory)}
    if f"bin/python{minor}" not in nodes:
        raise InterpreterError(f"the archive of Python {version} has no `bin/python{minor}`")
    kept = {path: _relocated(path, node) for path, node in nodes.items() if _belongs(path, minor)}
    kept |= {"bin/python3": Symlink(f"python{minor}"), "bin/python": Symlink(f"python{minor}")}
    return with_bytecode(tree_of(kept), version, scratch=scratch)


def _belongs(path: str, minor: str) -> bool:
    library = f"lib/python{minor}/"
    if path.startswith(library):
        parts = path.removeprefix(library).split("/")
        return all(is_kept("/".join(parts[:end])) for end in range(1, len(parts) + 1))
    if path.startswith("bin/"):
        return path == f"bin/python{minor}"  # the others are links to it, and scripts
    return path.startswith(("lib/", "include/")) and "/pkgconfig/" not in path


def _relocated(path: str, node: Node) -> Node:
    name = path.rpartition("/")[2]
    if not isinstance(node, Regular) or not (
        name.startswith("_sysconfigdata") and name.endswith(".py")
    ):
        return node
    source = b"".join(node.read()).decode("utf-8")
    return Regular.of(relocated(source, _CONFIGURED).encode())
