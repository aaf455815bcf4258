"""Packages and interpreters out of dict literals, as store objects in memory or on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from nixlib.composition.compose import InterpreterPackage
from nixlib.composition.package import FACTS_NAME, LAYOUT, Facts, MemoryListing, Package
from nixlib.storepath import StorePath, nix32_encode
from nixlib.tree import Directory, Node, Regular, Symlink, tree_of, walk

__all__ = ["interpreter_of", "package_of", "write_object"]


def package_of(
    name: str,
    files: Mapping[str, bytes | str | Node] | None = None,
    *,
    version: str = "1.0",
    console_scripts: Mapping[str, str] | None = None,
    python_scripts: tuple[str, ...] = (),
    origin: tuple[str, ...] = (),
) -> Package:
    """A package whose store object is in memory.

    Args:
        name: Its normalised name.
        files: Paths in the store object, such as `site-packages/x.py`; its metadata is added.
        version: Its version.
        console_scripts: As in `Facts`.
        python_scripts: As in `Facts`.
        origin: As in `Facts`.
    """
    facts = Facts(LAYOUT, name, version, console_scripts or {}, {}, python_scripts, origin)
    info = f"site-packages/{name.replace('-', '_')}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    tree = tree_of({**(files or {}), f"{info}/METADATA": metadata, FACTS_NAME: facts.to_bytes()})
    return Package(name, version, _some_path(f"{name}-{version}", tree), MemoryListing(tree), facts)


def interpreter_of(version: str = "3.11.7") -> InterpreterPackage:
    """An interpreter of three files, none of which runs."""
    minor = ".".join(version.split(".")[:2])
    tree = tree_of(
        {
            f"bin/python{minor}": Regular.of(b"", executable=True),
            f"lib/python{minor}/os.py": "",
            f"lib/python{minor}/json/__init__.py": "",
            f"lib/python{minor}/site-packages/README.txt": "",
            f"include/python{minor}/Python.h": "",
        }
    )
    return InterpreterPackage(version, _some_path(f"python-{version}", tree), MemoryListing(tree))


def _some_path(name: str, tree: Directory) -> StorePath:
    """A store path that depends on the content, without the cost of a NAR."""
    digest = hashlib.sha256(name.encode())
    for path, node in walk(tree):
        body = b"".join(node.read()) if isinstance(node, Regular) else b""
        digest.update(f"{path}\0{len(body)}\0".encode() + body)
    return StorePath(nix32_encode(digest.digest()[:20]), name)


def write_object(store_dir: Path, path: StorePath, tree: Node) -> Path:
    """Write a store object's files where a store would have them; returns where that is."""
    root = store_dir / str(path)
    root.mkdir(parents=True)
    for inside, node in walk(tree):
        target = root / inside
        if isinstance(node, Directory):
            target.mkdir()
        elif isinstance(node, Symlink):
            target.symlink_to(node.target)
        else:
            target.write_bytes(b"".join(node.read()))
            target.chmod(0o555 if node.executable else 0o444)
    return root
