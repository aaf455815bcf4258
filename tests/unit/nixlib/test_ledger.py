"""The ledger: pairs, damage, and many at a time."""

import os
import sqlite3
import stat
import threading

import pytest

from nixlib.ledger import STANDALONE_RECIPE, STRICT_WHEEL_RECIPE, WHEEL_RECIPE, Ledger
from nixlib.lock import Artifact, Lock, LockedGroup, LockedInterpreter, LockedPackage

NAR = f"sha256-{'A' * 43}="


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "ledger.sqlite"


def test_pair_is_found_again_by_another_process(path):
    with Ledger(path) as ledger:
        ledger.put("a" * 64, WHEEL_RECIPE, NAR)
    with Ledger(path) as ledger:
        assert ledger.get("a" * 64, WHEEL_RECIPE) == NAR
        assert ledger.get("b" * 64, WHEEL_RECIPE) is None
        assert ledger.get("a" * 64, "wheel-2") is None


def test_many_are_found_at_once(path):
    names = [f"{n:064x}" for n in range(1200)]
    with Ledger(path) as ledger:
        for name in names[:600]:
            ledger.put(name, WHEEL_RECIPE, NAR)
        assert ledger.get_many(names, WHEEL_RECIPE).keys() == set(names[:600])


def test_known_trees_of_a_lock_are_found_by_their_recipes(path):
    wheels = [Artifact(f"https://x/{n}.whl", str(n) * 64, 1) for n in range(3)]
    python = Artifact("https://x/python.tar.gz", "f" * 64, 1)
    lock = Lock(
        spec="0" * 64,
        interpreter=LockedInterpreter("3.11.7", "standalone", {"x86_64-linux": python}),
        packages=tuple(LockedPackage(f"p{n}", "1", (wheel,)) for n, wheel in enumerate(wheels)),
        systems=("x86_64-linux",),
    )
    with Ledger(path) as ledger:
        ledger.put(wheels[0].sha256, WHEEL_RECIPE, NAR)
        ledger.put(wheels[0].sha256, STRICT_WHEEL_RECIPE, NAR)
        ledger.put(wheels[1].sha256, WHEEL_RECIPE, NAR)
        ledger.put(wheels[2].sha256, STANDALONE_RECIPE, NAR)
        ledger.put(python.sha256, STANDALONE_RECIPE, NAR)
        shas = {python.sha256, wheels[0].sha256}
        assert ledger.known(lock).keys() == shas | {wheels[1].sha256}
        assert ledger.known(lock, strict=True).keys() == shas


def test_known_trees_of_groups_and_their_processes_are_found_too(path):
    names = ("group", "process", "built-with")
    wheels = {n: Artifact(f"https://x/{n}.whl", str(i) * 64, 1) for i, n in enumerate(names)}
    own = {name: (LockedPackage(name, "1", (wheel,)),) for name, wheel in wheels.items()}
    python = Artifact("https://x/python.tar.gz", "f" * 64, 1)
    interpreter = LockedInterpreter("3.8.18", "standalone", {"x86_64-linux": python})
    inner = Lock("0" * 64, interpreter, own["process"], ("x86_64-linux",))
    lock = Lock(
        "0" * 64,
        LockedInterpreter("3.11.7", "host"),
        (),
        ("x86_64-linux",),
        build_packages=own["built-with"],
        private=(LockedGroup("a", own["group"]), LockedGroup("b", process=inner)),
    )
    with Ledger(path) as ledger:
        for wheel in wheels.values():
            ledger.put(wheel.sha256, WHEEL_RECIPE, NAR)
        ledger.put(python.sha256, STANDALONE_RECIPE, NAR)
        found = {wheel.sha256 for wheel in wheels.values()} | {python.sha256}
        assert ledger.known(lock).keys() == found


def test_directory_is_for_its_user_alone(path):
    path.parent.mkdir(mode=0o755)
    with Ledger(path):
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    "content", [b"not a database at all" * 100, b"SQLite format 3\0" + bytes(4000)]
)
def test_damaged_file_is_set_aside(path, content):
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    with Ledger(path) as ledger:
        ledger.put("a" * 64, WHEEL_RECIPE, NAR)
        ledger.get("a" * 64, WHEEL_RECIPE)
        ledger.put("a" * 64, WHEEL_RECIPE, NAR)
        assert ledger.get("a" * 64, WHEEL_RECIPE) == NAR
    (aside,) = path.parent.glob("ledger.sqlite.damaged-*")
    assert aside.read_bytes() == content


def test_file_with_damaged_pages_is_set_aside(path):
    with Ledger(path) as ledger:
        for number in range(500):
            ledger.put(f"{number:064x}", WHEEL_RECIPE, NAR)
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 30_000)
    with Ledger(path) as ledger:
        assert ledger.get_many([f"{n:064x}" for n in range(500)], WHEEL_RECIPE).keys() <= set()
        ledger.put("a" * 64, WHEEL_RECIPE, NAR)
        assert ledger.get("a" * 64, WHEEL_RECIPE) == NAR


def test_file_that_cannot_be_made_costs_nothing_but_itself(tmp_path):
    (tmp_path / "state").write_text("a file where the directory should be")
    with Ledger(tmp_path / "state" / "ledger.sqlite") as ledger:
        ledger.put("a" * 64, WHEEL_RECIPE, NAR)
        assert ledger.get("a" * 64, WHEEL_RECIPE) is None


def test_file_locked_by_another_program_costs_nothing_but_itself(path):
    with Ledger(path, patience=0.05) as ledger:
        ledger.put("a" * 64, WHEEL_RECIPE, NAR)
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        ledger.put("b" * 64, WHEEL_RECIPE, NAR)
        other.close()
        assert ledger.get("a" * 64, WHEEL_RECIPE) == NAR
        assert ledger.get("b" * 64, WHEEL_RECIPE) is None


def test_threads_and_processes_write_together(path):
    def write(first: int) -> None:
        with Ledger(path) as ledger:
            for number in range(first, first + 20):
                ledger.put(f"{number:064x}", WHEEL_RECIPE, NAR)

    children = []
    for number in range(3):
        child = os.fork()
        if not child:
            write(1000 * number)
            os._exit(0)
        children.append(child)
    threads = [threading.Thread(target=write, args=(10_000 + 1000 * n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for child in children:
        assert os.waitpid(child, 0)[1] == 0
    starts = [*(1000 * n for n in range(3)), *(10_000 + 1000 * n for n in range(3))]
    names = {f"{number:064x}" for start in starts for number in range(start, start + 20)}
    with Ledger(path) as ledger:
        assert ledger.get_many(names, WHEEL_RECIPE).keys() == names


def test_processes_that_make_the_file_together_all_get_it(tmp_path):
    start = tmp_path / "start"
    children = [_fork(lambda n=n: _write_in_many(tmp_path, start, n)) for n in range(6)]
    start.touch()
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 6

    for number in range(20):
        with Ledger(tmp_path / str(number) / "ledger.sqlite") as ledger:
            assert len(ledger.get_many([f"{n:064x}" for n in range(6)], WHEEL_RECIPE)) == 6


def _write_in_many(folder, start, name):
    while not start.exists():
        pass
    for number in range(20):
        with Ledger(folder / str(number) / "ledger.sqlite") as ledger:
            ledger.put(f"{name:064x}", WHEEL_RECIPE, NAR)


def _fork(work):
    child = os.fork()
    if child:
        return child
    try:
        work()
    except BaseException:
        os._exit(1)
    os._exit(0)
