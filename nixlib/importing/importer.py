"""Artifacts into the store: downloads overlap imports, and none is fetched or imported twice at a time.

Many threads wait for the network, few import: two was best on two cores, more fought over the store's
database. The biggest artifacts come first, for the last one to arrive should be a small one. Each
has a lock between processes, so that whoever comes second finds it done. What the bytes of an artifact
become is its kind's recipe (`nixlib.importing.recipes`); all else is the same for all.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush
from mmap import mmap
from pathlib import Path

from nixlib.cancel import Cancel
from nixlib.errors import HashMismatchError, NetworkError
from nixlib.filelock import try_lock, wait_lock
from nixlib.importing.origins import Origins, without_place
from nixlib.importing.recipes import Recipe
from nixlib.ledger import Ledger
from nixlib.lock import Artifact
from nixlib.network.fetch import SPOOL_SIZE, fetch
from nixlib.network.httpclient import HttpClient
from nixlib.plan import Leaf
from nixlib.progress import EventSink, Phase, Progress
from nixlib.settings import Settings
from nixlib.sri import sri, sri_digest
from nixlib.store import Store
from nixlib.storepath import StorePath, fixed_output_path

_WITHOUT_SIGNATURE = frozenset((400, 401, 403, 404))
"""What servers answer to a link that they sign and that came without."""

_TICK = 0.1  # seconds between looks at the cancel and reports of progress
_PATIENCE = 2.0  # seconds that an import under way gets to end after a failure or a cancel


@dataclass(frozen=True, slots=True)
class Imported:
    """A leaf that is valid now.

    Attributes:
        leaf: Which.
        path: Its store path.
        nar: SRI hash of its tree.
        warnings: What is wrong with its artifact and did not stop it.
    """

    leaf: Leaf
    path: StorePath
    nar: str
    warnings: tuple[str, ...] = ()


@dataclass(order=True, slots=True)
class _Arrived:
    """An artifact that waits for its import; the biggest first."""

    order: int
    leaf: Leaf = field(compare=False)
    artifact: Artifact = field(compare=False)
    data: bytes | bytearray | mmap = field(compare=False)
    release: Callable[[], None] = field(compare=False)


class _Budget:
    """Bytes that downloads may hold in memory together."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._used = 0
        self._changed = threading.Condition()

    def take(self, size: int, cancel: Cancel) -> int:
        """Wait until `size` fits; one that never does goes alone. What to give back."""
        size = 0 if size > SPOOL_SIZE else min(size, self._limit)
        with self._changed:
            while self._used + size > self._limit:
                cancel.check()
                self._changed.wait(_TICK)
            self._used += size
        return size

    def give_back(self, size: int) -> None:
        with self._changed:
            self._used -= size
            self._changed.notify_all()


