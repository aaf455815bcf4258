"""What laying out a prefix needs to know of a conda package beyond the names of its files (pure).

The facts of an archive are a pure function of its bytes, written once into its store object, where
`nixenv.json` stands beside `info/` and the files as the archive has them. Whatever could only be found by
opening files is in here, so that planning a prefix reads the names in some folders and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal

from nixlib.errors import StoreError

__all__ = [
    "CONDA_LAYOUT",
    "INSIDE",
    "MOVED",
    "CondaFacts",
    "EntryPoint",
    "Placeholder",
    "final_path",
    "own_path",
    "parse_conda_facts",
]

CONDA_LAYOUT = 1
"""Number of the store object's layout; another one is another recipe in the ledger."""

INSIDE = ("info", "nixenv.json")
"""What is at the top of a store object and not of the prefix."""

Mode = Literal["text", "binary"]

MOVED = _SITE, _SCRIPTS = "site-packages", "python-scripts"
"""Folders of a `noarch: python` package that go elsewhere in a prefix; see `final_path`."""


@dataclass(frozen=True, slots=True)
class Placeholder:
    """The path in a file that stands for the prefix: how it is replaced, and what it is."""

    mode: Mode
    text: str


@dataclass(frozen=True, slots=True, order=True)
class EntryPoint:
    """A command of a `noarch: python` package: a function of a module."""

    command: str
    module: str
    function: str


@dataclass(frozen=True, slots=True)
class CondaFacts:
    """What is known of a package. Paths are those of its store object.

    Attributes:
        layout: Number of the store object's layout.
        name: As its `index.json` has it.
        version: The same.
        build: The same.
        build_number: The same.
        subdir: The same.
        noarch: `python`, `generic` or empty.
        depends: Match specs.
        constrains: Match specs.
        patched: Files with the placeholder of the prefix in them.
        copied: Programs without one: started through a link they would look beside the link's target.
        links: Targets of its symbolic links, none of which leads out of the prefix.
        real: Folders that cannot be one link into the store object for sure, and for each the folders
            outside of it where something in it looks for its neighbours; the empty path, the prefix, is
            looked for by what has to be a file of the prefix itself. See `nixlib.conda.reach`.
        entry_points: Commands to make.
        link_scripts: Scripts that conda would run while it installs, and what they would do.
    """

    layout: int
    name: str
    version: str
    build: str
    build_number: int
    subdir: str
    noarch: str
    depends: tuple[str, ...]
    constrains: tuple[str, ...]
    patched: Mapping[str, Placeholder]
    copied: tuple[str, ...]
    links: Mapping[str, str]
    real: Mapping[str, tuple[str, ...]]
    entry_points: tuple[EntryPoint, ...]
    link_scripts: Mapping[str, str]

    def to_bytes(self) -> bytes:
        """Canonical JSON: sorted keys, no spaces, ASCII, one newline at the end."""
        text = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))
        return text.encode() + b"\n"


def parse_conda_facts(data: bytes) -> CondaFacts:
    """The facts in the bytes of a store object's `nixenv.json`.

    Raises:
        StoreError: Not facts of a known layout: something else made the object, or a newer nixenv.
    """
    try:
        value = json.loads(data)
        layout = value["layout"]
        if layout == CONDA_LAYOUT:
            return _facts(value)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(f"the facts of a conda package cannot be read: {error!r}") from error
    raise StoreError(
        f"conda package `{value.get('name')}` has layout {layout}, this nixenv knows {CONDA_LAYOUT}"
    )


def _facts(value: dict[str, object]) -> CondaFacts:
    fields = dict(value)
    fields["patched"] = {path: Placeholder(**of) for path, of in fields["patched"].items()}  # type: ignore[attr-defined]
    fields["entry_points"] = tuple(EntryPoint(**of) for of in fields["entry_points"])  # type: ignore[attr-defined]
    fields["real"] = {folder: tuple(goals) for folder, goals in fields["real"].items()}  # type: ignore[attr-defined]
    for name in ("depends", "constrains", "copied"):
        fields[name] = tuple(fields[name])  # type: ignore[arg-type]
    return CondaFacts(**fields)  # type: ignore[arg-type]


def final_path(path: str, noarch: str, site: str) -> str:
    """Where in a prefix a package's `path` goes; conda's rule for `noarch: python`.

    Args:
        path: In the archive.
        noarch: As in the facts.
        site: Python's `site-packages`, relative to the prefix.

    Examples:
        >>> final_path("python-scripts/greet", "python", "lib/python3.11/site-packages")
        'bin/greet'
    """
    top, slash, rest = path.partition("/")
    if noarch != "python" or top not in (_SITE, _SCRIPTS):
        return path
    return f"{site if top == _SITE else 'bin'}{slash}{rest}"


def own_path(path: str, noarch: str, site: str) -> str:
    """Where a package would have what is at `path` of a prefix; of two places the one for modules.

    Examples:
        >>> own_path("lib/python3.11/site-packages/a", "python", "lib/python3.11/site-packages")
        'site-packages/a'
    """
    if noarch == "python" and f"{path}/".startswith(f"{site}/"):
        return f"{_SITE}{path[len(site) :]}"
    return path
