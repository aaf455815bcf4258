"""A `.tar.gz` as a tree, straight from memory (pure).

The archive is not trusted: nothing in it may lead out of the tree, be anything but a file, a folder or
a link, or unpack to more than any interpreter has.
"""

from __future__ import annotations

import io
import posixpath
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from typing import Final

from nixlib.errors import InterpreterError
from nixlib.tree import Directory, Node, Regular, Symlink, tree_of

_MAX_BYTES: Final = 2 << 30
_MAX_MEMBERS: Final = 100_000
_STEP: Final = 1 << 20
_CHUNK: Final = 1 << 18
_GZIP: Final = 31  # window bits that make zlib read gzip's header and check its sum (zlib manual)


def read_tarball(data: bytes | memoryview, *, root: str, limit: int = _MAX_BYTES) -> Directory:
    """The tree below folder `root` of a gzipped tar archive.

    Args:
        data: The archive.
        root: The one folder that everything in it must be below.
        limit: Bytes that it may unpack to.

    Raises:
        InterpreterError: It is damaged, too big, or something in it leads out of the tree.
    """
    unpacked = memoryview(_unpacked(data, limit))
    files: dict[str, Node] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(unpacked), mode="r:") as archive:
            for number, member in enumerate(archive):
                if number == _MAX_MEMBERS:
                    raise _bad(f"more than {_MAX_MEMBERS} members")
                path = _inside(member.name, root)
                if path and not member.isdir():
                    files[path] = _node(member, path, root, unpacked, files)
    except (tarfile.TarError, ValueError, OSError) as error:
        if isinstance(error, InterpreterError):
            raise
        raise _bad(str(error)) from error
    try:
        return tree_of(files)
    except ValueError as error:
        raise _bad(str(error)) from error


def _unpacked(data: bytes | memoryview, limit: int) -> bytearray:
    out = bytearray()
    rest: bytes | memoryview = data
    try:
        while rest:  # a gzip file may have several members, one after the other (RFC 1952, 2.2)
            reader = zlib.decompressobj(_GZIP)
            while not reader.eof:
                piece = reader.decompress(rest, _STEP)
                rest = reader.unconsumed_tail
                if not piece and not rest and not reader.eof:
                    raise _bad("it is cut off")
                out += piece
                if len(out) > limit:
                    raise _bad(f"it unpacks to more than {limit} bytes")
            rest = reader.unused_data
    except zlib.error as error:
        raise _bad(str(error)) from error
    return out


def _inside(name: str, root: str) -> str:
    """The path of a member below `root`; an empty text for `root` itself."""
    parts = name.removeprefix("./").rstrip("/").split("/")
    if parts[0] != root or any(part in ("", ".", "..") for part in parts) or "\0" in name:
        raise _bad(f"`{name}` is not below `{root}/`")
    return "/".join(parts[1:])


def _node(
    member: tarfile.TarInfo, path: str, root: str, data: memoryview, files: dict[str, Node]
) -> Node:
    if member.issym():
        target = posixpath.normpath(posixpath.join(posixpath.dirname(path), member.linkname))
        if member.linkname.startswith("/") or target.split("/")[0] == "..":
            raise _bad(f"link `{path}` leads out of the archive: `{member.linkname}`")
        return Symlink(member.linkname)
    if member.islnk():  # the name of a file that came before, not a path from here
        other = files.get(_inside(member.linkname, root))
        if not isinstance(other, Regular):
            raise _bad(f"link `{path}` leads to no file before it: `{member.linkname}`")
        return other
    if not member.isreg() or member.issparse():
        raise _bad(f"`{path}` is neither a file, a folder nor a link")
    start, end = member.offset_data, member.offset_data + member.size
    if end > len(data):
        raise _bad("it is cut off")
    return Regular(member.size, lambda: _chunks(data[start:end]), bool(member.mode & 0o100))


def _chunks(data: memoryview) -> Iterable[bytes]:
    def chunks() -> Iterator[bytes]:
        for start in range(0, len(data), _CHUNK):
            yield bytes(data[start : start + _CHUNK])

    return chunks()


def _bad(reason: str) -> InterpreterError:
    return InterpreterError(
        "the archive of a Python is not one that can be unpacked", details=(reason,)
    )
