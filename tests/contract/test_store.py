"""What every store does: the one in memory, Nix as a process of ours, Nix as a daemon, the newest Nix."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from builders import gone, shell_build
from daemons import (
    needs_nix,
    nix,
    open_dir,  # noqa: F401
    start_daemon,
    stop_daemon,
)
from newest_nix import newest_nix

from nixlib import gcroots, nar
from nixlib.cancel import Cancel
from nixlib.errors import (
    BuildError,
    InvalidStorePathError,
    NarError,
    RealisationCancelledError,
    StoreError,
)
from nixlib.pathinfo import PathInfo
from nixlib.store import Store, open_store
from nixlib.storepath import StorePath, fixed_output_path
from nixlib.testing.memory_store import MemoryStore
from nixlib.tree import Directory, Node, Regular, Symlink, tree_of

ABSENT = StorePath.parse("g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-absent")


@dataclass(frozen=True)
class Case:
    """A kind of store, empty at first."""

    open: Callable[[], Store]
    collect: Callable[[], object]


@pytest.fixture(
    params=[
        "memory",
        pytest.param("process", marks=[needs_nix, pytest.mark.daemon]),
        pytest.param("daemon", marks=[needs_nix, pytest.mark.daemon]),
        pytest.param("newest", marks=[pytest.mark.daemon, pytest.mark.network]),
    ]
)
def case(request: pytest.FixtureRequest, open_dir: Path) -> Iterator[Case]:  # noqa: F811
    root = open_dir / "store"
    if request.param == "memory":
        memory = MemoryStore()
        yield Case(memory.reopen, memory.collect_garbage)
    elif request.param == "process":
        yield Case(lambda: open_store(str(root)), lambda: nix(root, "nix-store", "--gc"))
    elif request.param == "newest":
        newest = newest_nix()
        env = newest.env()
        with newest.place() as place:
            yield Case(
                lambda: open_store(f"{place}/store", env=env),
                lambda: nix(place / "store", "nix-store", "--gc", env=env),
            )
    else:
        daemon = start_daemon(root, open_dir / "run" / "socket")
        try:
            yield Case(lambda: open_store(daemon.uri), lambda: nix(root, "nix-store", "--gc"))
        finally:
            stop_daemon(daemon)


@pytest.fixture
def store(case: Case) -> Iterator[Store]:
    with case.open() as opened:
        yield opened


def add_pair(store: Store) -> tuple[PathInfo, PathInfo]:
    """A package and an environment that needs it."""
    package = store.add_tree("package", tree_of({"module.py": "x = 1\n"}))
    link = Symlink(f"../../{package.path}/module.py")
    return package, store.add_tree("env", tree_of({"lib/module.py": link}), [package.path])


def test_added_path_is_the_one_computed_offline(store: Store) -> None:
    tree = tree_of({"a/b": b"1" * 100_000, "c": Symlink("a"), "d": Directory({})})
    sha256, size = nar.nar_hash(tree)
    added = store.add_tree("some-name", tree)
    assert added == PathInfo(fixed_output_path("some-name", sha256), sha256, size, ())


def test_added_path_with_references_is_the_one_computed_offline(store: Store) -> None:
    package, env = add_pair(store)
    assert env.path == fixed_output_path("env", env.nar_sha256, [package.path])
    assert env.references == (package.path,)


@pytest.mark.parametrize(
    "tree",
    [Regular.of(b""), Regular.of(b"x", executable=True), Symlink("nowhere"), Directory({})],
    ids=["empty file", "program", "link", "empty directory"],
)
def test_any_kind_of_node_is_an_object(store: Store, tree: Node) -> None:
    added = store.add_tree("node", tree)
    assert added.path == fixed_output_path("node", nar.nar_hash(tree)[0])
    assert store.query_path_info(added.path) == added


def test_added_files_are_on_the_disk(store: Store) -> None:
    big = bytes(range(256)) * 8_000
    tree = tree_of(
        {"big": big, "bin/tool": Regular.of(b"#!/bin/sh\n", executable=True), "l": Symlink("big")}
    )
    place = store.physical(store.add_tree("files", tree).path)
    assert (place / "big").read_bytes() == big
    assert (place / "l").read_bytes() == big
    assert (place / "bin/tool").stat().st_mode & 0o777 == 0o555
    assert (place / "big").stat().st_mode & 0o777 == 0o444


def test_links_between_objects_lead_to_each_other_on_the_disk(store: Store) -> None:
    _, env = add_pair(store)
    assert (store.physical(env.path) / "lib/module.py").read_text() == "x = 1\n"


def test_adding_what_is_valid_succeeds(store: Store) -> None:
    assert add_pair(store) == add_pair(store)


def test_queries_tell_valid_from_absent(store: Store) -> None:
    package, env = add_pair(store)
    asked = [package.path, env.path, ABSENT]
    assert store.query_valid_paths(asked) == {package.path, env.path}
    assert store.query_valid_paths([]) == frozenset()
    assert store.query_path_info(env.path) == env
    assert store.query_path_info(ABSENT) is None


def test_object_with_an_absent_reference_is_refused(store: Store) -> None:
    with pytest.raises(StoreError) as caught:
        store.add_tree("env", Regular.of(b""), [ABSENT])
    assert str(ABSENT) in caught.value.render()
    add_pair(store)  # and the store still works


@pytest.mark.parametrize("name", ["", ".hidden", "a/b", "a b", "x" * 212, "ü"])
def test_illegal_name_is_refused(store: Store, name: str) -> None:
    with pytest.raises(InvalidStorePathError):
        store.add_tree(name, Regular.of(b""))


@pytest.mark.parametrize("name", ["..", ".", "", "a/b", "a\0b"])
def test_tree_with_an_illegal_file_name_is_refused_whole(store: Store, name: str) -> None:
    tree = Directory({"fine": Regular.of(b"1" * 600_000), name: Regular.of(b"")})
    with pytest.raises(NarError):
        store.add_tree("bad", tree)
    add_pair(store)


@pytest.mark.parametrize("size", [599_999, 600_001])
def test_file_that_is_not_as_long_as_it_says_is_refused(store: Store, size: int) -> None:
    with pytest.raises(NarError):
        store.add_tree("bad", Regular(size, lambda: [b"1" * 600_000]))
    add_pair(store)


def test_error_while_reading_a_tree_is_the_callers_own(store: Store) -> None:
    def broken() -> Iterator[bytes]:
        yield b"1" * 500_000
        raise RuntimeError("the download broke")

    with pytest.raises(RuntimeError, match="the download broke"):
        store.add_tree("bad", Regular(1_000_000, broken))
    add_pair(store)


def test_many_threads_add_at_once(store: Store) -> None:
    trees = [tree_of({f"file{n}": bytes([n]) * 50_000}) for n in range(40)]
    with ThreadPoolExecutor(8) as pool:
        added = list(pool.map(lambda tree: store.add_tree("tree", tree).path, trees * 2))
    assert added[:40] == added[40:]
    assert store.query_valid_paths(added) == frozenset(added)
    assert len(set(added)) == 40


def test_two_threads_add_the_same_tree_at_the_same_moment(store: Store) -> None:
    barrier = threading.Barrier(2)

    def slow() -> Iterator[bytes]:
        barrier.wait(30)
        yield b"1" * 100_000

    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(store.add_tree, "same", Regular(100_000, slow)) for _ in range(2)]
        assert both[0].result() == both[1].result()


def test_root_keeps_an_object_and_its_references(case: Case, tmp_path: Path) -> None:
    with case.open() as store:
        package, env = add_pair(store)
        loose = store.add_tree("loose", Regular.of(b"nobody needs this"))
        link = store.add_root(tmp_path / "links" / "env", env.path)
    assert link == tmp_path / "links" / "env"
    case.collect()
    with case.open() as store:
        asked = [package.path, env.path, loose.path]
        assert store.query_valid_paths(asked) == {package.path, env.path}
        assert (link / "lib/module.py").read_text() == "x = 1\n"
        assert gcroots.is_live(link, "lib/module.py")


def collected(case: Case, *infos: PathInfo) -> bool:
    """Whether the collector takes them; a daemon's process for a closed connection lives on for a moment."""
    for _ in range(50):
        case.collect()
        with case.open() as store:
            if not store.query_valid_paths([info.path for info in infos]):
                return True
        time.sleep(0.1)
    return False


