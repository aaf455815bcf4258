"""A file tree as a value: what NARs, wheels, interpreters and environments are made of (pure).

Only what Nix keeps of a file exists here: its bytes, whether it is executable, a link's target.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Regular:
    """A file: `size` bytes that `read` gives in chunks, each time anew."""

    size: int
    read: Callable[[], Iterable[bytes]]
    executable: bool = False

    @classmethod
    def of(cls, data: bytes, *, executable: bool = False) -> Regular:
        """A file whose bytes are at hand."""
        return cls(len(data), lambda: (data,), executable)


@dataclass(frozen=True, slots=True)
class Symlink:
    """A symbolic link; the target is kept as it is."""

    target: str


@dataclass(frozen=True, slots=True)
class Directory:
    """Names and what they stand for, in no particular order."""

    entries: Mapping[str, Node]


Node = Regular | Symlink | Directory


def tree_of(files: Mapping[str, bytes | str | Node]) -> Directory:
    """A nested directory from flat relative paths.

    Args:
        files: `{"a/b.py": content}`; text is UTF-8.

    Raises:
        ValueError: A path is both a file and a directory.

    Examples:
        >>> [path for path, _ in walk(tree_of({"a/b": b"1", "c": "2"}))]
        ['a', 'a/b', 'c']
    """
    root: dict[str, Node] = {}
    folders: dict[str, dict[str, Node]] = {"": root}

    def folder(path: str) -> dict[str, Node]:
        if path not in folders:
            parent, _, name = path.rpartition("/")
            inside = folder(parent)
            if name in inside:
                raise ValueError(f"`{path}` is both a file and a directory")
            folders[path] = {}
            inside[name] = Directory(folders[path])
        return folders[path]

    for path, content in files.items():
        parent, _, name = path.rpartition("/")
        inside = folder(parent)
        if name in inside:
            raise ValueError(f"`{path}` occurs twice")
        inside[name] = _node(content)
    return Directory(root)


def _node(content: bytes | str | Node) -> Node:
    if isinstance(content, str):
        return Regular.of(content.encode())
    return Regular.of(content) if isinstance(content, bytes) else content


def walk(node: Node, prefix: str = "") -> Iterator[tuple[str, Node]]:
    """Every node below `node`, parents first, names sorted as Nix sorts them (by bytes)."""
    if not isinstance(node, Directory):
        return
    for name in sorted(node.entries, key=str.encode):
        path = f"{prefix}/{name}" if prefix else name
        yield path, node.entries[name]
        yield from walk(node.entries[name], path)
