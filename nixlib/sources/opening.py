"""Opening a source: its tree as a store object, and what it says of how it is built; nothing of it is run.

The tree is a pure function of the archive, of the commit or of the folder's files, so it is
content-addressed, and is fetched again only where this machine does not have it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit
from urllib.request import url2pathname

from nixlib.cancel import Cancel
from nixlib.errors import HashMismatchError, NetworkError, SourceError
from nixlib.ledger import Ledger
from nixlib.lock import Artifact
from nixlib.lock.packages import LockedSource
from nixlib.network.ending import ended_by
from nixlib.network.fetch import fetch
from nixlib.network.httpclient import HttpClient
from nixlib.requirements.refusal import public_url
from nixlib.resolvers.indexes import credentials_source
from nixlib.settings import Settings
from nixlib.sources.archive import SUFFIXES, read_sdist
from nixlib.sources.folder import read_folder
from nixlib.sources.git import checked_url, fetch_commit
from nixlib.sources.project import Project, read_project
from nixlib.sources.source import OpenedSource, SourceWanted
from nixlib.sri import sri, sri_digest
from nixlib.store import Store
from nixlib.storepath import StorePath, fixed_output_path, sanitise_name
from nixlib.tree import Directory

__all__ = ["SDIST_RECIPE", "Opener"]

SDIST_RECIPE: Final = "sdist-1"
"""What is made of an sdist, in the ledger."""

COMMIT_RECIPE: Final = "commit-1"
"""What is made of a commit of git; the sha256 beside it is that of its 40 digits."""

_LARGEST: Final = 1 << 30
_OK: Final = 200
_SECRET_LINK: Final = frozenset((400, 401, 403, 404))

FindAgain = Callable[[str, str], str]


@dataclass(frozen=True)
class _Found:
    """A tree that is valid, what it is called, and what was learnt on the way."""

    path: StorePath
    source: LockedSource
    nar: str
    version: str = ""
    place: str = ""
    warnings: tuple[str, ...] = ()


class Opener:
    """Opens sources into one store.

    Args:
        store: Where trees become valid, with temporary roots.
        ledger: Remembers which archive or commit is which tree.
        settings: Where temporary files go, and how long a server may be silent.
        folder: The notebook's, which folders of projects are relative to.
        find_again: For a package's name and a URL without its secrets: the URL as the index gives it today.
        cancel: Stops downloads and git.
    """

    def __init__(
        self,
        store: Store,
        ledger: Ledger,
        settings: Settings,
        *,
        folder: Path,
        find_again: FindAgain | None = None,
        cancel: Cancel | None = None,
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._settings = settings
        self._folder = folder
        self._find_again = find_again
        self._cancel = cancel or Cancel()

    def open(self, wanted: SourceWanted) -> OpenedSource:
        """The tree of `wanted`, valid.

        Raises:
            SourceError: It is no project, is damaged, or something in it leads out of it.
            HashMismatchError: The archive is not the one that is named.
            NetworkError: It could not be had.
            StoreError: The store did not take it.
            RealisationCancelledError: Somebody stopped it.
        """
        ways = {
            "sdist": self._open_sdist,
            "git": self._open_git,
            "path": self._open_folder,
            "editable": self._open_folder,
        }
        found = ways[wanted.kind](wanted)
        shown = _shown(wanted)
        project = self._project(found.path, wanted.subdirectory, shown)
        _check(wanted, project, shown)
        return OpenedSource(
            source=found.source,
            requires=project.requires,
            tree=found.path,
            name=project.name or wanted.name,
            version=project.version or wanted.version,
            backend=project.backend,
            backend_path=project.backend_path,
            external=project.external,
            place=found.place,
            tagged=(wanted.version or found.version) if wanted.kind == "git" else "",
            warnings=found.warnings,
        )

    def reopen(self, source: LockedSource, name: str, version: str) -> OpenedSource:
        """The tree that a lock names.

        Raises:
            HashMismatchError: What is there now is another: the folder was changed since.
        """
        opened = self.open(
            SourceWanted(
                kind=source.kind,
                artifact=source.artifact,
                location=source.location,
                commit=source.commit,
                subdirectory=source.subdirectory,
                name=name,
                version=version,
            )
        )
        if source.tree and opened.source.tree != source.tree:
            raise _changed(source, opened.source.tree, name)
        return opened

    def _open_sdist(self, wanted: SourceWanted) -> _Found:
        data: bytes | None = None
        artifact = wanted.artifact
        if artifact is None:
            artifact, data = self._download(wanted.url)
        source = LockedSource("sdist", artifact=artifact, subdirectory=wanted.subdirectory)
        store_name = sanitise_name(f"{artifact.filename}-source")
        nar = self._ledger.get(artifact.sha256, SDIST_RECIPE)
        path = self._valid(store_name, nar)
        if path is None or nar is None:
            content = data if data is not None else self._fetch(artifact, wanted.name)
            tree = read_sdist(content, artifact.filename, scratch=self._scratch())
            path, nar = self._add(store_name, tree)
            self._ledger.put(artifact.sha256, SDIST_RECIPE, nar)
        return _Found(path, source, nar)

    def _open_git(self, wanted: SourceWanted) -> _Found:
        location = public_location(wanted.location)
        self._check_local(location)
        commit, version, warnings = wanted.commit, "", tuple[str, ...]()
        nar = self._ledger.get(_digest(commit), COMMIT_RECIPE)
        path = self._valid(_commit_name(commit), nar)
        if path is None or nar is None:
            checkout = fetch_commit(
                wanted.location, commit, scratch=self._scratch(), cancel=self._cancel
            )
            commit, warnings = checkout.commit, checkout.warnings
            version = checkout.tag.removeprefix("v")
            path, nar = self._add(_commit_name(commit), checkout.tree)
            self._ledger.put(_digest(commit), COMMIT_RECIPE, nar)
        source = LockedSource(
            "git", location=location, commit=commit, tree=nar, subdirectory=wanted.subdirectory
        )
        # Tools that ask git for a version want one that begins with a digit (PEP 440).
        version = version if version[:1].isdigit() else f"0.0.0+g{commit[:9]}"
        return _Found(path, source, nar, version=version, warnings=warnings)

    def _open_folder(self, wanted: SourceWanted) -> _Found:
        if not wanted.location.startswith("."):
            raise _outside(wanted.location, "it must begin with `./` or `../`")
        folder = (self._folder / wanted.location).resolve()
        tree = read_folder(folder, subdirectory=wanted.subdirectory)
        path, nar = self._add(sanitise_name(f"{folder.name}-source"), tree)
        # What is edited in place has no hash that could stay true.
        source = LockedSource(
            wanted.kind,
            location=wanted.location,
            tree=nar if wanted.kind == "path" else "",
            subdirectory=wanted.subdirectory,
        )
        return _Found(path, source, nar, place=str(folder) if wanted.kind == "editable" else "")

    def _check_local(self, location: str) -> None:
        """A lock of a stranger must not bring this user's repositories into a store that all can read."""
        parts = urlsplit(location)
        place = Path(url2pathname(parts.path)).resolve()
        if parts.scheme == "file" and not place.is_relative_to(self._folder.resolve()):
            raise _outside(location, "only repositories in the notebook's folder are read so")

    def _valid(self, store_name: str, nar: str | None) -> StorePath | None:
        if nar is None:
            return None
        path = fixed_output_path(store_name, sri_digest(nar), (), self._store.store_dir)
        self._store.add_temp_root((path,))
        return path if self._store.query_valid_paths((path,)) else None

    def _add(self, store_name: str, tree: Directory) -> tuple[StorePath, str]:
        self._cancel.check()
        info = self._store.add_tree(store_name, tree)
        self._store.add_temp_root((info.path,))
        return info.path, sri(info.nar_sha256)

    def _scratch(self) -> Path:
        folder = self._settings.cache_dir / "sources"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _client(self) -> HttpClient:
        return HttpClient(timeout=self._settings.timeout, auth=credentials_source())

    def _fetch(self, artifact: Artifact, name: str) -> bytes | memoryview:
        with self._client() as client:
            try:
                return memoryview(fetch(artifact, client, cancel=self._cancel))
            except NetworkError as error:
                if error.fields.get("status") not in _SECRET_LINK or self._find_again is None:
                    raise
                # A lock has none of the secrets that an index may put into its links.
                url = self._find_again(name, artifact.url)
                signed = Artifact(url, artifact.sha256, artifact.size)
                try:
                    return memoryview(fetch(signed, client, cancel=self._cancel))
                except (NetworkError, HashMismatchError):
                    raise error from None

    def _download(self, url: str) -> tuple[Artifact, bytes]:
        """An archive that nobody has told the sha256 of: the lock will."""
        name = public_url(url)
        if not name.lower().endswith(SUFFIXES):
            raise SourceError(
                f"`{name}` is not a source archive",
                details=(f"its name must end in {', '.join(f'`{s}`' for s in SUFFIXES)}",),
                source=name,
                member="",
            )
        try:
            with self._client() as client, ended_by(self._cancel, client):
                data = _body(client, url, name)
        except (OSError, HTTPException) as error:
            self._cancel.check()  # a connection that was cut to stop this is no failure
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise NetworkError(f"cannot download `{name}`", details=(reason,), url=name) from error
        return Artifact(name, hashlib.sha256(data).hexdigest(), len(data)), data

    def _project(self, path: StorePath, subdirectory: str, shown: str) -> Project:
        folder = self._store.physical(path) / subdirectory
        pyproject, pkg_info = (_read(folder / name) for name in ("pyproject.toml", "PKG-INFO"))
        if pyproject is None and not (folder / "setup.py").exists():
            raise SourceError(
                f"`{shown}` is no Python project",
                details=(
                    f"it has neither `pyproject.toml` nor `setup.py` in `{subdirectory or '.'}`",
                ),
                source=shown,
                member="pyproject.toml",
            )
        return read_project(pyproject, pkg_info, shown)