def test_removed_root_keeps_nothing_and_link_is_gone(case: Case, tmp_path: Path) -> None:
    with case.open() as store:
        _, env = add_pair(store)
        link = store.add_root(tmp_path / "env", env.path)
        store.remove_root(link)
        store.remove_root(link)
    assert not link.is_symlink()
    assert collected(case, env)


def test_moved_root_keeps_the_new_object_only(case: Case, tmp_path: Path) -> None:
    with case.open() as store:
        package, env = add_pair(store)
        other = store.add_tree("other", tree_of({"bin/python": ""}))
        store.add_root(tmp_path / "env", env.path)
        link = store.add_root(tmp_path / "env", other.path)
    assert collected(case, package, env)
    with case.open() as store:
        assert store.query_valid_paths([other.path]) == {other.path}
        assert gcroots.is_live(link)


def test_dangling_root_is_seen_through(case: Case, tmp_path: Path) -> None:
    with case.open() as store:
        env = store.add_tree("env", tree_of({"bin/python": ""}))
        link = store.add_root(tmp_path / "env", env.path)
        assert gcroots.is_live(link)
        store.remove_root(link)
        target = store.physical(env.path)
    assert collected(case, env)
    link.symlink_to(target)  # as when a home outlives its store
    assert link.is_symlink()
    assert not gcroots.is_live(link)


