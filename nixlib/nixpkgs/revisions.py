"""Revisions: a branch becomes a commit, and a commit's tree a store object.

The tree is `source`, content-addressed, as Nix's own fetchers name it: a revision that somebody's flakes
have fetched is found again, and one that is fetched here serves them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nixlib.errors import HashMismatchError, NetworkError, SourceError
from nixlib.network.httpclient import HttpClient
from nixlib.nixpkgs.archive import fetch_archive, find_commit
from nixlib.nixpkgs.repository import Pin, Repository
from nixlib.progress import EventSink, Note, Phase, Progress, ignore
from nixlib.sri import sri, sri_digest
from nixlib.storepath import StorePath, fixed_output_path

if TYPE_CHECKING:
    from nixlib.cancel import Cancel
    from nixlib.ledger import Ledger
    from nixlib.settings import Settings
    from nixlib.store import Store

STORE_NAME = "source"
_TOLD = 4 << 20  # bytes between two words about a download
_RECIPE = "revision-1"
"""What is made of a commit: another way to unpack archives would be another pair in the ledger."""


@dataclass(frozen=True, order=True)
class Revision:
    """A commit and its tree.

    Attributes:
        repository: Whose.
        commit: 40 hexadecimal digits.
        tree: SRI NAR hash of its files.
    """

    repository: Repository
    commit: str
    tree: str

    def path(self, store_dir: str) -> StorePath:
        """Where its files are in a store."""
        return fixed_output_path(STORE_NAME, sri_digest(self.tree), (), store_dir)


@dataclass
class Revisions:
    """Looks revisions up and brings them into a store; each branch is asked for once.

    Attributes:
        store: Where trees become valid; temporary roots keep them while it is open.
        ledger: Knows the trees of commits that were here before.
        settings: Where archives are.
        cancel: Stops it.
        on_event: Told what is downloaded.
    """

    store: Store
    ledger: Ledger
    settings: Settings
    cancel: Cancel
    on_event: EventSink = ignore
    _heads: dict[Pin, str] = field(default_factory=dict)

    def commit(self, pin: Pin) -> str:
        """The commit that `pin` asks for.

        Raises:
            NetworkError: It is a branch, and nobody says what its head is.
        """
        if pin.commit:
            return pin.commit
        if pin not in self._heads:
            url = pin.repository.archive(self.settings.repositories, pin.branch)
            with self._client() as client:
                self._heads[pin] = find_commit(url, client, self.cancel)
        return self._heads[pin]

    def revision(self, repository: Repository, commit: str, *, tree: str = "") -> Revision:
        """A commit with its tree, which need not be valid where this machine has made it before.

        Costs a look into the ledger, or a download of some 50 MB.

        Args:
            repository: Whose.
            commit: The commit.
            tree: SRI NAR hash that it must have; empty where nobody said.

        Raises:
            NetworkError: The archive could not be had, or is none.
            HashMismatchError: The archive is of another commit, or its tree another one.
            StoreError: The store did not take it.
        """
        known = self.ledger.get(_key(repository, commit), _RECIPE)
        found = Revision(repository, commit, known) if known else self._import(repository, commit)
        if tree and found.tree != tree:
            raise _other_tree(repository, commit, tree, found.tree)
        return found

    def ensure(self, revision: Revision) -> None:
        """Make the tree of `revision` valid, and keep it while the store is open.

        Raises:
            NetworkError: It is not here, and the archive could not be had.
            HashMismatchError: The archive has another tree.
            StoreError: The store did not take it.
        """
        path = revision.path(self.store.store_dir)
        self.store.add_temp_root([path])
        if self.store.query_valid_paths([path]):
            return
        made = self._import(revision.repository, revision.commit)
        if made != revision:
            raise _other_tree(revision.repository, revision.commit, revision.tree, made.tree)

    def _import(self, repository: Repository, commit: str) -> Revision:
        from nixlib.sources.archive import read_sdist  # noqa: PLC0415 - seldom needed

        url = repository.archive(self.settings.repositories, commit)
        self.on_event(Phase("download"))
        self.on_event(Note("info", f"downloading {repository.source} {commit[:12]}", "nixpkgs"))
        scratch = self.settings.cache_dir

        told = 0

        def count(size: int) -> None:
            nonlocal told
            if size - told >= _TOLD:
                told = size
                self.on_event(Progress("download", 0, 1, size, size))

        with self._client() as client:
            data, found = fetch_archive(url, client, self.cancel, scratch=scratch, on_bytes=count)
        if found != commit:
            raise HashMismatchError(
                f"the archive of `{repository.source}` is of another commit",
                details=(f"from {url}", f"expected {commit}", f"found    {found}"),
                url=url,
                expected=commit,
                actual=found,
            )
        try:
            tree = read_sdist(data, f"{commit}.tar.gz", scratch=scratch)
        except SourceError as error:
            raise NetworkError(
                f"the archive of `{repository.source}` cannot be opened",
                details=(f"from {url}", *error.details),
                url=url,
            ) from error
        self.on_event(Phase("import"))
        info = self.store.add_tree(STORE_NAME, tree)
        self.store.add_temp_root([info.path])
        found_tree = sri(info.nar_sha256)
        self.ledger.put(_key(repository, commit), _RECIPE, found_tree)
        return Revision(repository, commit, found_tree)

    def _client(self) -> HttpClient:
        from nixlib.resolvers.indexes import credentials_source  # noqa: PLC0415 - reads files

        return HttpClient(timeout=self.settings.timeout, auth=credentials_source())


def _key(repository: Repository, commit: str) -> str:
    return hashlib.sha256(f"{repository.source} {commit}".encode()).hexdigest()


def _other_tree(repository: Repository, commit: str, tree: str, found: str) -> HashMismatchError:
    return HashMismatchError(
        f"the lock gives a false tree for `{repository.source}` {commit[:12]}",
        details=(f"expected {tree}", f"found    {found}"),
        hint="`%nixenv lock` makes a true one; ask where this one came from",
        url="",
        expected=tree,
        actual=found,
    )
