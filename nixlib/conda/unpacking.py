"""The members of a conda archive, out of both of its formats, unpacked into one file without a name.

`.conda` is a ZIP of `metadata.json` and two tars packed with Zstandard, one of `info/` and one of all else;
`.tar.bz2` is one tar. What is unpacked lies in a mapped file, so that an archive larger than memory can be
read as often as need be: once to check it, once on its way into the store. Nothing is believed: neither
sizes nor names nor what leads where.
"""

from __future__ import annotations

import json
import stat
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Final, Literal

from nixlib.caches.compression import DAMAGED, decompressor
from nixlib.errors import CondaArchiveError, WheelError
from nixlib.tree import Regular
from nixlib.wheels.ziparchive import Archive, Data, Member, open_archive

__all__ = ["Unpacked", "archive_error", "unpack"]

_PIECE: Final = 1 << 20
_MAX_MEMBERS: Final = 300_000
_MAX_METADATA: Final = 1 << 16
# The most that a real one unpacks to is some 40 times its size; zeros would be 30,000 times.
_BOMB_RATIO: Final = 200
_BOMB_SIZE: Final = 256 << 20
_FORMAT: Final = 2

Half = Literal["info", "pkg"]


@dataclass(frozen=True, slots=True)
class Unpacked:
    """A file or a symbolic link of an archive, or a folder that it names.

    Attributes:
        path: As the archive has it.
        half: Which tar of a `.conda` it was in; `pkg` for all of a `.tar.bz2`.
        kind: What it is.
        target: Of a link.
        executable: Whether its owner may run it.
        content: The file that it lies in; `start` and `size` say where.
    """

    path: str
    half: Half
    kind: Literal["file", "link", "folder"]
    target: str
    executable: bool
    content: mmap
    start: int
    size: int

    def view(self) -> memoryview:
        """Its bytes, not copied."""
        return memoryview(self.content)[self.start : self.start + self.size]

    def find(self, text: bytes) -> int:
        """Where in it `text` is first; -1 if nowhere."""
        found = self.content.find(text, self.start, self.start + self.size)
        return found - self.start if found >= 0 else -1

    def regular(self) -> Regular:
        """It as a node of a tree, read piece by piece each time."""
        return Regular(self.size, self._pieces, self.executable)

    def _pieces(self) -> Iterator[bytes]:
        view = self.view()
        for at in range(0, self.size, _PIECE):
            yield bytes(view[at : at + _PIECE])


def archive_error(
    filename: str, what: str, member: str = "", details: Iterable[str] = ()
) -> CondaArchiveError:
    """The error for an archive that cannot be used."""
    return CondaArchiveError(
        f"cannot use the conda archive `{filename}`: {what}",
        details=tuple(details),
        archive=filename,
        member=member,
    )


def unpack(data: Data, filename: str, scratch: Path) -> Iterator[Unpacked]:
    """Every member of an archive.

    Args:
        data: The whole archive.
        filename: Its name, which says what format it is of.
        scratch: Folder for what is unpacked, which is gone when nobody holds a member any more.

    Raises:
        CondaArchiveError: It is damaged, or unpacks beyond reason.
    """
    limit = max(_BOMB_SIZE, _BOMB_RATIO * len(data))
    if filename.endswith(".conda"):
        archive = _zip(data, filename)
        for half, member in _halves(archive):
            spool = _spooled(archive.chunks(member), "zstd", limit, filename, scratch)
            limit -= len(spool)
            yield from _members(spool, half, filename)
    else:
        view = memoryview(data)
        chunks = (bytes(view[at : at + _PIECE]) for at in range(0, len(view), _PIECE))
        yield from _members(_spooled(chunks, "bzip2", limit, filename, scratch), "pkg", filename)


def _zip(data: Data, filename: str) -> Archive:
    try:
        return open_archive(data, filename)
    except WheelError as error:
        raise _as_archive_error(error, filename) from error


def _as_archive_error(error: WheelError, filename: str) -> CondaArchiveError:
    # The reader of ZIP archives says what is wrong after the name of the wheel that it takes it for.
    what = error.summary.partition(f"`{filename}`: ")[2]
    return archive_error(filename, what, error.fields.get("member", ""), error.details)


