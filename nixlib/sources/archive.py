"""An sdist as a tree: `.tar.gz`, `.tar.bz2`, `.tar.xz` or `.zip`, never unpacked to disk.

An sdist is a stranger's. Nothing in it may lead out of its tree, be anything but a file, a folder or a link,
or unpack to more than a project can have; it is spooled while it is unpacked, and cut off at that size.
"""

from __future__ import annotations

import io
import re
import stat
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from itertools import chain
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Final

from nixlib.caches.compression import DAMAGED, decompressor
from nixlib.errors import SourceError
from nixlib.sources.links import leads_out
from nixlib.tree import Directory, Node, Regular, Symlink, tree_of

__all__ = ["SUFFIXES", "read_sdist"]

SUFFIXES: Final = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".zip")

_MAX_BYTES: Final = 2 << 30
_MAX_MEMBERS: Final = 200_000
_MAX_NAME, _MAX_DEPTH = 255, 100
_STEP: Final = 1 << 20
# Surrogates: a name that is no UTF-8.
_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_COMPRESSIONS: Final = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz"}
_FAULTS = (*DAMAGED, tarfile.TarError, zipfile.BadZipFile)


def read_sdist(
    data: bytes | bytearray | memoryview | mmap,
    filename: str,
    *,
    scratch: Path | None = None,
    limit: int = _MAX_BYTES,
) -> Directory:
    """The tree below the one folder of an sdist; its files lie in an unlinked temporary file.

    Args:
        data: The archive.
        filename: What it is called, for messages; what it is, its first bytes say.
        scratch: Folder for the temporary file.
        limit: Bytes that it may unpack to.

    Raises:
        SourceError: It is damaged, too big, no archive, or something in it leads out of it.
    """
    view = memoryview(data)
    reader = _Reader(filename, scratch, limit)
    try:
        files = reader.zip(view) if bytes(view[:2]) == b"PK" else reader.tar(view)
        return tree_of(_below_one_folder(files, reader))
    except SourceError:
        raise
    except (*_FAULTS, RuntimeError, NotImplementedError) as error:
        raise reader.bad(str(error) or type(error).__name__) from error


