"""Packages of PyPI that come as source, each locked, built in an enclosure, used, and built once more.

    python benchmarks/sdists.py docs/sources.md            # all of them; writes the table into the page
    python benchmarks/sdists.py - annoy rpds-py            # some; prints it

The second build is another store's, with the first one's lock: what differs from that is said by the engine
itself. `uv pip install` builds on the machine as it is; what it sees there is no part of any lock.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from nixlib.engine import build, lock_spec
from nixlib.errors import NixError
from nixlib.lock import Lock
from nixlib.platforms import current_system
from nixlib.settings import Settings
from nixlib.spec import Spec, parse_spec

BEGIN, END = "<!-- sdists.py writes from here -->", "<!-- to here -->"
CC = ("host#cc",)


@dataclass(frozen=True)
class Source:
    """One package: what it is made of, how to use it, what its build may use."""

    line: str
    kind: str
    use: str
    inputs: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()  # what it imports and does not ask for

    @property
    def name(self) -> str:
        """What the line asks for."""
        return self.line.partition("==")[0]


ONLY_SOURCE = (
    Source("docopt==0.6.2", "setuptools, no `pyproject.toml`", "import docopt; docopt.docopt"),
    Source(
        "antlr4-python3-runtime==4.9.3",
        "setuptools, no `pyproject.toml`",
        "import antlr4; antlr4.InputStream('x')",
    ),
    Source("iopath==0.1.10", "setuptools, no `pyproject.toml`", "import iopath.common.file_io"),
    Source(
        "wget==3.2", "setuptools, a `.zip`", "import wget; wget.filename_from_url('http://a/b')"
    ),
    Source("crcmod==1.7", "C", "import crcmod._crcfunext", CC),
    Source("webrtcvad==2.0.10", "C", "import _webrtcvad", CC),
    Source("pesq==0.0.4", "Cython, numpy's headers", "import pesq; pesq.pesq", CC, ("numpy<2",)),
    Source(
        "annoy==1.17.3",
        "C++",
        "import annoy; annoy.AnnoyIndex(3, 'dot').add_item(0, [1, 2, 3])",
        CC,
    ),
    Source("hnswlib==0.8.0", "C++, pybind11", "import hnswlib; hnswlib.Index('l2', 4)", CC),
    Source("fasttext==0.9.3", "C++, pybind11", "import fasttext_pybind", CC),
)
"""No release of these that is pinned here has a wheel for Linux."""

BY_BACKEND = (
    Source("httpx==0.28.1", "hatchling", "import httpx; httpx.URL('http://a')"),
    Source("packaging==24.2", "flit", "import packaging.version"),
    Source("rich==13.9.4", "poetry-core", "import rich.table"),
    Source("peewee==3.17.8", "setuptools, Cython", "import peewee", CC),
    Source("contourpy==1.3.1", "meson-python, C++", "import contourpy._contourpy", CC),
    Source("levenshtein==0.27.1", "scikit-build-core, CMake, Cython", "import Levenshtein", CC),
)
"""These have wheels; `providers` asks for the source, for the sake of their backends."""

MISSING = (
    Source("crcmod==1.6", "C, without a compiler", ""),
    Source("pycairo==1.27.0", "meson-python, needs cairo", "", CC),
    Source("mysqlclient==2.2.7", "needs MySQL's library", "", CC),
    Source("pygraphviz==1.14", "needs Graphviz's headers", "", CC),
    Source("rpds-py==0.22.3", "maturin, needs Rust", "", CC),
)
"""What these miss is found in the log."""


@dataclass(frozen=True)
class Result:
    """How one fared."""

    source: Source
    outcome: str
    seconds: float = 0.0
    again: str = ""

    def row(self) -> str:
        """Its row of the table."""
        seconds = f"{self.seconds:.1f} s" if self.seconds else ""
        return f"| `{self.source.line}` | {self.source.kind} | {self.outcome} | {seconds} | {self.again} |"


def spec_of(source: Source, python: str) -> Spec:
    return parse_spec(
        {
            "version": 1,
            "python": python,
            "interpreter": "host",
            "systems": [current_system()],
            "requirements": [source.line, *source.beside],
            "providers": {source.name: "sdist"},
            "build-inputs": list(source.inputs),
        }
    )


def settings_in(folder: Path, name: str) -> Settings:
    return Settings(folder / "cache", folder / name / "state", store=str(folder / name / "store"))


def measured(source: Source, python: str, folder: Path) -> Result:
    spec = spec_of(source, python)
    first, second = settings_in(folder, "first"), settings_in(folder, "second")
    start = time.monotonic()
    try:
        lock = lock_spec(spec, None, settings=first, folder=folder)
        environment = build(spec, lock, settings=first).environment
    except NixError as error:
        print(error.render(), file=sys.stderr)
        hint = error.hint.partition(", beside")[0] if error.fields.get("missing") else ""
        return Result(source, f"not built: {hint}" if hint else f"not built: {error.summary}")
    seconds = time.monotonic() - start
    used = subprocess.run(
        [str(environment.path / "bin/python"), "-c", source.use],
        capture_output=True,
        text=True,
        check=False,
    )
    if used.returncode:
        return Result(source, f"built; using it fails: {used.stderr.splitlines()[-1]}", seconds)
    warnings = build(spec, lock, settings=second).environment.warnings
    differs = any("cannot be reproduced" in warning for warning in warnings)
    return Result(
        source,
        f"built with {backend_of(lock, source)}",
        seconds,
        "differs" if differs else "the same",
    )


def backend_of(lock: Lock, source: Source) -> str:
    """The first of the build packages that is a backend, and its version."""
    known = (
        "hatchling",
        "flit-core",
        "poetry-core",
        "meson-python",
        "scikit-build-core",
        "setuptools",
    )
    found = {p.name: p.version for p in lock.build_packages}
    name = next((name for name in known if name in found), source.name)
    return f"{name} {found.get(name, '')}".strip()


def table(title: str, results: list[Result]) -> str:
    head = "| package | made of | outcome | lock and build | built again |\n|---|---|---|---|---|\n"
    return f"**{title}**\n\n{head}" + "\n".join(result.row() for result in results) + "\n"


def main() -> None:
    # Nix kills what runs as one of its build users, and other stores of this machine have the same ones.
    os.environ.setdefault("NIX_CONFIG", "build-users-group =")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("page", help="page whose table is written, or `-`")
    parser.add_argument("names", nargs="*")
    parser.add_argument("--python", default="3.11")
    arguments = parser.parse_args()
    parts = []
    with tempfile.TemporaryDirectory(prefix="nixenv-sdists-", ignore_cleanup_errors=True) as name:
        for title, sources in (
            ("Ten packages that PyPI has as source only", ONLY_SOURCE),
            ("Other backends, asked for their source", BY_BACKEND),
            ("What is missing is named", MISSING),
        ):
            results = []
            for source in sources:
                if not arguments.names or source.name in arguments.names:
                    results.append(measured(source, arguments.python, Path(name)))
                    print(results[-1].row(), flush=True)
            parts.append(table(title, results))
        subprocess.run(["chmod", "-R", "u+w", name], check=False)
    if arguments.page == "-":
        return
    page = Path(arguments.page)
    text = page.read_text(encoding="utf-8")
    written = f"{BEGIN}\n\n" + "\n".join(parts) + f"\n{END}"
    page.write_text(
        re.sub(f"{BEGIN}.*{END}", lambda _: written, text, flags=re.DOTALL), encoding="utf-8"
    )


if __name__ == "__main__":
    sys.exit(main())
