"""NAR, the archive format that the store hashes: a tree to bytes, and bytes back to a tree (pure).

Nix manual, "Nix Archive (NAR) format". The format is canonical: one tree has exactly one NAR. So the
parser refuses whatever the writer would not have written; a lenient one would let two archives stand
for one tree. Neither recurses deeper than `MAX_DEPTH`.
"""

from __future__ import annotations

import hashlib
from operator import itemgetter
from typing import TYPE_CHECKING, BinaryIO

from nixlib.errors import NarError
from nixlib.tree import Directory, Node, Regular, Symlink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

MAX_DEPTH = 255
# Small pieces are joined up to this many bytes, bigger ones are passed on uncopied.
_JOIN = 128 * 1024
_BIG = 32 * 1024
_ZEROS = tuple(bytes(n) for n in range(8))
_FORBIDDEN_NAMES = frozenset((b"", b".", b".."))


def _text(data: bytes) -> bytes:
    return len(data).to_bytes(8, "little") + data + _ZEROS[-len(data) % 8]


def _texts(*words: bytes) -> bytes:
    return b"".join(map(_text, words))


# Every run of fixed words in a NAR, so that a file costs one concatenation.
_MAGIC = _texts(b"nix-archive-1")
_FILE = _texts(b"(", b"type", b"regular", b"contents")
_EXECUTABLE = _texts(b"(", b"type", b"regular", b"executable", b"", b"contents")
_LINK = _texts(b"(", b"type", b"symlink", b"target")
_FOLDER = _texts(b"(", b"type", b"directory")
_ENTRY = _texts(b"entry", b"(", b"name")
_NODE = _texts(b"node")
_CLOSE = _texts(b")")
_CLOSE_ENTRY = _texts(b")", b")")


def dump(node: Node) -> Iterator[bytes]:
    """The NAR of `node` in chunks, none empty; file contents are read as they are reached.

    Small pieces come joined, contents above 32 KiB come as `read` gave them: nothing big is copied.

    Raises:
        NarError: A name or link target that no NAR may hold, a file whose bytes are more or fewer
            than its size, a tree deeper than `MAX_DEPTH`.
    """
    small: list[bytes] = [_MAGIC]
    size = len(_MAGIC)
    for piece in _pieces(node, 0):
        if len(piece) >= _BIG:
            if small:
                yield b"".join(small)
                small, size = [], 0
            yield piece
            continue
        small.append(piece)
        size += len(piece)
        if size >= _JOIN:
            yield b"".join(small)
            small, size = [], 0
    if small:
        yield b"".join(small)


def nar_hash(node: Node) -> tuple[bytes, int]:
    """SHA-256 of the NAR of `node` (32 bytes) and its size in bytes.

    Raises:
        NarError: As `dump`.
    """
    sha256, size = hashlib.sha256(), 0
    for chunk in dump(node):
        sha256.update(chunk)
        size += len(chunk)
    return sha256.digest(), size


def _pieces(node: Node, depth: int) -> Iterator[bytes]:
    if isinstance(node, Regular):
        yield from _file_pieces(node)
        yield _CLOSE
    elif isinstance(node, Symlink):
        yield _link(node) + _CLOSE
    else:
        yield _FOLDER
        yield from _entry_pieces(node, depth + 1)
        yield _CLOSE


def _entry_pieces(folder: Directory, depth: int) -> Iterator[bytes]:
    if depth > MAX_DEPTH:
        raise NarError(f"a tree is nested deeper than {MAX_DEPTH} directories", offset=-1)
    entries = [(name.encode("utf-8", "surrogateescape"), n) for name, n in folder.entries.items()]
    entries.sort(key=itemgetter(0))
    for name, node in entries:
        _check_name(name, -1)
        head = _ENTRY + _text(name) + _NODE
        if isinstance(node, Regular):
            yield head
            yield from _file_pieces(node)
        elif isinstance(node, Symlink):
            yield head + _link(node)
        else:
            yield head + _FOLDER
            yield from _entry_pieces(node, depth + 1)
        yield _CLOSE_ENTRY


