"""What passes between who chooses versions and who builds: a source that is wanted, opened, built."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nixlib.lock import Artifact
from nixlib.lock.packages import LockedSource
from nixlib.storepath import StorePath

__all__ = ["BuiltWheel", "OpenedSource", "SourceWanted"]


@dataclass(frozen=True)
class SourceWanted:
    """A source as a requirement or an index names it.

    Attributes:
        kind: `sdist`, `git`, `path` or `editable`.
        artifact: For `sdist`: its archive, where the index tells its sha256 and size.
        url: For `sdist`: where its archive is, where nobody tells its sha256.
        location: For `git` the URL of the repository; for `path` and `editable` the folder, relative to
            the notebook's.
        commit: For `git`: a commit (40 digits), a tag or a branch; empty for the default branch.
        subdirectory: Where in the source the project is; empty for its top.
        name: Normalised name that it must have; empty where only the source tells it.
        version: The version that it must have; empty likewise.
    """

    kind: str
    artifact: Artifact | None = None
    url: str = ""
    location: str = ""
    commit: str = ""
    subdirectory: str = ""
    name: str = ""
    version: str = ""


@dataclass(frozen=True)
class OpenedSource:
    """A source tree in the store.

    Attributes:
        source: What the lock says of it; `build` is filled in by who locks its build requirements.
        requires: What it wants to be built with (PEP 518), or what a project without a word on it gets.
        tree: Its store object, valid.
        name: Normalised name, where the source states it; else what was wanted.
        version: Likewise.
        backend: The object that builds it (PEP 517).
        backend_path: Folders of the project where its backend is looked for first.
        external: What it wants of the system (PEP 725), `dep:` URLs.
        place: For `editable`: the folder's absolute path.
        tagged: The version that tools are told which would ask git for one.
        warnings: What is wrong with it and did not stop it.
    """

    source: LockedSource
    requires: tuple[str, ...]
    tree: StorePath
    name: str = ""
    version: str = ""
    backend: str = "setuptools.build_meta:__legacy__"
    backend_path: tuple[str, ...] = ()
    external: tuple[str, ...] = ()
    place: str = ""
    tagged: str = ""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class BuiltWheel:
    """A wheel that was built here.

    Attributes:
        filename: Its file name.
        data: Where it is; kept at least as long as the store is open.
        requires_dist: Its dependencies, as its metadata says them.
        name: Normalised name.
        version: As its metadata spells it.
        nar: SRI NAR hash of what it unpacks to; None for an editable one.
    """

    filename: str
    data: Path
    requires_dist: tuple[str, ...]
    name: str
    version: str
    nar: str | None = None
