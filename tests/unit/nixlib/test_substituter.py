"""Binary caches read by ourselves: good ones, and every way in which one can lie."""

import gzip
import lzma
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from caches import PACK, make_cache, put, served

from nixlib.caches import compression, substituter
from nixlib.caches.substituter import fetch_from_caches
from nixlib.cancel import Cancel
from nixlib.errors import RealisationCancelledError, SubstituteError
from nixlib.network.outages import Outages
from nixlib.progress import Event, Note
from nixlib.storepath import StorePath
from nixlib.testing.memory_store import MemoryStore
from nixlib.tree import Regular, Symlink, tree_of

TREE = tree_of({"a/b.py": b"x = 1\n" * 5_000, "l": Symlink("a")})


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    make_cache(tmp_path / "cache")
    return tmp_path / "cache"


@pytest.fixture
def store() -> Iterator[MemoryStore]:
    with MemoryStore() as opened:
        yield opened


def fetch(
    store: MemoryStore, wanted: dict[StorePath, str], *caches: str
) -> tuple[frozenset[StorePath], list[Note]]:
    events: list[Event] = []
    made = fetch_from_caches(store, wanted, caches, None, events.append)
    return made, [event for event in events if isinstance(event, Note)]


@pytest.mark.parametrize("packing", PACK)
def test_object_comes_out_of_a_directory(cache: Path, store: MemoryStore, packing: str) -> None:
    path, sri = put(cache, "x", TREE, compression=packing)
    assert fetch(store, {path: sri}, cache.as_uri()) == ({path}, [])
    assert (store.physical(path) / "a/b.py").read_bytes() == b"x = 1\n" * 5_000


@pytest.mark.parametrize("packing", PACK)
def test_object_comes_over_http(cache: Path, store: MemoryStore, packing: str) -> None:
    path, sri = put(cache, "x", TREE, compression=packing)
    with served(cache) as (url, _):
        assert fetch(store, {path: sri}, url + "/") == ({path}, [])


def test_references_come_first_whatever_the_order(cache: Path, store: MemoryStore) -> None:
    leaf, leaf_sri = put(cache, "leaf", TREE)
    env, env_sri = put(cache, "env", tree_of({"l": Symlink(f"../{leaf}")}), (leaf,))
    made, notes = fetch(store, {env: env_sri, leaf: leaf_sri}, cache.as_uri())
    assert (made, notes) == ({env, leaf}, [])
    info = store.query_path_info(env)
    assert info is not None
    assert info.references == (leaf,)


def test_object_whose_reference_nobody_has_is_left_out(cache: Path, store: MemoryStore) -> None:
    absent = StorePath.parse("g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-absent")
    env, sri = put(cache, "env", TREE, (absent,))
    assert fetch(store, {env: sri}, cache.as_uri())[0] == frozenset()


def test_next_cache_is_asked_only_for_the_rest(
    cache: Path, tmp_path: Path, store: MemoryStore
) -> None:
    make_cache(tmp_path / "second")
    one, one_sri = put(cache, "one", TREE)
    put(tmp_path / "second", "one", TREE)
    two, two_sri = put(tmp_path / "second", "two", TREE)
    with served(tmp_path / "second") as (url, asked):
        made, notes = fetch(store, {one: one_sri, two: two_sri}, cache.as_uri(), url)
    assert (made, notes) == ({one, two}, [])
    assert not any(one.digest in path for path in asked)


def test_valid_objects_ask_nobody(cache: Path, store: MemoryStore) -> None:
    path, sri = put(cache, "x", TREE)
    store.add_tree("x", TREE)
    with served(cache) as (url, asked):
        assert fetch(store, {path: sri}, url) == (frozenset(), [])
    assert asked == []


def test_fetched_objects_are_temporary_roots(cache: Path, store: MemoryStore) -> None:
    path, sri = put(cache, "x", TREE)
    fetch(store, {path: sri}, cache.as_uri())
    assert store.collect_garbage() == frozenset()


