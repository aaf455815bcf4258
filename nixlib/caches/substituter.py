"""Store objects out of binary caches that the daemon does not trust, read and proven by ourselves.

A daemon ignores a cache that it was not told to trust. A content-addressed object needs no trust: its
path is a function of its bytes and references, and the caller knows the path and the hash. So each
object is checked here, whole, before the store sees a byte of it. A cache that lies is named in a
warning and passed over: everything it could give comes from elsewhere as well.
"""

from __future__ import annotations

import hashlib
import mmap
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, TypeVar

from nixlib import nar, progress
from nixlib.caches.binarycache import open_cache, read_small
from nixlib.caches.compression import decompress
from nixlib.caches.narinfo import MAX_BYTES, NarInfo, parse_narinfo, parse_sha256
from nixlib.errors import NarError, NetworkError, SubstituteError
from nixlib.sri import sri
from nixlib.storepath import fixed_output_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from nixlib.caches.binarycache import BinaryCache
    from nixlib.cancel import Cancel
    from nixlib.network.outages import Outages
    from nixlib.progress import EventSink
    from nixlib.store import Store
    from nixlib.storepath import StorePath
    from nixlib.tree import Node

Answer = TypeVar("Answer")

# Seconds; a cache on the next desk answers in milliseconds, one across the world in a second.
TIMEOUT = 4.0
# The biggest wheels unpack to some 4 GB.
MAX_NAR_BYTES = 16 * 1024**3
_QUERIES = 16
_DOWNLOADS = 4
# No compression makes data longer than this, plus a fixed header.
_GROWTH = 1.02
_HEADER = 1024 * 1024


def fetch_from_caches(
    store: Store,
    wanted: Mapping[StorePath, str],
    caches: Sequence[str],
    cancel: Cancel | None = None,
    on_event: EventSink = progress.ignore,
    *,
    outages: Outages | None = None,
    timeout: float = TIMEOUT,
) -> frozenset[StorePath]:
    """Make of `wanted` valid what the caches have and can prove; what is valid already costs a query.

    Caches are asked in order, each only for what the ones before it did not have. One that does not
    answer costs at most `timeout` and is left alone for a while.

    Args:
        store: Where they become valid. Temporary roots keep them until it is closed.
        wanted: Paths, each with the SRI hash of its NAR from a trusted source.
        caches: Roots of binary caches: `http`, `https` or `file` URLs.
        cancel: Stops between two chunks.
        on_event: Hears of progress and of caches that are down or lie, from several threads.
        outages: What is known of caches that did not answer.
        timeout: Seconds.

    Returns:
        What became valid.

    Raises:
        StoreError: The store failed, not a cache.
        RealisationCancelledError: `cancel` was set.
    """
    store.add_temp_root(wanted.keys())
    missing = set(wanted) - store.query_valid_paths(wanted.keys())
    made: set[StorePath] = set()
    for url in caches:
        if not missing:
            break
        if outages is not None and outages.is_down(url):
            continue
        try:
            with _opened(url, store.store_dir, timeout) as cache:
                hashes = {path: wanted[path] for path in missing}
                got = _Visit(store, cache, cancel, on_event).fetch_all(hashes)
        except (NetworkError, SubstituteError) as error:
            on_event(progress.Note("warning", error.render(), url))
            if outages is not None and isinstance(error, NetworkError):
                outages.note(url)
            got = store.query_valid_paths(missing)
        made |= got
        missing -= got
    return frozenset(made)


@contextmanager
def _opened(url: str, store_dir: str, timeout: float) -> Iterator[BinaryCache]:
    """The cache, once it has shown that it is one and for our store directory."""
    cache = open_cache(url, timeout)
    try:
        data = _within(lambda: read_small(cache, "nix-cache-info", MAX_BYTES), timeout, url)
        fields = dict(
            line.split(": ", 1) for line in (data or b"").decode("utf-8", "replace").splitlines()
            if ": " in line
        )  # fmt: skip
        if fields.get("StoreDir", "").strip() != store_dir:
            raise SubstituteError(
                f"`{url}` is not a binary cache for `{store_dir}`",
                details=(f"`nix-cache-info` says {fields.get('StoreDir', 'nothing')}",),
                url=url,
            )
        yield cache
    finally:
        cache.close()


def _within(read: Callable[[], bytes | None], timeout: float, url: str) -> bytes | None:
    """`read()`, given up after `timeout` seconds: looking up a name knows no timeout of its own."""
    answer: list[bytes | None] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            answer.append(read())
        except BaseException as error:  # noqa: BLE001  # raised again by the thread that asked
            failure.append(error)

    thread = threading.Thread(target=run, daemon=True, name="nixlib-cache-probe")
    thread.start()
    thread.join(timeout)
    if failure:
        raise failure[0]
    if not answer:
        raise NetworkError(f"the cache `{url}` did not answer within {timeout:g} s", url=url)
    return answer[0]