class _Reader:
    """One archive that is being read."""

    def __init__(self, filename: str, scratch: Path | None, limit: int) -> None:
        self._filename = filename
        self._scratch = scratch
        self._limit = limit

    def bad(self, reason: str, member: str = "") -> SourceError:
        return SourceError(
            f"cannot open the source archive `{self._filename}`",
            details=(reason,),
            source=self._filename,
            member=member,
        )

    def tar(self, data: memoryview) -> dict[str, Node]:
        unpacked = self._spooled(self._decompressed(data))
        files: dict[str, Node] = {}
        with tarfile.open(fileobj=_Window(unpacked), mode="r:") as archive:
            for number, member in enumerate(archive):
                if number == _MAX_MEMBERS:
                    raise self.bad(f"more than {_MAX_MEMBERS} members")
                path = self._checked(member.name)
                if path and not member.isdir():
                    files[path] = self._tar_node(member, path, files, unpacked)
        return files

    def _decompressed(self, data: memoryview) -> Iterator[bytes]:
        head = data[:6].tobytes()
        compression = next((c for magic, c in _COMPRESSIONS.items() if head.startswith(magic)), "")
        if not compression:
            raise self.bad(f"it is none of {', '.join(SUFFIXES)}")
        at = 0
        while at < len(data):  # several members may follow each other (RFC 1952, 2.2)
            engine = decompressor(compression)
            first = at
            while not engine.eof:
                chunk = bytes(data[at : at + _STEP]) if engine.needs_input else b""
                if engine.needs_input and not chunk:
                    raise self.bad("it is cut off")
                at += len(chunk)
                yield engine.decompress(chunk, _STEP)
            at -= len(engine.unused_data)
            if at == first or not any(data[at : at + _STEP]):
                return  # what follows is padding
            if not data[at : at + 6].tobytes().startswith(tuple(_COMPRESSIONS)):
                return

    def _spooled(self, pieces: Iterable[bytes]) -> mmap:
        # Unlinked at once: a process that is killed leaves nothing behind.
        with tempfile.TemporaryFile(dir=self._scratch, prefix="nixenv-sdist-") as file:
            size = 0
            for piece in pieces:
                size += len(piece)
                if size > self._limit:
                    raise self.bad(f"it unpacks to more than {self._limit} bytes")
                file.write(piece)
            if not size:
                raise self.bad("it is empty")
            file.flush()
            return mmap(file.fileno(), 0, access=ACCESS_READ)

    def _tar_node(
        self, member: tarfile.TarInfo, path: str, files: dict[str, Node], data: mmap
    ) -> Node:
        if member.issym():
            return self._link(path, member.linkname)
        if member.islnk():  # the name of a file that came before, not a path from here
            other = files.get(self._checked(member.linkname))
            if not isinstance(other, Regular):
                raise self.bad(f"link `{path}` leads to no file before it", path)
            return other
        if not member.isreg() or member.issparse():
            raise self.bad(f"`{path}` is neither a file, a folder nor a link", path)
        start, end = member.offset_data, member.offset_data + member.size
        if end > len(data):
            raise self.bad("it is cut off")
        return _regular(data, start, end, executable=bool(member.mode & stat.S_IXUSR))

    def zip(self, data: memoryview) -> dict[str, Node]:
        files: dict[str, Node] = {}
        with zipfile.ZipFile(_Window(data)) as archive:
            members = archive.infolist()
            if len(members) > _MAX_MEMBERS:
                raise self.bad(f"more than {_MAX_MEMBERS} members")
            paths = [self._checked(member.filename) for member in members]
            contents = (self._zip_pieces(archive, m) for m in members if not m.is_dir())
            # A byte before them, for an archive of empty files only.
            unpacked = self._spooled(chain([b"\0"], chain.from_iterable(contents)))
            at = 1
            for member, path in zip(members, paths, strict=True):
                if member.is_dir() or not path:
                    continue
                start, at = at, at + member.file_size
                mode = member.external_attr >> 16
                if stat.S_ISLNK(mode):
                    target = bytes(unpacked[start:at]).decode("utf-8", "surrogateescape")
                    files[path] = self._link(path, target)
                    continue
                if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
                    raise self.bad(f"`{path}` is neither a file, a folder nor a link", path)
                executable = bool(mode & stat.S_IXUSR)
                files[path] = _regular(unpacked, start, at, executable=executable)
        return files

    def _zip_pieces(self, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Iterator[bytes]:
        left = member.file_size  # a bomb may say less than it has: `open` stops at what it says
        with archive.open(member) as file:
            while chunk := file.read(_STEP):
                left -= len(chunk)
                yield chunk
        if left:
            raise self.bad(f"`{member.filename}` has another size than it says", member.filename)

    def _checked(self, name: str) -> str:
        parts = [part for part in name.rstrip("/").split("/") if part != "."]
        strange = name.startswith("/") or any(part in ("", "..") for part in parts)
        long = len(parts) > _MAX_DEPTH or any(
            len(part.encode("utf-8", "surrogateescape")) > _MAX_NAME for part in parts
        )
        if (parts and strange) or long or _UNPRINTABLE.search(name):
            raise self.bad(f"`{name[:200]!r}` is not a path inside it", name)
        return "/".join(parts)

    def _link(self, path: str, target: str) -> Symlink:
        # The first part is the archive's one folder, which a link may not leave either.
        if leads_out(path.partition("/")[2] or path, target):
            raise self.bad(f"link `{path}` leads out of the archive: `{target[:200]}`", path)
        return Symlink(target)


def _below_one_folder(files: dict[str, Node], reader: _Reader) -> dict[str, Node]:
    tops = {path.partition("/")[0] for path in files}
    if len(tops) != 1 or any("/" not in path for path in files):
        shown = ", ".join(f"`{top}`" for top in sorted(tops)[:5]) or "nothing"
        raise reader.bad(f"it must have one folder at its top, and has {shown}")
    return {path.partition("/")[2]: node for path, node in files.items()}


def _regular(data: mmap, start: int, end: int, *, executable: bool) -> Regular:
    def read() -> Iterator[bytes]:
        for at in range(start, end, _STEP):
            yield data[at : min(at + _STEP, end)]

    return Regular(end - start, read, executable)


class _Window(io.RawIOBase):
    """Bytes somewhere else as a file, without a copy of them."""

    def __init__(self, data: mmap | memoryview) -> None:
        self._data = data
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: len(self._data)}[whence]
        self._at = max(0, start + offset)
        return self._at

    def read(self, size: int = -1) -> bytes:
        end = len(self._data) if size < 0 else min(self._at + size, len(self._data))
        piece = bytes(self._data[self._at : end]) if end > self._at else b""
        self._at += len(piece)
        return piece

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override] # any buffer
        piece = self.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)