def _file_pieces(file: Regular) -> Iterator[bytes]:
    head = _EXECUTABLE if file.executable else _FILE
    yield head + file.size.to_bytes(8, "little")
    left = file.size
    for chunk in file.read():
        left -= len(chunk)
        if left < 0:
            break
        yield chunk
    if left:
        raise NarError(
            f"a file of {file.size} bytes gave {'more' if left < 0 else f'{left} fewer'}", offset=-1
        )
    yield _ZEROS[-file.size % 8]


def _link(link: Symlink) -> bytes:
    target = link.target.encode("utf-8", "surrogateescape")
    if not target or b"\0" in target:
        raise NarError(f"`{link.target!r}` cannot be the target of a link", offset=-1)
    return _LINK + _text(target)


def _check_name(name: bytes, offset: int) -> None:
    if name in _FORBIDDEN_NAMES or b"/" in name or b"\0" in name:
        raise NarError(f"{name!r} cannot be the name of a file in a NAR", offset=offset)


def parse(stream: BinaryIO) -> Node:
    """The tree that a NAR holds; all of `stream` is read into memory.

    Raises:
        NarError: Truncated, more bytes after the end, or not the one canonical NAR of a tree.
    """
    return parse_buffer(memoryview(stream.read()))


def parse_buffer(buffer: memoryview) -> Node:
    """The tree that a NAR in memory holds, its files reading from `buffer` without a copy.

    Give it a view of a mapped file to parse archives larger than memory.

    Raises:
        NarError: As `parse`.
    """
    reader = _Reader(buffer)
    reader.expect(_MAGIC)
    node = reader.node(0)
    reader.expect(_CLOSE)
    if reader.offset != len(buffer):
        raise NarError(
            f"{len(buffer) - reader.offset} bytes after the end of a NAR", offset=reader.offset
        )
    return node


def _slices(view: memoryview) -> Callable[[], Iterable[bytes]]:
    # A view is what `write` and `sha256.update` take as well; bytes would copy each file once.
    return lambda: (view,) if view.nbytes else ()  # type: ignore[return-value]


class _Reader:
    """A position in a NAR; every method moves it forward or raises."""

    def __init__(self, buffer: memoryview) -> None:
        self._buffer = buffer
        self.offset = 0

    def _accept(self, words: bytes) -> bool:
        found = self._buffer[self.offset : self.offset + len(words)] == words
        if found:
            self.offset += len(words)
        return found

    def expect(self, words: bytes) -> None:
        if not self._accept(words):
            raise NarError(f"malformed NAR at byte {self.offset}", offset=self.offset)

    def _text(self) -> memoryview:
        start = self.offset + 8
        size = int.from_bytes(self._buffer[self.offset : start], "little")
        end = start + size
        padded = end + -size % 8
        if start > len(self._buffer) or padded > len(self._buffer):
            raise NarError(f"truncated NAR: {len(self._buffer)} bytes", offset=self.offset)
        if self._buffer[end:padded] != _ZEROS[padded - end]:
            raise NarError(f"padding at byte {end} of a NAR is not zero", offset=end)
        self.offset = padded
        return self._buffer[start:end]

    def node(self, depth: int) -> Node:
        """One node without its closing parenthesis, which its caller shares with its own."""
        if self._accept(_FOLDER):
            return self._directory(depth + 1)
        if self._accept(_LINK):
            return self._symlink()
        executable = self._accept(_EXECUTABLE)
        if not executable:
            self.expect(_FILE)
        content = self._text()
        return Regular(content.nbytes, _slices(content), executable)

    def _symlink(self) -> Symlink:
        start, target = self.offset, bytes(self._text())
        if not target or b"\0" in target:
            raise NarError(f"{target!r} cannot be the target of a link", offset=start)
        return Symlink(target.decode("utf-8", "surrogateescape"))

    def _directory(self, depth: int) -> Directory:
        if depth > MAX_DEPTH:
            raise NarError(f"a NAR nests deeper than {MAX_DEPTH} directories", offset=self.offset)
        entries: dict[str, Node] = {}
        last = b""
        while self._accept(_ENTRY):
            start, name = self.offset, bytes(self._text())
            _check_name(name, start)
            if name <= last:
                raise NarError(f"{name!r} after {last!r} in a NAR: not sorted", offset=start)
            last = name
            self.expect(_NODE)
            entries[name.decode("utf-8", "surrogateescape")] = self.node(depth)
            self.expect(_CLOSE_ENTRY)
        return Directory(entries)