class Importer:
    """One run of downloads and imports.

    Args:
        store: Where the leaves become valid.
        ledger: Told of every pair that is made; asked again once a lock is held.
        settings: How many at a time, how much memory, where locks are.
        client: The connections that are downloaded through; closed when the run fails.
        origins: Where the file of a leaf really is: a lock has none of the secrets that an index or
            a channel may put into its links.
        recipes: What is made of an artifact, by the kind of its leaf.
    """

    def __init__(
        self,
        store: Store,
        ledger: Ledger,
        settings: Settings,
        client: HttpClient,
        *,
        origins: Origins,
        recipes: Mapping[str, Recipe],
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._settings = settings
        self._client = client
        self._origins = origins
        self._recipes = recipes
        self._stop = Cancel()
        self._budget = _Budget(settings.memory)
        self._changed = threading.Condition()
        # All below is read and written under `_changed`.
        self._waiting: deque[tuple[Leaf, Artifact]] = deque()
        self._arrived: list[_Arrived] = []
        self._imported: list[Imported] = []
        self._failure: BaseException | None = None
        self._downloaded = 0
        self._bytes = 0

    def run(self, leaves: Sequence[Leaf], cancel: Cancel, on_event: EventSink) -> list[Imported]:
        """Make `leaves` valid; each must have an artifact.

        What was imported before a failure stays valid, and in the ledger.

        Raises:
            NetworkError: An artifact could not be had.
            HashMismatchError: It is not what the lock names, or its tree is not what a hint claims.
            WheelError: A wheel cannot be used.
            CondaArchiveError: An archive of conda cannot be used.
            StoreError: The store did not take it.
            RealisationCancelledError: Somebody stopped it.
        """
        jobs = [(leaf, leaf.artifact) for leaf in leaves if leaf.artifact is not None]
        jobs.sort(key=lambda job: job[1].size, reverse=True)
        self._waiting.extend(jobs)
        self._start(self._download_all, min(self._settings.downloads, len(jobs)))
        importers = self._start(self._import_all, min(self._settings.connections, len(jobs)))
        try:
            self._watch(len(jobs), sum(artifact.size for _, artifact in jobs), cancel, on_event)
        finally:
            # Whoever waits wakes up; downloads end at once, as their sockets are cut.
            self._stop.set()
            self._client.close()
            with self._changed:
                self._changed.notify_all()
                self._drop_arrived()
            deadline = time.monotonic() + _PATIENCE
            for thread in importers:
                thread.join(max(0.0, deadline - time.monotonic()))
        return self._imported

    def _start(self, work: Callable[[], None], count: int) -> list[threading.Thread]:
        def guarded() -> None:
            try:
                work()
            except BaseException as error:  # noqa: BLE001 - it is raised again by `_watch`
                self._fail(error)

        # Daemons: a process that was told to stop must not wait for a server that does not answer.
        threads = [threading.Thread(target=guarded, daemon=True) for _ in range(count)]
        for thread in threads:
            thread.start()
        return threads

    def _fail(self, error: BaseException) -> None:
        with self._changed:
            if self._failure is None and not self._stop.is_set():
                self._failure = error
            self._changed.notify_all()

    def _watch(self, count: int, size: int, cancel: Cancel, on_event: EventSink) -> None:
        """Wait until all is imported, and say how far it is; events come from this thread only."""
        on_event(Phase("download"))
        shown = (0, 0, 0)
        while shown[0] < count:
            with self._changed:
                self._changed.wait_for(lambda: self._failure or len(self._imported) == count, _TICK)
                failure = self._failure
                state = (len(self._imported), self._downloaded, self._bytes)
            cancel.check()
            if failure is not None:
                raise failure
            if state[1:] != shown[1:]:
                on_event(Progress("download", state[1], count, state[2], size))
            if state[1] == count > shown[1]:
                on_event(Phase("import"))
            if state[0] != shown[0]:
                on_event(Progress("import", state[0], count))
            shown = state

    def _download_all(self) -> None:
        postponed: list[tuple[Leaf, Artifact]] = []
        while (job := self._next_job()) is not None:
            release = try_lock(self._lock_path(job[1]))
            if release is None:
                postponed.append(job)  # another process has it in hand: what nobody has comes first
            else:
                self._download(*job, release)
        for job in postponed:
            self._download(*job, wait_lock(self._lock_path(job[1]), self._stop))

    def _next_job(self) -> tuple[Leaf, Artifact] | None:
        with self._changed:
            return self._waiting.popleft() if self._waiting and not self._stop.is_set() else None

    def _lock_path(self, artifact: Artifact) -> Path:
        return self._settings.state_dir / "locks" / artifact.sha256

    def _download(self, leaf: Leaf, artifact: Artifact, release: Callable[[], None]) -> None:
        taken = 0
        try:
            found = self._made_meanwhile(leaf, artifact)
            if found is not None:
                release()
                self._finish(found, artifact.size)
                return
            taken = self._budget.take(artifact.size, self._stop)
            data = self._fetch(leaf, artifact)
        except BaseException:
            self._budget.give_back(taken)
            release()
            raise

        def let_go() -> None:
            self._budget.give_back(taken)
            release()

        with self._changed:
            if not self._stop.is_set():
                self._downloaded += 1
                heappush(self._arrived, _Arrived(-artifact.size, leaf, artifact, data, let_go))
                self._changed.notify_all()
                return
        let_go()  # too late: nobody will import it

    def _fetch(self, leaf: Leaf, artifact: Artifact) -> bytes | bytearray | mmap:
        """The file, from the first of its places that has it."""
        *others, last = self._origins.places(leaf, artifact)
        for place in others:
            with suppress(NetworkError, HashMismatchError):
                return self._fetch_from(place, artifact)
        try:
            return self._fetch_from(last, artifact)
        except NetworkError as error:
            if error.fields.get("status") not in _WITHOUT_SIGNATURE:
                raise
            url = self._origins.find_again(leaf, artifact)
            if url == artifact.url:
                raise
            try:
                return self._fetch_from(url, artifact)
            except (NetworkError, HashMismatchError):
                raise error from None

    def _fetch_from(self, place: str, artifact: Artifact) -> bytes | bytearray | mmap:
        """The file from one place, which may be spelled with a secret: no error has it."""
        try:
            return fetch(
                replace(artifact, url=place),
                self._client,
                cancel=self._stop,
                on_bytes=self._count,
            )
        except (NetworkError, HashMismatchError) as error:
            if place == artifact.url:
                raise
            raise without_place(error, place, artifact.url) from None

    def _made_meanwhile(self, leaf: Leaf, artifact: Artifact) -> Imported | None:
        """The leaf, if another process made it since the plan: its word is in our own ledger."""
        nar = self._ledger.get(artifact.sha256, self._recipes[leaf.kind].word)
        if nar is None:
            return None
        path = fixed_output_path(leaf.store_name, sri_digest(nar), (), self._store.store_dir)
        self._store.add_temp_root((path,))
        if not self._store.query_valid_paths((path,)):
            return None
        leaf.check_hint(nar)
        return Imported(leaf, path, nar)

    def _count(self, size: int) -> None:
        with self._changed:
            self._bytes += size

    def _finish(self, imported: Imported, skipped: int = 0) -> None:
        with self._changed:
            self._imported.append(imported)
            self._bytes += skipped
            self._downloaded += bool(skipped)
            self._changed.notify_all()

    def _import_all(self) -> None:
        while (job := self._next_arrived()) is not None:
            try:
                self._finish(self._import(job))
            finally:
                job.release()

    def _next_arrived(self) -> _Arrived | None:
        with self._changed:
            while not self._stop.is_set():
                if self._arrived:
                    return heappop(self._arrived)
                self._changed.wait()
        return None

    def _import(self, job: _Arrived) -> Imported:
        with self._recipes[job.leaf.kind].make(job.data, job.leaf) as made:
            info = self._store.add_tree(job.leaf.store_name, made.tree)
        nar = sri(info.nar_sha256)
        job.leaf.check_hint(nar)
        for word in made.words:
            self._ledger.put(job.artifact.sha256, word, nar)
        return Imported(job.leaf, info.path, nar, made.warnings)

    def _drop_arrived(self) -> None:
        while self._arrived:
            self._arrived.pop().release()