def test_temporary_roots_hold_until_the_store_is_closed(case: Case) -> None:
    with case.open() as store:
        package, env = add_pair(store)
    with case.open() as store:
        store.add_temp_root([env.path])
        case.collect()
        assert store.query_valid_paths([package.path, env.path]) == {package.path, env.path}
    assert collected(case, package, env)


def test_temporary_root_holds_for_what_is_not_valid_yet(case: Case) -> None:
    tree = tree_of({"a": "b"})
    path = fixed_output_path("later", nar.nar_hash(tree)[0])
    with case.open() as store, case.open() as other:
        store.add_temp_root([path, ABSENT])
        other.add_tree("later", tree)
        other.close()
        case.collect()
        assert store.query_valid_paths([path]) == {path}


def test_temporary_roots_outlive_a_failure(case: Case) -> None:
    # Nix ties them to a connection, and a failed operation ends its connection.
    with case.open() as store:
        package, env = add_pair(store)
        with pytest.raises(StoreError):
            store.add_tree("bad", Regular.of(b""), [ABSENT])
        assert store.query_valid_paths([env.path]) == {env.path}
        case.collect()
        assert store.query_valid_paths([package.path, env.path]) == {package.path, env.path}


def test_temporary_roots_outlive_a_stream_that_breaks(case: Case) -> None:
    # Here the connection is lost, and another must have taken its roots over before it was closed.
    with case.open() as store:
        package, env = add_pair(store)
        with pytest.raises(NarError):
            store.add_tree("bad", Regular(2, lambda: [b"1"]))
        case.collect()
        assert store.query_valid_paths([package.path, env.path]) == {package.path, env.path}


def test_substituting_what_nobody_has_gives_nothing(store: Store) -> None:
    package, _ = add_pair(store)
    assert store.substitute([package.path]) == frozenset()
    assert store.substitute([]) == frozenset()


ENDLESS = "while :; do :; done"


def test_built_output_is_where_it_was_computed_to_be(store: Store) -> None:
    source = store.add_tree("source", tree_of({"a": "b"})).path
    script = f'read line < {source.in_dir()}/a || :; echo "$line {source.in_dir()}" > "$out"'
    derivation = shell_build(store, script, sources=[source])
    path = store.build(derivation)
    assert path == derivation.output()
    assert store.physical(path).read_text() == f"b {source.in_dir()}\n"
    info = store.query_path_info(path)
    assert info is not None
    assert info.references == (source,)