def edit(field: str, value: str) -> Callable[[Path, StorePath], None]:
    def change(cache: Path, path: StorePath) -> None:
        file = cache / f"{path.digest}.narinfo"
        lines = [ln for ln in file.read_text().splitlines() if not ln.startswith(f"{field}:")]
        file.write_text("\n".join([*lines, f"{field}: {value}"]) + "\n")

    return change


def replace_nar(make: Callable[[bytes], bytes]) -> Callable[[Path, StorePath], None]:
    def change(cache: Path, path: StorePath) -> None:
        del path
        (file,) = (cache / "nar").iterdir()
        file.write_bytes(make(file.read_bytes()))

    return change


def bomb(_: bytes) -> bytes:
    return lzma.compress(bytes(5_000_000))


OTHER = "sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73"
LIES: dict[str, Callable[[Path, StorePath], None]] = {
    "another path": edit("StorePath", "/nix/store/g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-x"),
    "another store": edit("StorePath", "/gnu/store/g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-x"),
    "another hash": edit("NarHash", OTHER),
    "no hash": edit("NarHash", "md5:00"),
    "a reference": edit("References", "g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-y"),
    "references that are none": edit("References", "../../etc/passwd"),
    "size of nothing": edit("NarSize", "0"),
    "size below zero": edit("NarSize", "-1"),
    "size beyond all": edit("NarSize", "99999999999999999"),
    "size too small": edit("NarSize", "100"),
    "unknown compression": edit("Compression", "rar"),
    "compression it is not": edit("Compression", "gzip"),
    "URL out of the cache": edit("URL", "../../etc/passwd"),
    "URL of another server": edit("URL", "http://127.0.0.1:1/x.nar"),
    "URL from the root": edit("URL", "/etc/passwd"),
    "URL of nothing": edit("URL", "nar/absent.nar"),
    "no narinfo at all": lambda c, p: (
        (c / f"{p.digest}.narinfo").write_bytes(b"\xff\0" * 9) and None
    ),
    "endless narinfo": lambda c, p: (
        (c / f"{p.digest}.narinfo").write_bytes(b"Sig: x\n" * 300_000) and None
    ),
    "field twice": lambda c, p: (
        (c / f"{p.digest}.narinfo").open("a").write("NarSize: 5\n") and None
    ),
    "truncated archive": replace_nar(lambda data: data[:-20]),
    "empty archive": replace_nar(lambda _: b""),
    "archive of an altered file": replace_nar(
        lambda data: PACK["xz"](lzma.decompress(data).replace(b"x = 1", b"x = 2"))
    ),
    "altered archive": replace_nar(lambda data: PACK["xz"](lzma.decompress(data)[:-1] + b"\1")),
    "archive with more after it": replace_nar(lambda data: data + data),
    "archive that unpacks for ever": replace_nar(bomb),
    "archive of other bytes": replace_nar(lambda _: PACK["xz"](b"nix-archive-1")),
}


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("lie", LIES.values(), ids=LIES.keys())
def test_lie_is_a_warning_and_nothing_reaches_the_store(
    cache: Path, store: MemoryStore, lie: Callable[[Path, StorePath], None]
) -> None:
    path, sri = put(cache, "x", TREE)
    lie(cache, path)
    made, notes = fetch(store, {path: sri}, cache.as_uri())
    assert made == frozenset()
    assert len(notes) == 1
    assert notes[0].level == "warning"
    assert notes[0].subject == str(path)
    assert store._contents.objects == {}


def test_honest_cache_after_a_lying_one_serves(
    cache: Path, tmp_path: Path, store: MemoryStore
) -> None:
    path, sri = put(cache, "x", TREE)
    replace_nar(bomb)(cache, path)
    make_cache(tmp_path / "good")
    put(tmp_path / "good", "x", TREE)
    made, notes = fetch(store, {path: sri}, cache.as_uri(), (tmp_path / "good").as_uri())
    assert made == {path}
    assert len(notes) == 1