class _Visit:
    """One cache, asked by several threads; when it fails one of them, the others stop asking."""

    def __init__(
        self, store: Store, cache: BinaryCache, cancel: Cancel | None, on_event: EventSink
    ) -> None:
        self._store = store
        self._cache = cache
        self._cancel = cancel
        self._on_event = on_event
        self._down = threading.Event()

    def fetch_all(self, hashes: Mapping[StorePath, str]) -> frozenset[StorePath]:
        """What of `hashes` the cache has, made valid in the order of references."""
        with ThreadPoolExecutor(_QUERIES, "nixlib-narinfo") as pool:
            found = pool.map(lambda item: self._query(*item), hashes.items())
            offers = {info.path: info for info in found if info is not None}
        made: set[StorePath] = set()
        with ThreadPoolExecutor(_DOWNLOADS, "nixlib-nar") as pool:
            while ready := self._ready(offers, made):
                for info in ready:
                    del offers[info.path]
                for path in pool.map(self._fetch, ready):
                    if path is not None:
                        made.add(path)
                    self._on_event(progress.Progress("substitute", len(made), len(hashes)))
        return frozenset(made)

    def _ready(self, offers: Mapping[StorePath, NarInfo], made: set[StorePath]) -> list[NarInfo]:
        """Offers whose references are valid; an object cannot be added before what it needs."""
        needed = {path for info in offers.values() for path in info.references} - made
        valid = made | self._store.query_valid_paths(needed)
        return [info for info in offers.values() if valid.issuperset(info.references)]

    def _query(self, path: StorePath, trusted: str) -> NarInfo | None:
        def query() -> NarInfo | None:
            data = read_small(self._cache, f"{path.digest}.narinfo", MAX_BYTES)
            if data is None:
                return None
            return check_narinfo(data, path, trusted, self._store.store_dir)

        return self._ask(path, query)

    def _fetch(self, info: NarInfo) -> StorePath | None:
        def fetch() -> StorePath:
            with _downloaded(self._cache, info, self._cancel) as tree:
                added = self._store.add_tree(info.path.name, tree, info.references)
            if added.path != info.path:
                raise SubstituteError(f"`{info.path}` became `{added.path}`", path=info.path)
            return added.path

        return self._ask(info.path, fetch)

    def _ask(self, path: StorePath, ask: Callable[[], Answer | None]) -> Answer | None:
        """A lie costs the cache this object and a warning; not answering costs it the visit."""
        if self._cancel is not None:
            self._cancel.check()
        if self._down.is_set():
            return None
        try:
            return ask()
        except NetworkError:
            self._down.set()
            raise
        except SubstituteError as error:
            text = f"`{self._cache.url}`: {error.render()}"
            self._on_event(progress.Note("warning", text, str(path)))
            return None


def check_narinfo(
    data: bytes, path: StorePath, trusted: str, store_dir: str = "/nix/store"
) -> NarInfo:
    """What a cache says of `path`, if it agrees with what is known.

    Args:
        data: The `.narinfo` file.
        path: The wanted path.
        trusted: SRI hash of its NAR, from a trusted source.
        store_dir: The store's logical directory.

    Raises:
        SubstituteError: It is malformed, about another path, or about other bytes.
    """
    info = parse_narinfo(data, store_dir)
    if info.path != path:
        raise SubstituteError(f"asked for `{path}`, got `{info.path}`", path=path)
    if info.nar_sha256 != parse_sha256(trusted):
        raise SubstituteError(
            f"the cache has other bytes for `{path}`",
            details=(f"expected {trusted}", f"the cache has {sri(info.nar_sha256)}"),
            path=path,
        )
    if fixed_output_path(path.name, info.nar_sha256, info.references, store_dir) != path:
        raise SubstituteError(f"`{path}` is not what its hash and references make", path=path)
    if info.nar_size > MAX_NAR_BYTES:
        raise SubstituteError(f"`{path}` is announced with {info.nar_size} bytes", path=path)
    return info


@contextmanager
def _downloaded(cache: BinaryCache, info: NarInfo, cancel: Cancel | None) -> Iterator[Node]:
    """The tree of an object, proven; its bytes lie in a file without a name while it is used."""
    with ExitStack() as stack:
        chunks = stack.enter_context(cache.stream(info.url))
        if chunks is None:
            raise SubstituteError(f"the cache has no `{info.url}`", path=info.path)
        file = stack.enter_context(tempfile.TemporaryFile())
        packed = _bounded(chunks, int(info.nar_size * _GROWTH) + _HEADER, cancel)
        sha256, size = hashlib.sha256(), 0
        for piece in decompress(packed, info.compression, info.nar_size):
            sha256.update(piece)
            size += file.write(piece)
        if sha256.digest() != info.nar_sha256:
            raise SubstituteError(
                f"the archive of `{info.path}` has other bytes than announced",
                details=(
                    f"expected {sri(info.nar_sha256)}",
                    f"got {sri(sha256.digest())}, {size} bytes",
                ),
                path=info.path,
            )
        file.flush()
        # Not closed here: the tree's views of it end with the tree, and so does the mapping.
        mapped = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ)
        try:
            tree = nar.parse_buffer(memoryview(mapped))
        except NarError as error:
            raise SubstituteError(f"`{info.path}`: {error.summary}", path=info.path) from error
        yield tree


def _bounded(chunks: Iterable[bytes], limit: int, cancel: Cancel | None) -> Iterator[bytes]:
    total = 0
    for chunk in chunks:
        if cancel is not None:
            cancel.check()
        total += len(chunk)
        if total > limit:
            raise SubstituteError(f"the cache sends more than {limit} bytes")
        yield chunk