def test_lines_of_a_builder_come_in_order(store: Store) -> None:
    lines: list[str] = []
    script = 'echo one; echo two >&2; echo; printf three; echo x > "$out"'
    store.build(shell_build(store, script), on_log=lines.append)
    assert lines == ["one", "two", "", "three"]


def test_what_is_valid_is_not_built_again(store: Store) -> None:
    lines: list[str] = []
    derivation = shell_build(store, 'echo built; echo x > "$out"')
    assert store.build(derivation, on_log=lines.append) == store.build(derivation)
    assert lines == ["built"]


def test_builder_that_fails_is_an_error_with_its_last_lines(store: Store) -> None:
    derivation = shell_build(store, "echo one; echo two; exit 3")
    with pytest.raises(BuildError) as caught:
        store.build(derivation)
    error = caught.value
    assert (error.reason, error.status) == ("failed", 3)
    assert error.log_tail == ("one", "two")
    assert error.details == ("one", "two")
    assert error.drv_path == derivation.path().in_dir()
    assert store.query_valid_paths([derivation.output()]) == frozenset()


def test_builder_that_makes_nothing_is_an_error(store: Store) -> None:
    with pytest.raises(BuildError) as caught:
        store.build(shell_build(store, ":"))
    assert (caught.value.reason, caught.value.status) == ("failed", 0)


def test_builder_that_says_nothing_is_killed(store: Store) -> None:
    with pytest.raises(BuildError) as caught:
        store.build(shell_build(store, f"echo begun; {ENDLESS} # is-silent"), silence=1)
    assert (caught.value.reason, caught.value.log_tail) == ("silent", ("begun",))
    assert gone("is-silent")


def test_builder_that_takes_too_long_is_killed(store: Store) -> None:
    with pytest.raises(BuildError) as caught:
        store.build(shell_build(store, f"{ENDLESS} # is-long"), limit=1)
    assert caught.value.reason == "too-long"
    assert gone("is-long")


@pytest.mark.parametrize("body", [":", "echo talking"], ids=["silent", "talking"])
def test_cancel_ends_a_builder_and_what_it_started(store: Store, body: str) -> None:
    cancel = Cancel()
    word = f"is-cancelled-{id(cancel)}"
    script = f"(while :; do :; done) & echo begun; while :; do {body}; done # {word}"
    derivation = shell_build(store, script)
    with pytest.raises(RealisationCancelledError):
        store.build(derivation, on_log=lambda _: cancel.set(), cancel=cancel)
    assert gone(word)
    assert store.query_valid_paths([derivation.output()]) == frozenset()


def test_store_is_used_while_it_builds(store: Store) -> None:
    """Two builds, and a query from inside the log of each."""
    source = store.add_tree("source", tree_of({"a": "b"})).path
    found = []

    def build(number: int) -> StorePath:
        script = f'echo {number}; echo {number} > "$out"'
        derivation = shell_build(store, script, name=f"built-{number}")
        return store.build(derivation, on_log=lambda _: found.append(store.physical(source)))

    with ThreadPoolExecutor(2) as pool:
        assert len(set(pool.map(build, range(2)))) == 2
    assert len(found) == 2


def test_build_that_needs_an_absent_path_is_refused(store: Store) -> None:
    with pytest.raises(StoreError):
        store.build(shell_build(store, 'echo x > "$out"', sources=[ABSENT]))


def test_output_has_a_temporary_root(case: Case) -> None:
    with case.open() as store:
        path = store.build(shell_build(store, 'echo x > "$out"'))
        case.collect()
        assert store.query_valid_paths([path]) == {path}


def test_closed_store_refuses(case: Case) -> None:
    store = case.open()
    store.close()
    store.close()
    with pytest.raises(StoreError):
        store.query_valid_paths([ABSENT])
