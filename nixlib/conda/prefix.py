"""Conda packages become one prefix: what is a link, what a copy, what is written (pure, given listings).

The prefix equals, file by file, the one that rattler makes of the same packages, its own path apart; but a
file that needs no change is a link to its package's store object, and a folder that one package alone
brings is one link, unless something in it must be found beside files of others (`CondaFacts.real`). So
the cost grows with the folders that packages share. Of two packages that bring one path the later one in
topological order has it, and the other's file is kept below `__clobbers__/<package>`, as rattler does.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nixlib.conda.facts import EntryPoint
from nixlib.conda.layout import CondaPackage, Layout, Patch, root_of
from nixlib.conda.linkscripts import link_script_of
from nixlib.conda.order import topological
from nixlib.errors import CondaArchiveError
from nixlib.lock import LockedCondaPackage
from nixlib.storepath import StorePath

__all__ = ["CondaPackage", "Patch", "PrefixPlan", "plan_prefix"]

_META = "conda-meta"


@dataclass(frozen=True)
class PrefixPlan:
    """All of a prefix but its own path.

    Attributes:
        inputs: The store objects that it is made of, sorted.
        folders: Real folders, parents first.
        links: Path and target of each symbolic link; those into the store lead out of the prefix.
        copies: Path, and file of the store, of each program.
        patches: Files that are written with the path of the prefix in them.
        commands: Path and entry point of each command that is made.
        records: Path and text of the files that tell other tools what is installed.
        python: The Python that commands are run by, in the prefix; empty where there is none.
        warnings: What the user should know, sorted.
    """

    inputs: tuple[StorePath, ...]
    folders: tuple[str, ...]
    links: tuple[tuple[str, str], ...]
    copies: tuple[tuple[str, str], ...]
    patches: tuple[Patch, ...]
    commands: tuple[tuple[str, EntryPoint], ...]
    records: tuple[tuple[str, str], ...]
    python: str
    warnings: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """What the builder is told."""
        return {
            "folders": list(self.folders),
            "links": [list(link) for link in self.links],
            "copies": [list(copy) for copy in self.copies],
            "patches": [
                [patch.path, patch.source, patch.placeholder.mode, patch.placeholder.text]
                for patch in self.patches
            ],
            "commands": [[path, entry.module, entry.function] for path, entry in self.commands],
            "records": [list(record) for record in self.records],
            "python": self.python,
        }

    def check_length(self, prefix: str) -> None:
        """Make sure that `prefix` fits where it is written into binary files.

        Raises:
            CondaArchiveError: The placeholder of one is shorter.
        """
        size = len(prefix.encode())
        for patch in self.patches:
            room = len(patch.placeholder.text.encode())
            if patch.placeholder.mode == "binary" and room < size:
                raise CondaArchiveError(
                    f"cannot install the conda archive `{patch.archive}`: the place for the prefix in "
                    f"`{patch.path}` is too short",
                    details=(f"it has {room} bytes", f"`{prefix}` has {size}"),
                    archive=patch.archive,
                    member=patch.path,
                )


def plan_prefix(packages: Sequence[CondaPackage]) -> PrefixPlan:
    """The prefix of some packages, none twice; reads the names in each folder that is not one link.

    Args:
        packages: In any order.

    Raises:
        CondaArchiveError: A package needs a Python to be laid out for, and there is none.
    """
    order = topological([package.locked for package in packages])
    ranks = {name: rank for rank, name in enumerate(order)}
    ordered = sorted(packages, key=lambda package: ranks[package.locked.name])
    python = next((p.locked for p in ordered if p.locked.name == "python"), None)
    site = _site(python) if python else ""
    records = tuple(_records(ordered))
    layout = Layout(site, ordered, frozenset(path for path, _ in records))
    layout.folder("", [root_of(package, rank, site) for rank, package in enumerate(ordered)])
    layout.clobbered()
    warnings = [*layout.warnings(), *_unrun(ordered)]
    return PrefixPlan(
        inputs=tuple(sorted(package.path for package in ordered)),
        folders=tuple(dict.fromkeys((*layout.folders, _META))),
        links=tuple(layout.links),
        copies=tuple(layout.copies),
        patches=tuple(layout.patches),
        commands=tuple(layout.commands),
        records=records,
        python=f"bin/{_minor(python)}" if python else "",
        warnings=tuple(sorted(warnings)),
    )


def _minor(python: LockedCondaPackage) -> str:
    return "python" + ".".join(python.version.split(".")[:2])


def _site(python: LockedCondaPackage) -> str:
    return python.site or f"lib/{_minor(python)}/site-packages"


def _unrun(packages: Sequence[CondaPackage]) -> Iterator[str]:
    """The scripts that conda would have run, where they do what somebody may miss."""
    for package in packages:
        for path, command in package.facts.link_scripts.items():
            name = path.rpartition("/")[2]
            if command and link_script_of(f"bin/{name}") == package.locked.name:
                yield f"{package.locked.name}: `{name}` is not run: it would have run `{command}`"


def _records(packages: Sequence[CondaPackage]) -> Iterator[tuple[str, str]]:
    """What `conda list` reads. No paths are in it: nobody removes a package from a prefix."""
    for package in packages:
        locked, facts = package.locked, package.facts
        record: Mapping[str, Any] = {
            "name": locked.name,
            "version": locked.version,
            "build": locked.build,
            "build_number": facts.build_number,
            "subdir": locked.subdir,
            "channel": locked.channel,
            "fn": locked.artifact.filename,
            "url": locked.artifact.url,
            "sha256": locked.artifact.sha256,
            "size": locked.artifact.size,
            "depends": list(facts.depends),
            "constrains": list(facts.constrains),
            "files": [],
            "paths_data": {"paths_version": 1, "paths": []},
            **({"noarch": locked.noarch} if locked.noarch else {}),
        }
        text = json.dumps(record, indent=2, sort_keys=True)
        yield f"{_META}/{locked.name}-{locked.version}-{locked.build}.json", f"{text}\n"
    yield f"{_META}/history", ""  # by which conda knows a prefix
