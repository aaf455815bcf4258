import io
import tarfile
import tracemalloc
import zipfile
import zlib

import pytest

from nixlib.errors import SourceError
from nixlib.sources.archive import read_sdist
from nixlib.tree import Directory, Regular, Symlink, walk


def archive(*members, mode="w:gz"):
    """A tar of `(name, content)`; a content that is a TarInfo type with a target makes a link."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as tar:
        for name, content in members:
            member = tarfile.TarInfo(name)
            if isinstance(content, bytes):
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
            else:
                member.type, member.linkname = content
                tar.addfile(member)
    return out.getvalue()


def zipped(*members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        for name, content in members:
            file.writestr(name, content)
    return out.getvalue()


def files(tree):
    return {
        path: node.target if isinstance(node, Symlink) else b"".join(node.read())
        for path, node in walk(tree)
        if not isinstance(node, Directory)
    }


SETUP = ("a-1/setup.py", b"x = 1\n")


@pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz"])
def test_tar_is_read_whatever_compressed_it(mode):
    tree = read_sdist(archive(SETUP, ("a-1/a/b.py", b"y"), mode=mode), "a-1.tar.gz")
    assert files(tree) == {"setup.py": b"x = 1\n", "a/b.py": b"y"}


def test_zip_is_read():
    assert files(read_sdist(zipped(("a-1/setup.py", "x"), ("a-1/e", "")), "a-1.zip")) == {
        "setup.py": b"x",
        "e": b"",
    }


def test_gzip_members_that_follow_each_other_are_one_archive():
    plain = archive(SETUP, ("a-1/b", b"b" * 5000), mode="w")
    import gzip

    data = gzip.compress(plain[:1000]) + gzip.compress(plain[1000:]) + bytes(512)
    assert files(read_sdist(data, "a-1.tar.gz"))["b"] == b"b" * 5000


def test_executable_bit_is_kept():
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        member = tarfile.TarInfo("a-1/configure")
        member.mode = 0o755
        tar.addfile(member)
    tree = read_sdist(out.getvalue(), "a-1.tar.gz")
    assert isinstance(tree.entries["configure"], Regular)
    assert tree.entries["configure"].executable


def test_link_inside_is_kept():
    link = ("a-1/docs/readme", (tarfile.SYMTYPE, "../setup.py"))
    assert files(read_sdist(archive(SETUP, link), "a"))["docs/readme"] == "../setup.py"


def test_hard_link_is_the_file_before_it():
    link = ("a-1/copy.py", (tarfile.LNKTYPE, "a-1/setup.py"))
    assert files(read_sdist(archive(SETUP, link), "a"))["copy.py"] == b"x = 1\n"


HOSTILE = {
    "absolute": archive(("/etc/passwd", b"")),
    "parent": archive(("a-1/../../x", b"")),
    "dot-dot at the top": archive(("../a-1/x", b"")),
    "control character": archive(("a-1/x\x1b[31m", b"")),
    "absolute link": archive(SETUP, ("a-1/l", (tarfile.SYMTYPE, "/etc/passwd"))),
    "link to a parent": archive(SETUP, ("a-1/l", (tarfile.SYMTYPE, "../x"))),
    "link through a link": archive(
        SETUP, ("a-1/b/c", (tarfile.SYMTYPE, "..")), ("a-1/b/l", (tarfile.SYMTYPE, "c/../../x"))
    ),
    "below a link": archive(SETUP, ("a-1/l", (tarfile.SYMTYPE, ".")), ("a-1/l/x", b"")),
    "hard link outwards": archive(SETUP, ("a-1/l", (tarfile.LNKTYPE, "/etc/passwd"))),
    "hard link to nothing": archive(SETUP, ("a-1/l", (tarfile.LNKTYPE, "a-1/none"))),
    "device": archive(SETUP, ("a-1/null", (tarfile.CHRTYPE, ""))),
    "pipe": archive(SETUP, ("a-1/pipe", (tarfile.FIFOTYPE, ""))),
    "two tops": archive(SETUP, ("b-1/setup.py", b"")),
    "no top": archive(("setup.py", b"")),
    "nothing": archive(),
    "deep": archive(("a-1/" + "d/" * 200 + "x", b"")),
    "cut off": archive(SETUP, ("a-1/b", bytes(range(256)) * 400))[:-200],
    "no archive": b"hello",
    "empty": b"",
    "broken zip": zipped(("a-1/setup.py", "x"))[:-10],
    "zip outwards": zipped(("a-1/setup.py", "x"), ("../x", "x")),
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE.keys())
def test_archive_that_is_not_one_folder_of_files_is_refused(data):
    with pytest.raises(SourceError) as caught:
        read_sdist(data, "a-1.tar.gz")
    assert caught.value.source == "a-1.tar.gz"
    assert len(caught.value.render()) < 1000


@pytest.mark.parametrize(
    "data",
    [archive(("a-1/big", bytes(1 << 20))), zipped(("a-1/big", bytes(1 << 20)))],
    ids=["tar", "zip"],
)
def test_bomb_is_cut_off_while_it_unpacks(data):
    with pytest.raises(SourceError, match="more than 100000 bytes"):
        read_sdist(data, "a-1.tar.gz", limit=100_000)


def test_zip_that_lies_about_a_size_is_refused():
    data = bytearray(zipped(("a-1/x", "x" * 100)))
    at = data.rindex(b"PK\x01\x02")
    data[at + 24 : at + 28] = (5).to_bytes(4, "little")  # uncompressed size in the directory
    with pytest.raises(SourceError):
        read_sdist(bytes(data), "a-1.zip")


def test_xz_that_asks_for_gigabytes_of_memory_is_refused():
    """The dictionary's size stands in the block's header, and a decoder takes it at its word."""
    data = bytearray(archive(SETUP, mode="w:xz"))
    end = 12 + (data[12] + 1) * 4  # the block's header lies behind the stream's, its checksum last
    assert data[14] == 0x21  # LZMA2, whose one property is that size
    data[16] = 39  # 3 GiB
    data[end - 4 : end] = zlib.crc32(data[12 : end - 4]).to_bytes(4, "little")
    with pytest.raises(SourceError) as caught:
        read_sdist(bytes(data), "a-1.tar.xz")
    assert "memory" in caught.value.details[0].lower()


def test_zip_that_unpacks_to_more_than_a_project_has_is_cut_off_before_it_fills_the_memory():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a-1/setup.py", bytes(64 << 20))
    tracemalloc.start()
    try:
        with pytest.raises(SourceError) as caught:
            read_sdist(out.getvalue(), "a-1.zip", limit=100_000)
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()
    assert "more than 100000 bytes" in caught.value.details[0]
