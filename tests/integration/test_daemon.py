"""A real Nix, as the daemon of another user and as a process of ours, well and ill."""

import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from daemons import (
    PrivateDaemon,
    Unprivileged,
    chroot_store,  # noqa: F401
    needs_nix,
    needs_root,
    nix,
    open_dir,  # noqa: F401
    private_daemon,  # noqa: F401
    start_daemon,
    stop_daemon,
    unprivileged,  # noqa: F401
    verify,
    workers,
)

from nixlib.daemon.firstopening import first_opening
from nixlib.errors import (
    DaemonRefusedError,
    DaemonUnavailableError,
    ProtocolError,
    StoreError,
)
from nixlib.store import open_store
from nixlib.storepath import StorePath
from nixlib.tree import Regular, tree_of

pytestmark = [pytest.mark.daemon, needs_nix]

ABSENT = StorePath.parse("g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-absent")

# What an unprivileged user does; prints facts as JSON.
WORK = """
import json, sys
from pathlib import Path
from nixlib import nar, gcroots
from nixlib.store import open_store
from nixlib.storepath import fixed_output_path
from nixlib.tree import Symlink, tree_of

with open_store(sys.argv[1]) as store:
    package = store.add_tree("package", tree_of({"a.py": b"1" * 300_000}))
    tree = tree_of({"lib": Symlink(f"../{package.path}"), "bin/python": "x"})
    env = store.add_tree("env", tree, [package.path])
    link = store.add_root(Path.home() / "state" / "env", env.path)
    with store._pool.connection() as connection:
        greeting = connection.greeting
    print(json.dumps({
        "package": str(package.path), "env": str(env.path), "link": str(link),
        "same": env.path == fixed_output_path("env", nar.nar_hash(tree)[0], [package.path]),
        "live": gcroots.is_live(link), "bytes": len((link / "lib" / "a.py").read_bytes()),
        "minor": greeting.minor, "trusted": greeting.trusted,
    }))
"""


@needs_root
def test_unprivileged_user_adds_and_roots_through_a_daemon(
    private_daemon: PrivateDaemon,  # noqa: F811
    unprivileged: Unprivileged,  # noqa: F811
) -> None:
    found = json.loads(unprivileged.run(WORK, private_daemon.uri))
    assert found["same"]
    assert found["live"]
    assert found["bytes"] == 300_000
    root = private_daemon.root
    assert (root / "nix/store" / found["env"]).stat().st_uid == 0
    nix(root, "nix-store", "--gc")
    verify(root)
    valid = nix(root, "nix-store", "--query", "--requisites", f"/nix/store/{found['env']}")
    assert sorted(valid.split()) == sorted(
        f"/nix/store/{found[name]}" for name in ("env", "package")
    )


@needs_root
def test_user_outside_allowed_users_is_told_so(
    open_dir: Path,  # noqa: F811
    unprivileged: Unprivileged,  # noqa: F811
) -> None:
    daemon = start_daemon(open_dir / "store", open_dir / "run" / "socket", allowed_users="root")
    try:
        found = json.loads(unprivileged.run(FAIL, daemon.uri))
    finally:
        stop_daemon(daemon)
    assert (found["type"], found["setting"]) == ("DaemonRefusedError", "allowed-users")
    assert found["user"] == unprivileged.name


@needs_root
def test_user_outside_the_sockets_group_is_told_which(
    private_daemon: PrivateDaemon,  # noqa: F811
    unprivileged: Unprivileged,  # noqa: F811
) -> None:
    private_daemon.socket.parent.chmod(0o770)  # as Debian ships it, for `nix-users`
    found = json.loads(unprivileged.run(FAIL, private_daemon.uri))
    assert (found["type"], found["setting"]) == ("DaemonRefusedError", "nix-users")


FAIL = """
import json, sys
from nixlib.errors import NixError
from nixlib.store import open_store
from nixlib.tree import Regular

try:
    with open_store(sys.argv[1]) as store:
        store.add_tree("x", Regular.of(b""))
except NixError as error:
    print(json.dumps({"type": type(error).__name__, "text": error.render(), **error.fields}))
"""


def test_socket_where_nobody_listens_is_named(tmp_path: Path) -> None:
    with (
        open_store(f"unix://{tmp_path}/socket") as store,
        pytest.raises(DaemonUnavailableError) as caught,
    ):
        store.query_valid_paths([ABSENT])
    assert caught.value.tried == (f"{tmp_path}/socket",)
    assert "NIX_REMOTE" in caught.value.hint


def test_machine_without_nix_is_told_how_to_get_it(tmp_path: Path) -> None:
    env = {"PATH": str(tmp_path), "HOME": str(tmp_path)}
    with (
        open_store(str(tmp_path / "store"), env=env) as store,
        pytest.raises(DaemonUnavailableError) as caught,
    ):
        store.query_valid_paths([ABSENT])
    assert str(tmp_path) in caught.value.tried
    assert caught.value.hint


@contextmanager
def listener(directory: Path, answer: bytes) -> Iterator[str]:
    """A socket where something answers that is no Nix daemon."""
    path = directory / "socket"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        stop = threading.Event()

        def serve() -> None:
            line, _ = server.accept()
            with line:
                line.sendall(answer)
                stop.wait(20)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"unix://{path}"
        stop.set()
        thread.join()


def test_silent_daemon_is_given_up_after_the_timeout(open_dir: Path) -> None:  # noqa: F811
    with listener(open_dir, b"") as uri, open_store(uri, timeout=0.3) as store:
        start = time.monotonic()
        with pytest.raises(DaemonUnavailableError) as caught:
            store.query_valid_paths([ABSENT])
    assert time.monotonic() - start < 5
    assert "0.3 s" in caught.value.summary


