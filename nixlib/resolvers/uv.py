"""The only caller of uv: one problem in, one graph or one refusal out.

uv runs in a folder of its own with two generated files, so that nothing near the notebook decides
anything: `pyproject.toml` says what is wanted, `uv.toml` how indexes are reached. Credentials go in
environment variables; no file has them. `uv lock`, not `uv pip compile`: only it tells who wants whom
(dependency edges), at the same speed (0.7 s for 14 packages cold, 0.1 s warm).
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uv

from nixlib.cancel import Cancel
from nixlib.errors import ResolutionError
from nixlib.platforms import marker_environment
from nixlib.processgroup import end_group
from nixlib.resolvers.graph import Graph, parse_uv_lock
from nixlib.resolvers.indexes import Indexes
from nixlib.resolvers.sources.stubs import BESIDE, INSTEAD, Stub

__all__ = ["OLDEST_KERNEL", "ROOT", "LegacyMetadata", "Problem", "Refusal", "Solution", "solve"]

ROOT = "nixenv-notebook"
OLDEST_KERNEL = "ipykernel>=6.0"
"""The oldest kernel that our launcher works with: 6.0 is the first with the control thread."""
# Many indexes send no caching headers, and uv would then ask for every page again in each of the runs
# that make one resolution. A page is believed for a minute, a file (its name has its version) for ever.
_CACHING = {"api": "max-age=60", "files": "max-age=365000000, immutable"}
_BINARY_LOCK = threading.Lock()
_SEARCH = re.compile(r"Searching for a compatible version of ([a-z0-9-]+)\S* \(([^)]*)\)")
_POLL = 0.002  # seconds between two looks at a running uv

# Variables of uv that say how to reach an index or where to cache. The rest (UV_RESOLUTION,
# UV_CONSTRAINT, UV_EXCLUDE_NEWER, …) would make a lock depend on whose shell it was made in.
_KEPT_VARIABLES = frozenset(
    {
        "UV_CACHE_DIR",
        "UV_CONCURRENT_DOWNLOADS",
        "UV_CREDENTIALS_DIR",
        "UV_HTTP_PROXY",
        "UV_HTTPS_PROXY",
        "UV_INSECURE_HOST",
        "UV_KEYRING_PROVIDER",
        "UV_NATIVE_TLS",
        "UV_NO_CACHE",
        "UV_NO_PROXY",
        "UV_OFFLINE",
        "UV_SYSTEM_CERTS",
    }
)
# COLUMNS: uv would break its explanation at the width of whatever terminal this was started in.
_DROPPED_PREFIXES = ("UV_", "PIP_", "PYTHON", "CONDA_", "VIRTUAL_ENV", "RUST_LOG", "COLUMNS")


@dataclass(frozen=True)
class LegacyMetadata:
    """Metadata that uv cannot read, said again in words that it can."""

    name: str
    version: str
    requires: tuple[str, ...]
    requires_python: str = ""


@dataclass(frozen=True)
class Problem:
    """What uv is asked, for one system.

    Attributes:
        requirements: PEP 508 lines, printed by us.
        python: Full version of the interpreter.
        system: The Nix system.
        beside: Others that are answered at once, by the same versions wherever that can be; none of
            them is promised a wheel.
        constraints: PEP 508 lines that bind only what is installed anyway.
        exclude_newer: RFC 3339 time. (uv takes a bare date as a day of the local time zone.)
        exempt: Names that `exclude_newer` does not bind.
        preferences: Versions to keep where they fit.
        legacy: Metadata that uv must not read itself.
        instead: Packages whose only versions these are: no index is asked for their names.
        offered: Versions beside those that indexes have.
        placed: Direct dependencies that are taken from the index of this URL only, which nothing else is.
        traced: Whether uv tells what it looks for in vain.
    """

    requirements: tuple[str, ...]
    python: str
    system: str
    constraints: tuple[str, ...] = ()
    exclude_newer: str | None = None
    exempt: frozenset[str] = frozenset()
    preferences: Mapping[str, str] = field(default_factory=dict)
    legacy: tuple[LegacyMetadata, ...] = ()
    beside: tuple[str, ...] = ()
    instead: tuple[Stub, ...] = ()
    offered: tuple[Stub, ...] = ()
    placed: Mapping[str, str] = field(default_factory=dict)
    traced: bool = False


@dataclass(frozen=True)
class Solution:
    """uv's answer, what it said meanwhile, and its answer for each system beside.

    `unserved` has what it looked for in vain on the way, each with the bounds, where the problem is traced.
    """

    graph: Graph
    said: str
    beside: Mapping[str, Graph] = field(default_factory=dict)
    unserved: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Refusal:
    """uv found nothing that fits, or could not ask; in its own words."""

    problem: Problem
    said: str


def _nothing() -> None:
    """What there is to do for who has nothing to do meanwhile."""


def solve(
    problem: Problem,
    indexes: Indexes,
    *,
    timeout: float,
    cancel: Cancel,
    meanwhile: Callable[[], None] = _nothing,
) -> Solution | Refusal:
    """Run uv once.

    Args:
        problem: What is asked.
        indexes: Where, and as whom.
        timeout: Seconds without a byte after which an index counts as not answering.
        cancel: Ends uv, which is waited for.
        meanwhile: Called while uv works.

    Raises:
        RealisationCancelledError: The user stopped it.
        ResolutionError: There is no uv to ask with.
    """
    with tempfile.TemporaryDirectory(prefix="nixenv-uv-", ignore_cleanup_errors=True) as name:
        folder = Path(name)  # mkdtemp makes it 0700: an index's query may be a secret
        (folder / "pyproject.toml").write_text(project_toml(problem), encoding="utf-8")
        (folder / "uv.toml").write_text(uv_toml(problem, indexes), encoding="utf-8")
        for place, stubs in ((INSTEAD, problem.instead), (BESIDE, problem.offered)):
            if stubs:
                (folder / place).mkdir()
            for stub in stubs:
                (folder / place / stub.filename).write_bytes(stub.wheel())
        if problem.preferences:
            (folder / "uv.lock").write_text(previous_lock(problem, indexes), encoding="utf-8")
        environ = _environment(indexes, timeout, traced=problem.traced)
        code, everything = _run(folder, environ, cancel, meanwhile)
        said, unserved = _without_trace(everything) if problem.traced else (everything, ())
        if code != 0:
            return Refusal(problem, said)
        text = (folder / "uv.lock").read_text(encoding="utf-8")
    systems = (problem.system, *problem.beside)
    known = {system: marker_environment(system, problem.python) for system in systems}
    graphs = parse_uv_lock(text, ROOT, known)
    return Solution(graphs.pop(problem.system), said, graphs, unserved)


def _run(
    folder: Path, environ: Mapping[str, str], cancel: Cancel, meanwhile: Callable[[], None]
) -> tuple[int, str]:
    command = [_binary(), "lock", "--config-file", "uv.toml", "--python", sys.executable]
    command += ["--no-python-downloads", "--no-progress", "--color", "never"]
    with (folder / "said").open("w+b") as said:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=said,
            start_new_session=True,
        )
        try:
            meanwhile()
            while process.poll() is None:
                cancel.wait(_POLL)
            cancel.check()
        finally:
            end_group(process)
        said.seek(0)
        return process.returncode, said.read().decode("utf-8", errors="replace")


def _binary() -> str:
    # `find_uv_bin` asks `sysconfig`, whose first answer to two threads at once is wrong (seen on 3.11).
    with _BINARY_LOCK:
        try:
            return uv.find_uv_bin()
        except FileNotFoundError as error:
            raise ResolutionError(
                "cannot resolve: the `uv` that came with nixenv has gone",
                details=(str(error),),
                hint="`pip install --force-reinstall uv`",
                requirement="",
                notebook="",
            ) from error


def _without_trace(said: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    """What uv said, and what its trace says that it looked for without then selecting it.

    Of two versions of a package, the newer of which needs what has no wheel, uv takes the older one and has
    nothing to explain; only its trace tells. A uv that traces in other words costs nothing but this.
    """
    unserved: dict[tuple[str, str], None] = {}
    search: re.Match[str] | None = None
    for line in said.splitlines():
        if search and not re.search(rf"Selecting: {re.escape(search[1])}(?![a-z0-9-])", line):
            unserved[search[1], search[2]] = None
        search = _SEARCH.search(line)
    plain = [line for line in said.splitlines() if not line.startswith(("DEBUG", "TRACE"))]
    return "\n".join(plain), tuple(unserved)


def _environment(indexes: Indexes, timeout: float, *, traced: bool = False) -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in _KEPT_VARIABLES or not name.startswith(_DROPPED_PREFIXES)
    }
    kept["UV_HTTP_TIMEOUT"] = str(max(1, round(timeout)))
    kept["UV_HTTP_RETRIES"] = "2"
    # The only place where uv tells whose metadata it could not read, and what it looks for.
    kept["RUST_LOG"] = "uv=warn,uv_resolver::resolver=debug" if traced else "uv=warn"
    if indexes.certificates:
        kept.setdefault("SSL_CERT_FILE", indexes.certificates)
    for number, index in enumerate(indexes.asked):
        if index.credentials:
            user, password = index.credentials
            kept[f"UV_INDEX_NIXENV_{number}_USERNAME"] = user
            kept[f"UV_INDEX_NIXENV_{number}_PASSWORD"] = password
    return kept


def project_toml(problem: Problem) -> str:
    """The generated `pyproject.toml`: what is wanted, and for which machine."""
    # `requires-python` must admit the Python that runs uv; the environment's marker is what
    # narrows the choice to the interpreter of the lock, which may be newer or older than ours.
    markers = [_marker(system, problem.python) for system in (problem.system, *problem.beside)]
    tables: dict[str, dict[str, Any]] = {
        "project": {
            "name": ROOT,
            "version": "0",
            "requires-python": ">=3.8",
            "dependencies": list(problem.requirements),
        },
        "tool.uv": {
            "package": False,
            "environments": markers,
            "required-environments": [] if problem.beside else markers,
            "constraint-dependencies": list(problem.constraints),
        },
    }
    # Indexes for some names only are declared here: `tool.uv.sources` does not know those of `uv.toml`.
    places = {
        url: f"nixenv-place-{number}"
        for number, url in enumerate(sorted(set(problem.placed.values())))
    }
    if places:
        tables["tool.uv.sources"] = {
            name: {"index": places[url]} for name, url in sorted(problem.placed.items())
        }
    return "".join(f"[{name}]\n{_lines(table)}" for name, table in tables.items()) + "".join(
        "[[tool.uv.index]]\n" + _lines({"name": name, "url": url, "explicit": True})
        for url, name in places.items()
    )


def _marker(system: str, python: str) -> str:
    known = marker_environment(system, python)
    return " and ".join(
        f"{name} == '{known[name]}'"
        for name in ("python_full_version", "sys_platform", "platform_machine")
    )


def uv_toml(problem: Problem, indexes: Indexes) -> str:
    """The generated `uv.toml`: indexes in order, without credentials, and what limits the choice."""
    limits: dict[str, Any] = {"no-build": True}
    if problem.exclude_newer:
        limits["exclude-newer"] = problem.exclude_newer
        limits["exclude-newer-package"] = dict.fromkeys(sorted(problem.exempt), False)
    if problem.offered:
        limits["find-links"] = [f"./{BESIDE}"]
    # uv takes a package from the first index that knows its name.
    first = {"name": "nixenv-instead", "url": f"./{INSTEAD}", "format": "flat"}
    tables = [_lines(first)] if problem.instead else []
    tables += [
        _lines(
            {
                "name": f"nixenv-{number}",
                "url": index.url,
                "default": index is indexes.default,
                "cache-control": _CACHING,
                **({"format": "flat"} if index.flat else {}),
            }
        )
        for number, index in enumerate(indexes.asked)
    ]
    legacy = [
        _lines(
            {
                "name": item.name,
                "version": item.version,
                "requires-dist": list(item.requires),
                **({"requires-python": item.requires_python} if item.requires_python else {}),
            }
        )
        for item in problem.legacy
    ]
    return (
        _lines({**indexes.settings, **limits})
        + "".join(f"[[index]]\n{table}" for table in tables)
        + "".join(f"[[dependency-metadata]]\n{table}" for table in legacy)
    )


def previous_lock(problem: Problem, indexes: Indexes) -> str:
    """A `uv.lock` that says no more than which versions to prefer.

    uv forgets preferences whose `[options]` differ from the present ones, so they are repeated here, and
    those that came from another index, so each version is named for every index.
    """
    head = 'version = 1\nrevision = 3\nrequires-python = ">=3.8"\n'
    if problem.exclude_newer:
        head += "[options]\n" + _lines({"exclude-newer": problem.exclude_newer})
        if problem.exempt:
            head += "[options.exclude-newer-package]\n" + _lines(
                dict.fromkeys(sorted(problem.exempt), False)
            )
    urls = list(dict.fromkeys(index.public for index in indexes.asked if not index.flat))
    urls += sorted(set(problem.placed.values()))
    return head + "".join(
        "[[package]]\n" + _lines({"name": name, "version": version, "source": {"registry": url}})
        for name, version in sorted(problem.preferences.items())
        for url in urls
    )


def _lines(table: Mapping[str, Any]) -> str:
    return "".join(f"{key} = {_toml(value)}\n" for key, value in table.items())


def _toml(value: Any) -> str:
    """A TOML value. JSON's text literals are TOML's too, once nothing but characters beyond ASCII is escaped."""
    if isinstance(value, Mapping):
        return (
            "{ " + ", ".join(f"{_toml(key)} = {_toml(item)}" for key, item in value.items()) + " }"
        )
    if isinstance(value, Iterable) and not isinstance(value, str):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