def test_other_tree_under_the_wanted_hash_is_refused(cache: Path) -> None:
    # The path alone proves the bytes; a hash that disagrees with it is a wrong hint, or a lie.
    path, _ = put(cache, "x", TREE)
    _, other = put(cache, "x", Regular.of(b"other"))
    with pytest.raises(SubstituteError) as caught:
        substituter.check_narinfo((cache / f"{path.digest}.narinfo").read_bytes(), path, other)
    assert caught.value.path == path


@pytest.mark.parametrize("info", ["", "StoreDir: /gnu/store\n", "<html>"])
def test_what_is_no_cache_for_this_store_is_passed_over(
    cache: Path, store: MemoryStore, info: str
) -> None:
    path, sri = put(cache, "x", TREE)
    (cache / "nix-cache-info").write_text(info)
    made, notes = fetch(store, {path: sri}, cache.as_uri())
    assert made == frozenset()
    assert len(notes) == 1


@pytest.mark.parametrize("url", ["ssh://host", "s3://bucket", "/dir", "nonsense"])
def test_other_kinds_of_caches_are_passed_over(store: MemoryStore, url: str) -> None:
    path = StorePath.parse("g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-x")
    made, notes = fetch(store, {path: OTHER}, url)
    assert made == frozenset()
    assert len(notes) == 1


def wait(url: str, store: MemoryStore, outages: Outages) -> float:
    """Seconds that a cache costs which does not answer."""
    path = StorePath.parse("g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-x")
    start = time.monotonic()
    made = fetch_from_caches(store, {path: OTHER}, [url], outages=outages, timeout=0.5)
    assert made == frozenset()
    return time.monotonic() - start


def test_cache_that_never_answers_costs_one_timeout_once(
    store: MemoryStore, tmp_path: Path
) -> None:
    outages = Outages(tmp_path / "outages.json")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        assert 0.4 < wait(url, store, outages) < 3
        assert outages.is_down(url)
        assert wait(url, store, outages) < 0.2


def test_cache_that_is_not_there_is_remembered(store: MemoryStore, tmp_path: Path) -> None:
    outages = Outages(tmp_path / "outages.json")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert wait(f"http://127.0.0.1:{port}", store, outages) < 3
    assert outages.is_down(f"http://127.0.0.1:{port}")


def test_cache_that_fails_in_the_middle_is_asked_no_more(
    cache: Path, store: MemoryStore, tmp_path: Path
) -> None:
    wanted = dict(put(cache, f"x{n}", tree_of({"a": str(n)})) for n in range(60))

    def broken(handler: object) -> bool:
        if ".narinfo" not in handler.path:  # type: ignore[attr-defined]
            return False
        handler.send_error(500)  # type: ignore[attr-defined]
        return True

    outages = Outages(tmp_path / "outages.json")
    with served(cache, broken) as (url, asked):
        made = fetch_from_caches(store, wanted, [url], outages=outages)
        assert outages.is_down(url)
    assert made == frozenset()
    assert len(asked) < 40


def test_cancel_stops_between_objects(cache: Path, store: MemoryStore) -> None:
    path, sri = put(cache, "x", TREE)
    cancel = Cancel()
    cancel.set()
    with pytest.raises(RealisationCancelledError):
        fetch_from_caches(store, {path: sri}, [cache.as_uri()], cancel)


@pytest.mark.parametrize("packing", PACK)
def test_unpacking_gives_back_what_was_packed(packing: str) -> None:
    data = bytes(range(256)) * 4_000
    packed = PACK[packing](data)
    chunks = [packed[i : i + 1000] for i in range(0, len(packed), 1000)]
    pieces = list(compression.decompress(chunks, packing, len(data)))
    assert b"".join(pieces) == data
    assert max(map(len, pieces)) <= 256 * 1024


def test_unpacking_stops_at_the_limit() -> None:
    packed = gzip.compress(bytes(100_000_000))
    with pytest.raises(SubstituteError):
        list(compression.decompress([packed], "gzip", 1_000_000))