def test_something_else_on_the_socket_is_refused(open_dir: Path) -> None:  # noqa: F811
    answer = b"HTTP/1.1 400 Bad Request\r\n\r\n"
    with (
        listener(open_dir, answer) as uri,
        open_store(uri) as store,
        pytest.raises(ProtocolError),
    ):
        store.query_valid_paths([ABSENT])


def test_socket_with_a_long_path_is_reached(open_dir: Path) -> None:  # noqa: F811
    # A socket's address holds 107 bytes, a home directory on a cluster often has more.
    deep = open_dir / ("d" * 100) / ("e" * 50)
    deep.mkdir(parents=True)
    here = Path.cwd()
    os.chdir(deep)
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind("socket")
            server.listen()

            def hang_up() -> None:
                server.accept()[0].close()

            thread = threading.Thread(target=hang_up)
            thread.start()
            os.chdir(here)
            with (
                open_store(f"unix://{deep}/socket") as store,
                pytest.raises(DaemonRefusedError),  # it hangs up: so it was reached
            ):
                store.query_valid_paths([ABSENT])
            thread.join()
    finally:
        os.chdir(here)


def children() -> list[int]:
    """Processes that we have started and not yet waited for, zombies too."""
    tasks = Path("/proc/self/task").iterdir()
    return [int(pid) for task in tasks for pid in (task / "children").read_text().split()]


def dying_tree(kill: Callable[[], None]) -> Regular:
    """A big file in the middle of which something happens to the daemon."""

    def read() -> Iterator[bytes]:
        yield bytes(2_000_000)
        kill()
        for _ in range(30):
            yield bytes(1_000_000)

    return Regular(32_000_000, read)


def test_own_daemon_that_dies_in_mid_stream_is_reported_and_replaced(
    chroot_store: Path,  # noqa: F811
) -> None:
    before = children()

    def kill() -> None:
        for pid in set(children()) - set(before):
            os.kill(pid, signal.SIGKILL)

    with open_store(str(chroot_store)) as store:
        store.query_valid_paths([ABSENT])
        with pytest.raises(DaemonUnavailableError) as caught:
            store.add_tree("big", dying_tree(kill))
        assert "big" in caught.value.summary
        assert children() == before  # reaped, though the store is still open
        added = store.add_tree("big", tree_of({"a": "b"}))
        assert store.query_valid_paths([added.path]) == {added.path}
    assert children() == before
    verify(chroot_store)


def test_worker_of_a_daemon_that_dies_in_mid_stream_is_reported_and_replaced(
    private_daemon: PrivateDaemon,  # noqa: F811
) -> None:
    def kill() -> None:
        for pid in workers(private_daemon):
            os.kill(pid, signal.SIGKILL)

    with open_store(private_daemon.uri) as store:
        store.query_valid_paths([ABSENT])
        with pytest.raises(DaemonUnavailableError):
            store.add_tree("big", dying_tree(kill))
        added = store.add_tree("big", tree_of({"a": "b"}))
        assert store.query_valid_paths([added.path]) == {added.path}
    verify(private_daemon.root)


def test_no_process_is_left_whatever_happened(chroot_store: Path) -> None:  # noqa: F811
    before = children()
    with open_store(str(chroot_store), connections=3) as store:
        with pytest.raises(StoreError):
            store.add_tree("x", Regular.of(b""), [ABSENT])
        with pytest.raises(KeyboardInterrupt):
            store.add_tree("x", Regular(9, _interrupted))
        store.add_tree("x", Regular.of(b""))
        assert set(children()) - set(before)
    assert children() == before


def _interrupted() -> Iterator[bytes]:
    raise KeyboardInterrupt
    yield b""


def test_terminals_interrupt_does_not_reach_the_daemon(chroot_store: Path) -> None:  # noqa: F811
    before = children()
    with open_store(str(chroot_store)) as store:
        store.query_valid_paths([ABSENT])
        (pid,) = set(children()) - set(before)
        assert os.getpgid(pid) != os.getpgid(0)


def test_store_that_is_dropped_unclosed_ends_its_daemon(chroot_store: Path) -> None:  # noqa: F811
    before = children()
    store = open_store(str(chroot_store))
    store.query_valid_paths([ABSENT])
    assert children() != before
    del store
    assert children() == before


def test_many_stores_open_a_new_place_at_once(open_dir: Path) -> None:  # noqa: F811
    # Nix itself loses this race, not each time: "schema is corrupt", "database is busy".
    failures: list[BaseException] = []

    def use(root: Path, barrier: threading.Barrier) -> None:
        barrier.wait(60)
        try:
            with open_store(str(root)) as store:
                store.add_tree("x", Regular.of(b""))
        except StoreError as error:
            failures.append(error)

    for number in range(5):
        barrier = threading.Barrier(6)
        arguments = (open_dir / str(number), barrier)
        threads = [threading.Thread(target=use, args=arguments) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failures == []


def test_first_opening_waits_for_another_process(chroot_store: Path) -> None:  # noqa: F811
    state = chroot_store / "nix/var/nix"

    def use() -> None:
        with open_store(str(chroot_store)) as store:
            store.add_tree("x", Regular.of(b""))

    with first_opening(state):
        thread = threading.Thread(target=use)
        thread.start()
        thread.join(0.5)
        assert thread.is_alive()
        assert not (state / "db").exists()
    thread.join()
    assert (state / "db" / "schema").exists()
    with first_opening(state):  # and what exists is opened by any number at once
        use()
