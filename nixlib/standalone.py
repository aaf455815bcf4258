"""Pythons of python-build-standalone: which exist, by what URL and sha256, and as a tree.

uv knows which releases exist (it carries the list, so this needs no network); the release publishes
the sha256 of its files. The mirror only has to be laid out as upstream's releases are.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from nixlib.errors import InterpreterError, NetworkError
from nixlib.httpclient import HttpClient
from nixlib.lock import Artifact
from nixlib.platforms import SYSTEMS, standalone_triple
from nixlib.precompile import with_bytecode
from nixlib.python_request import by_preference
from nixlib.sysconfigdata import relocated
from nixlib.tarball import read_tarball
from nixlib.tree import Directory, Node, Regular, Symlink, tree_of, walk
from nixlib.trim import is_kept, minor_of

RECIPE = 1
"""Changes whenever the same tarball would give another tree."""

_ROOT: Final = "python"  # the only folder at the top of an `install_only` archive
_CONFIGURED: Final = "/install"  # the prefix that upstream builds for
_SECONDS: Final = 60
_SUM: Final = re.compile(r"([0-9a-f]{64})[ *]*(\S+)?\s*")
_MAX_TEXT: Final = 4 << 20  # a release's list of sums has 0.2 MB
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


def standalone_artifacts(
    chosen: Mapping[str, Release], mirror: str, client: HttpClient
) -> dict[str, Artifact]:
    """URL, sha256 and size of each release file, as the mirror has them now.

    Args:
        chosen: From `choose`.
        mirror: The address that the releases are below.
        client: Its timeout is how long a silent mirror is waited for.

    Raises:
        NetworkError: The mirror does not answer, or has no such release.
    """
    mirror = mirror.rstrip("/")
    try:
        releases = {release.release for release in chosen.values()}
        sums = {release: _sums(client, mirror, release) for release in releases}
        return {
            system: _artifact(client, mirror, release, sums[release.release])
            for system, release in sorted(chosen.items())
        }
    except (OSError, HTTPException) as error:
        raise NetworkError(
            f"the mirror of Pythons `{mirror}` does not answer",
            details=(f"{type(error).__name__}: {error}".splitlines()[0],),
            url=mirror,
        ) from error


def _sums(client: HttpClient, mirror: str, release: str) -> dict[str, str]:
    """The sha256 of each file of a release; empty where the release has no list of them."""
    text = _text(client, f"{mirror}/{release}/SHA256SUMS")
    found = (_SUM.fullmatch(line) for line in text.splitlines())
    return {line[2]: line[1] for line in found if line and line[2]}


def _artifact(
    client: HttpClient, mirror: str, release: Release, sums: Mapping[str, str]
) -> Artifact:
    url = f"{mirror}/{release.release}/{release.file.replace('+', '%2B')}"
    # Releases up to 2022 have one file of a single sum beside each file.
    sha256 = sums.get(release.file)
    if sha256 is None:
        found = _SUM.fullmatch(_text(client, f"{url}.sha256"))
        if found is None:
            raise NetworkError(
                f"the mirror has no sha256 of `{release.file}`",
                details=(f"looked for `SHA256SUMS` and `.sha256` beside `{url}`",),
                url=url,
            )
        sha256 = found[1]
    return Artifact(url=url, sha256=sha256, size=_size(client, url))


def _text(client: HttpClient, url: str) -> str:
    """The text at `url`, empty where there is none."""
    buffer = bytearray(_MAX_TEXT)
    filled = 0
    with client.get(url) as response:
        if response.status == HTTPStatus.NOT_FOUND:
            return ""
        _check(response.status, url)
        while count := response.readinto(memoryview(buffer)[filled:]):
            filled += count
    return buffer[:filled].decode("utf-8", "replace")


def _size(client: HttpClient, url: str) -> int:
    """The size of the file at `url`, in bytes; one of them is asked for."""
    with client.get(url, {"Range": "bytes=0-0"}) as response:
        _check(response.status, url)
        field = (
            "content-range" if response.status == HTTPStatus.PARTIAL_CONTENT else "content-length"
        )
        size = response.headers.get(field, "").rpartition("/")[2]
    if not size.isdigit():
        raise NetworkError("the mirror of Pythons does not tell the size of a file", url=url)
    return int(size)


def _check(status: int, url: str) -> None:
    if status not in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
        raise NetworkError(
            f"the mirror of Pythons answered {status}", details=(f"to `{url}`",), url=url
        )


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
