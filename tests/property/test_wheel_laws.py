"""Laws of wheels: whatever the bytes, a tree that is safe or an error that names the wheel."""

import hashlib
from base64 import urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixlib.binaries.elf import read_elf
from nixlib.errors import WheelError
from nixlib.nar import nar_hash
from nixlib.testing.wheels import Entry, make_archive, make_elf, make_wheel
from nixlib.tree import Regular, walk
from nixlib.wheels.origin import real_directories
from nixlib.wheels.record import Row, parse_record, write_record
from nixlib.wheels.wheel import read_wheel

pytestmark = pytest.mark.property

NAME = "demo-1.0-py3-none-any.whl"
parts = st.text("abcXYZ019._- é", min_size=1, max_size=8).filter(
    lambda part: part.strip(".") and not part.lower().endswith((".dist-info", ".data"))
)
paths = st.lists(parts, min_size=1, max_size=3).map("/".join)


def is_flat(found: dict[str, bytes]) -> bool:
    """Whether no file is also a directory."""
    return not any(other.startswith(f"{path}/") for path in found for other in found)


files = st.dictionaries(paths, st.binary(max_size=200), max_size=6).filter(is_flat)
HONEST = make_wheel(
    files={"demo/lib.so": make_elf(run_path="$ORIGIN/../x"), "demo/a.py": "x" * 300},
    data={"scripts/run": "#!python\n"},
    entry_points="[console_scripts]\ndemo = demo:main\n",
)


def checked(data: bytes) -> None:
    """Read a wheel that may be anything, and the whole tree of what is accepted."""
    try:
        wheel = read_wheel(data, NAME)
    except WheelError as error:
        assert error.wheel == NAME  # noqa: PT017 - being refused is one of two good outcomes
        return
    nar_hash(wheel.tree)
    for path, _ in walk(wheel.tree):
        assert not path.startswith("/")
        assert not {"", ".", ".."} & set(path.split("/"))
        assert path.split("/")[0] in {"site-packages", "bin", "include", "data", "nixenv.json"}


@given(files)
def test_every_file_of_a_wheel_is_in_its_tree_and_in_its_record(found):
    wheel = read_wheel(make_wheel(files=found), NAME)
    nodes = dict(walk(wheel.tree))
    record = b"".join(nodes["site-packages/demo-1.0.dist-info/RECORD"].read())
    rows = {row.path: row for row in parse_record(record)}
    for path, content in found.items():
        node = nodes[f"site-packages/{path}"]
        assert isinstance(node, Regular)
        assert b"".join(node.read()) == content
        digest = urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        assert rows[path] == Row(path, f"sha256={digest}", str(len(content)))
    assert wheel.warnings == ()


@given(files, st.randoms())
def test_order_of_members_never_changes_the_tree(found, random):
    shuffled = list(found.items())
    random.shuffle(shuffled)
    one = read_wheel(make_wheel(files=found), NAME)
    assert nar_hash(read_wheel(make_wheel(files=dict(shuffled)), NAME).tree) == nar_hash(one.tree)


@given(st.lists(st.tuples(st.integers(0, len(HONEST) - 1), st.integers(0, 255)), max_size=8))
def test_damaged_wheel_is_refused_or_safe(changes):
    data = bytearray(HONEST)
    for position, value in changes:
        data[position] = value
    checked(bytes(data))


@given(st.integers(0, len(HONEST)), st.integers(0, len(HONEST)))
def test_wheel_with_a_hole_is_refused_or_safe(start, end):
    checked(HONEST[:start] + HONEST[end:])


@given(
    st.lists(
        st.builds(
            Entry,
            st.one_of(paths, st.text(max_size=12), st.just("demo-1.0.dist-info/RECORD")),
            st.binary(max_size=40),
            st.integers(0, 0o177777),
            st.booleans(),
        ),
        max_size=4,
    )
)
def test_wheel_with_any_other_members_is_refused_or_safe(more):
    checked(make_wheel(more=[entry for entry in more if "\0" not in entry.name]))
    checked(make_archive([entry for entry in more if "\0" not in entry.name]))


@given(st.binary(max_size=300))
def test_any_bytes_after_the_magic_are_no_more_than_no_elf(data):
    read_elf(b"\x7fELF" + data)


@given(st.lists(st.tuples(st.integers(4, 300), st.integers(0, 255)), max_size=20))
def test_damaged_elf_is_read_or_none(changes):
    data = bytearray(make_elf(run_path="$ORIGIN/a:$ORIGIN/b", needed=("libc.so.6",), soname="x"))
    for position, value in changes:
        data[position % len(data)] = value
    read_elf(bytes(data))


texts = st.text("/$ORIGIN.{}ab:", max_size=12)
needed = st.lists(st.text("abc.so", min_size=1, max_size=8), max_size=5)
run_paths = st.text("/$ORIGIN.{}ab:", max_size=20)


@given(needed, run_paths)
def test_elf_survives_a_round_trip(names, run_path):
    elf = read_elf(make_elf(needed=names, run_path=run_path))
    assert elf is not None
    assert elf.needed == tuple(names)
    assert elf.run_path == tuple(part for part in run_path.split(":") if part)


@given(st.lists(st.builds(Row, st.text(max_size=10), st.text("ab=", max_size=5), st.text("01"))))
def test_record_survives_a_round_trip(rows):
    # A carriage return or NUL inside a field is what CSV cannot hold; no wheel may have such a name.
    kept = [row for row in rows if row.path and not {"\r", "\n", "\0"} & set(row.path)]
    assert sorted(parse_record(write_record(kept)), key=repr) == sorted(kept, key=repr)


directories = st.lists(st.sampled_from("abc"), min_size=1, max_size=3).map("/".join)


@given(st.dictionaries(directories, st.lists(texts, max_size=3), max_size=5), st.sets(directories))
def test_real_directories_are_some_of_those_with_run_paths_and_grow_with_them(found, present):
    known = {*found, *present}
    real = real_directories(found, known)
    assert set(real) <= set(found)
    more = real_directories({**found, "z": ["$ORIGIN/../nowhere"]}, {*known, "z"})
    assert set(real) <= set(more)
    assert "z" in more