def _halves(archive: Archive) -> Iterator[tuple[Half, Member]]:
    filename = archive.filename
    stem = filename.removesuffix(".conda")
    members = {member.name: member for member in archive.members}
    if len(members) != len(archive.members):
        raise archive_error(filename, "it has two files of one name")
    wanted: tuple[Half, Half] = ("info", "pkg")
    names = {half: f"{half}-{stem}.tar.zst" for half in wanted}
    for name in ("metadata.json", *names.values()):
        if name not in members:
            raise archive_error(filename, f"it has no `{name}`", name)
    for name, member in members.items():
        # Whatever else there is, nobody reads; two of a kind would be read differently by each tool.
        if name.startswith(("info-", "pkg-")) and name not in names.values():
            raise archive_error(filename, f"`{name}` is of another package", name)
        if stat.S_IFMT(member.mode) not in (0, stat.S_IFREG):
            raise archive_error(filename, f"`{name}` is no file", name)
    _check_format(archive, members["metadata.json"])
    for half, name in names.items():
        yield half, members[name]


def _check_format(archive: Archive, member: Member) -> None:
    try:
        found = json.loads(archive.read(member)) if member.size <= _MAX_METADATA else None
        version = found["conda_pkg_format_version"] if isinstance(found, dict) else None
    except WheelError as error:
        raise _as_archive_error(error, archive.filename) from error
    except (ValueError, KeyError, RecursionError):
        version = None
    if version != _FORMAT:
        raise archive_error(
            archive.filename, f"it is of version {version} of the format, 2 is known", member.name
        )


def _spooled(
    chunks: Iterable[bytes], compression: str, limit: int, filename: str, scratch: Path
) -> mmap:
    """A tar, unpacked to disk."""
    size = 0
    with tempfile.TemporaryFile(dir=scratch) as file:
        try:
            for piece in _pieces(chunks, compression):
                size += file.write(piece)
                if size > limit:
                    raise archive_error(filename, f"it unpacks to more than {limit} bytes")
        except WheelError as error:
            raise _as_archive_error(error, filename) from error
        except EOFError as error:
            raise archive_error(filename, "it is cut off") from error
        if not size:
            raise archive_error(filename, "it holds nothing")
        file.flush()
        return mmap(file.fileno(), 0, access=ACCESS_READ)


def _pieces(chunks: Iterable[bytes], compression: str) -> Iterator[bytes]:
    """What a packed stream holds; there may be several, one after the other, as `pbzip2` makes them."""
    stream = decompressor(compression)
    for chunk in chunks:
        data = chunk
        while data or not (stream.eof or stream.needs_input):
            if stream.eof:
                stream = decompressor(compression)
            try:
                piece = stream.decompress(data, _PIECE)
            except DAMAGED as error:
                raise EOFError from error
            data = stream.unused_data if stream.eof else b""
            if piece:
                yield piece
            elif not data and stream.needs_input:
                break
    if not stream.eof:
        raise EOFError


def _members(spool: mmap, half: Half, filename: str) -> Iterator[Unpacked]:
    files: dict[str, Unpacked] = {}
    try:
        with tarfile.open(fileobj=spool, mode="r:", encoding="utf-8") as archive:
            for number, member in enumerate(archive):
                if number == _MAX_MEMBERS:
                    raise archive_error(filename, f"it has more than {_MAX_MEMBERS} files")
                found = _unpacked(member, half, spool, files, filename)
                if found.kind == "file":
                    files[found.path] = found
                yield found
    except (tarfile.TarError, ValueError, OSError) as error:
        if isinstance(error, CondaArchiveError):
            raise
        raise archive_error(filename, f"its `{half}` tar is damaged", "", (str(error),)) from error


def _unpacked(
    member: tarfile.TarInfo, half: Half, spool: mmap, files: dict[str, Unpacked], filename: str
) -> Unpacked:
    path = member.name.removeprefix("./")
    start, size = 0, 0
    kind: Literal["file", "link", "folder"] = "file"
    if member.islnk():  # the name of a file that came before, not a path from here
        other = files.get(member.linkname.removeprefix("./"))
        if other is None:
            raise archive_error(filename, f"`{path}` is another name of no file", path)
        return Unpacked(path, half, "file", "", other.executable, spool, other.start, other.size)
    if member.issym():
        kind = "link"
    elif member.isdir():
        kind = "folder"
    elif not member.isreg() or member.issparse():
        raise archive_error(filename, f"`{path}` is neither a file, a folder nor a link", path)
    else:
        start, size = member.offset_data, member.size
        if start + size > len(spool):
            raise archive_error(filename, f"`{path}` is cut off", path)
    is_executable = bool(member.mode & stat.S_IXUSR)
    return Unpacked(path, half, kind, member.linkname, is_executable, spool, start, size)
