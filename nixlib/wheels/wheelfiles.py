"""A wheel's files, examined one by one and laid out as a store object (layout 1).

Each is inflated, checked against its size and CRC, hashed for RECORD and, if it is an ELF, asked for
its run-path, all on the same buffer: going through 470 MB once costs 0.9 s, and each pass more 0.6.
"""

from __future__ import annotations

import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from mmap import ACCESS_READ, mmap

from nixlib.binaries.elf import MAGIC, Elf, read_elf
from nixlib.errors import WheelError
from nixlib.tree import Node, Regular, Symlink
from nixlib.wheels.record import Row, algorithm_of, digest_of
from nixlib.wheels.ziparchive import Archive, Member

HELD = 128 << 20
"""Up to this many bytes unpacked, a wheel is inflated once and held; a larger one is inflated twice, first
to check it and then into the NAR. With two importing threads that bounds memory to 256 MiB."""

_LARGE_MEMBER = 1 << 20
_MAX_LINK = 4096
# From lib/pythonX.Y/site-packages of an environment to its root, for every Python.
_ROOT = "../../.."


@dataclass(frozen=True, slots=True)
class File:
    """One member, examined.

    Attributes:
        node: Its content, or the link that it is.
        row: Its true hash and size, by the algorithm that RECORD uses for it; a link has none.
        head: Its first bytes, enough to tell `#!python`.
        elf: Its dynamic section, where it has one.
    """

    node: Node
    row: Row
    head: bytes = b""
    elf: Elf | None = None


@dataclass(frozen=True, slots=True)
class Placed:
    """A file at its place.

    Attributes:
        path: In the store object: `site-packages/x.py`, `bin/x`.
        record: In the installed RECORD, relative to site-packages: `x.py`, `../../../bin/x`.
        file: What lies there.
    """

    path: str
    record: str
    file: File


def examine(
    archive: Archive, members: Mapping[str, Member], claimed: Mapping[str, Row]
) -> Mapping[str, File]:
    """Every member by its path, checked.

    Args:
        archive: The wheel.
        members: Its members by name; no two alike, every name a relative path.
        claimed: RECORD, which says by what algorithm to hash each.

    Raises:
        WheelError: A member is damaged, or a link leads out of the wheel.
    """
    held = sum(member.size for member in members.values()) <= HELD
    files: dict[str, File] = {}
    for path, member in members.items():
        algorithm = algorithm_of(claimed.get(path))
        if stat.S_ISLNK(member.mode):
            files[path] = _examine_link(archive, member, members)
        elif held or member.size <= _LARGE_MEMBER:
            files[path] = _examine_small(archive, member, algorithm, held=held)
        else:
            files[path] = _examine_large(archive, member, algorithm)
    return files


def _is_executable(member: Member) -> bool:
    return stat.S_ISREG(member.mode) and bool(member.mode & 0o111)


def _examine_small(archive: Archive, member: Member, algorithm: str, *, held: bool) -> File:
    content = archive.read(member)
    executable = _is_executable(member)
    node = (
        Regular.of(content, executable=executable)
        if held
        else Regular(member.size, lambda: (archive.read(member),), executable)
    )
    row = Row(member.name, digest_of((content,), algorithm), str(member.size))
    return File(node, row, content[:16], read_elf(content) if content[:4] == MAGIC else None)


def _examine_large(archive: Archive, member: Member, algorithm: str) -> File:
    chunks = archive.chunks(member)
    first = next(chunks, b"")
    elf: Elf | None = None
    if first[:4] == MAGIC:
        # The loader's tables lie at both ends of a file that may not fit into memory.
        with tempfile.TemporaryFile() as file:
            digest = digest_of(_teed(first, chunks, file.write), algorithm)
            file.flush()
            with mmap(file.fileno(), 0, access=ACCESS_READ) as content:
                elf = read_elf(content)
    else:
        digest = digest_of(_teed(first, chunks, len), algorithm)
    node = Regular(member.size, partial(archive.chunks, member), _is_executable(member))
    return File(node, Row(member.name, digest, str(member.size)), first[:16], elf)


def _teed(first: bytes, rest: Iterable[bytes], write: Callable[[bytes], object]) -> Iterator[bytes]:
    write(first)
    yield first
    for chunk in rest:
        write(chunk)
        yield chunk


def _examine_link(archive: Archive, member: Member, members: Mapping[str, Member]) -> File:
    """A link of the archive, which must lead to a file or directory of the wheel without a detour."""
    target = (
        archive.read(member).decode("utf-8", "surrogateescape") if member.size < _MAX_LINK else ""
    )
    parts = member.name.split("/")[:-1]
    for part in target.split("/"):
        if part == ".." and parts:
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    goal = "/".join(parts)
    is_file = goal in members and not stat.S_ISLNK(members[goal].mode)
    is_inside = is_file or any(path.startswith(f"{goal}/") for path in members)
    if not target or not goal or target.startswith("/") or "\0" in target or not is_inside:
        raise WheelError(
            f"cannot use the wheel `{archive.filename}`: the link `{member.name}` leads out of it",
            details=(f"to {target[:200]!r}",),
            wheel=archive.filename,
            member=member.name,
        )
    return File(Symlink(target), Row(member.name))


def place(filename: str, files: Mapping[str, File], own_data: str, project: str) -> list[Placed]:
    """Lay the files of a wheel out, as its specification says where each belongs.

    Args:
        filename: The wheel's, for messages.
        files: By their path in the wheel.
        own_data: The wheel's `.data` directory; empty where it has none.
        project: Its name, a directory of which its headers go to.

    Raises:
        WheelError: A file of `.data` belongs nowhere, or two belong to one place.
    """
    placed: dict[str, Placed] = {}
    for path, file in files.items():
        found = _placed(filename, path, file, own_data, project)
        if found.path in placed:
            raise _misplaced(filename, path, f"two of its files are installed as `{found.record}`")
        placed[found.path] = found
    return list(placed.values())


def _misplaced(filename: str, path: str, why: str) -> WheelError:
    return WheelError(f"cannot use the wheel `{filename}`: {why}", wheel=filename, member=path)


def _placed(filename: str, path: str, file: File, own_data: str, project: str) -> Placed:
    if not own_data or not path.startswith(f"{own_data}/"):
        return Placed(f"site-packages/{path}", path, file)
    _, scheme, inside = [*path.split("/", 2), ""][:3]
    if not inside or scheme not in ("purelib", "platlib", "scripts", "headers", "data"):
        raise _misplaced(
            filename, path, f"`{path}` is in no directory that the specification knows"
        )
    if isinstance(file.node, Symlink):
        # A link between schemes would lead elsewhere once they are apart.
        raise _misplaced(filename, path, f"the link `{path}` is in `{own_data}`")
    if scheme in ("purelib", "platlib"):
        return Placed(f"site-packages/{inside}", inside, file)
    if scheme == "scripts":
        if "/" in inside:
            raise _misplaced(filename, path, f"the script `{path}` is in a directory")
        return Placed(f"bin/{inside}", f"{_ROOT}/bin/{inside}", _executable(file))
    if scheme == "headers":
        return Placed(f"include/{project}/{inside}", f"{_ROOT}/include/{project}/{inside}", file)
    return Placed(f"data/{inside}", f"{_ROOT}/{inside}", file)


def _executable(file: File) -> File:
    if not isinstance(file.node, Regular) or file.node.executable:
        return file
    return File(
        Regular(file.node.size, file.node.read, executable=True), file.row, file.head, file.elf
    )
