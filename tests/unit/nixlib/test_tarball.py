"""Tarballs, the honest and the hostile."""

import gzip
import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixlib.errors import InterpreterError
from nixlib.interpreters.tarball import read_tarball
from nixlib.testing.python_mirror import release_tarball
from nixlib.tree import Directory, Regular, Symlink, tree_of, walk


def tarball(*members):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in members:
            member = tarfile.TarInfo(name)
            if isinstance(content, bytes):
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
            else:
                member.type, member.linkname = content
                archive.addfile(member)
    return gzip.compress(out.getvalue())


def contents(tree):
    return {
        path: b"".join(node.read()) if isinstance(node, Regular) else node
        for path, node in walk(tree)
        if not isinstance(node, Directory)
    }


def test_tarball_gives_the_tree_that_it_was_made_of():
    tree = tree_of(
        {
            "bin/python3.11": Regular.of(b"\x7fELF" * 100_000, executable=True),
            "bin/python": Symlink("python3.11"),
            "lib/python3.11/os.py": "import sys\n",
            "lib/" + "deep/" * 40 + "é.txt": b"",
        }
    )
    found = read_tarball(release_tarball(tree), root="python")

    assert contents(found) == contents(tree)
    assert found.entries["bin"].entries["python3.11"].executable
    assert not found.entries["lib"].entries["python3.11"].entries["os.py"].executable


def test_hard_link_becomes_another_file_with_the_same_bytes():
    data = tarball(("python/a", b"1"), ("python/b", (tarfile.LNKTYPE, "python/a")))

    assert contents(read_tarball(data, root="python")) == {"a": b"1", "b": b"1"}


def test_link_that_stays_inside_is_kept():
    data = tarball(("python/lib/x/a", (tarfile.SYMTYPE, "../../bin/b")))

    assert contents(read_tarball(data, root="python")) == {"lib/x/a": Symlink("../../bin/b")}


@pytest.mark.parametrize(
    "member",
    [
        pytest.param(("python/../../evil", b""), id="parent"),
        pytest.param(("/etc/passwd", b""), id="absolute"),
        pytest.param(("pythonic/a", b""), id="another root"),
        pytest.param(("python//a", b""), id="empty part"),
        pytest.param(("python/a", (tarfile.SYMTYPE, "/etc/passwd")), id="absolute link"),
        pytest.param(("python/a", (tarfile.SYMTYPE, "../evil")), id="link out"),
        pytest.param(("python/a/b", (tarfile.SYMTYPE, "../../c")), id="deeper link out"),
        pytest.param(("python/a", (tarfile.LNKTYPE, "/etc/passwd")), id="absolute hard link"),
        pytest.param(("python/a", (tarfile.LNKTYPE, "python/later")), id="hard link to nothing"),
        pytest.param(("python/a", (tarfile.CHRTYPE, "")), id="device"),
        pytest.param(("python/a", (tarfile.FIFOTYPE, "")), id="fifo"),
    ],
)
def test_hostile_member_is_refused(member):
    with pytest.raises(InterpreterError) as error:
        read_tarball(tarball(("python/ok", b"1"), member), root="python")

    assert error.value.details


def test_file_below_a_link_is_refused():
    data = tarball(("python/a", (tarfile.SYMTYPE, "b")), ("python/a/evil", b""))

    with pytest.raises(InterpreterError):
        read_tarball(data, root="python")


def test_bomb_is_refused_before_it_is_unpacked():
    with pytest.raises(InterpreterError) as error:
        read_tarball(tarball(("python/a", bytes(30 << 20))), root="python", limit=10 << 20)

    assert "10485760" in error.value.details[0]


@pytest.mark.parametrize("cut", [0, 1, 10, 100, -1, -9])
def test_cut_archive_is_refused(cut):
    whole = tarball(("python/a", bytes(range(256)) * 100))

    with pytest.raises(InterpreterError):
        read_tarball(whole[:cut], root="python")


@given(st.binary(max_size=2000))
def test_noise_is_an_error_never_a_crash(noise):
    for data in (noise, gzip.compress(noise)):
        try:
            read_tarball(data, root="python")
        except InterpreterError:  # noqa: PERF203 - two rounds
            continue