def _body(client: HttpClient, url: str, name: str) -> bytes:
    with client.get(url) as response:
        if response.status != _OK:
            raise NetworkError(
                f"cannot download `{name}`: the server answered {response.status}",
                url=name,
                status=response.status,
            )
        data = bytearray()
        for chunk in response.chunks():
            data += chunk
            if len(data) > _LARGEST:
                raise NetworkError(f"`{name}` is larger than {_LARGEST} bytes", url=name)
    return bytes(data)


def _read(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def _shown(wanted: SourceWanted) -> str:
    if wanted.artifact:
        return wanted.artifact.filename
    return public_url(wanted.url) if wanted.url else wanted.location


def _commit_name(commit: str) -> str:
    return f"{commit[:12]}-source"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def public_location(url: str) -> str:
    """The URL of a repository as a lock may have it: an SSH user's name is no secret, and is needed."""
    url = checked_url(url)
    parts = urlsplit(url)
    if parts.scheme != "ssh" or not parts.username:
        return public_url(url)
    return urlunsplit(parts._replace(netloc=f"{parts.username}@{parts.netloc.rpartition('@')[2]}"))


def _check(wanted: SourceWanted, project: Project, shown: str) -> None:
    if wanted.name and project.name and project.name != wanted.name:
        raise SourceError(
            f"`{shown}` is not `{wanted.name}`",
            details=(f"it calls itself `{project.name}`",),
            source=shown,
            member="PKG-INFO",
        )


def _outside(location: str, why: str) -> SourceError:
    return SourceError(
        f"`{location}` is not where a notebook's sources may be",
        details=(why,),
        source=location,
        member="",
    )


def _changed(source: LockedSource, found: str, name: str) -> HashMismatchError:
    where = source.location
    if source.kind == "path":
        summary = f"the folder `{where}` of `{name}` has changed since the notebook was locked"
        hint = "`%nixenv lock` takes it as it is now"
    else:
        summary = f"`{where}` has another tree at the locked commit of `{name}`"
        hint = "`%nixenv lock` makes a new lock; ask where this one came from"
    return HashMismatchError(
        summary,
        details=(f"expected {source.tree}", f"found    {found}"),
        hint=hint,
        url=where,
        expected=source.tree,
        actual=found,
        package=name,
    )
