"""A store in memory, for tests that are about something else than Nix.

It is held to `tests/contract/test_store.py` like the real one. What it does not do: survive its
process, be shared by two, or limit anybody.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

from nixlib import nar
from nixlib.errors import StoreError
from nixlib.pathinfo import PathInfo
from nixlib.storepath import STORE_DIR, StorePath, check_name, fixed_output_path
from nixlib.tree import Directory, Node, Regular, Symlink

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from types import TracebackType

    from typing_extensions import Self


class MemoryStore:
    """A store whose objects are values; their files are written to a temporary place when asked for.

    Args:
        substitutes: What its substituters have: trees by the path that they must have.
    """

    def __init__(
        self, substitutes: Mapping[StorePath, tuple[Node, PathInfo]] | None = None
    ) -> None:
        self.store_dir = STORE_DIR
        self._lock = threading.RLock()
        self._objects: dict[StorePath, tuple[Node, PathInfo]] = {}
        self._substitutes = dict(substitutes or {})
        self._temp_roots: set[StorePath] = set()
        self._roots: dict[Path, StorePath] = {}
        self._directory: Path | None = None
        self._closed = False

    def physical(self, path: StorePath) -> Path:
        """Where the files of `path` are; written at the first call that finds it valid."""
        with self._lock:
            if self._directory is None:
                self._directory = Path(tempfile.mkdtemp(prefix="memory-store-"))
                # A test may look at an environment's files after it has closed the store.
                weakref.finalize(self, shutil.rmtree, self._directory, ignore_errors=True)
            place = self._directory / "nix" / "store" / str(path)
            if path in self._objects and not os.path.lexists(place):
                place.parent.mkdir(parents=True, exist_ok=True)
                _write(self._objects[path][0], place)
                for reference in self._objects[path][1].references:
                    self.physical(reference)
            return place

    def query_valid_paths(self, paths: Collection[StorePath]) -> frozenset[StorePath]:
        """Those of `paths` that are valid."""
        with self._lock:
            self._check_open()
            return frozenset(path for path in paths if path in self._objects)

    def query_path_info(self, path: StorePath) -> PathInfo | None:
        """What is known of `path`; nothing when it is not valid."""
        with self._lock:
            self._check_open()
            return self._objects[path][1] if path in self._objects else None

    def add_tree(self, name: str, tree: Node, references: Collection[StorePath] = ()) -> PathInfo:
        """Make a tree a store object; its bytes are copied."""
        check_name(name)
        kept = nar.parse_buffer(memoryview(b"".join(nar.dump(tree))))
        sha256, size = nar.nar_hash(kept)
        wanted = tuple(sorted(set(references)))
        path = fixed_output_path(name, sha256, wanted, self.store_dir)
        info = PathInfo(path, sha256, size, wanted)
        with self._lock:
            self._check_open()
            for reference in wanted:
                if reference not in self._objects:
                    raise StoreError(
                        f"cannot add `{name}` to the Nix store: a reference is not valid",
                        details=(reference.in_dir(self.store_dir),),
                        reason="nix",
                    )
            self._objects.setdefault(path, (kept, info))
            self._temp_roots.add(path)
        return info

    def add_temp_root(self, paths: Collection[StorePath]) -> None:
        """Keep `paths` until the store is closed."""
        with self._lock:
            self._check_open()
            self._temp_roots.update(paths)

    def add_root(self, link: Path, path: StorePath) -> Path:
        """Keep `path` for good, and make `link` lead to its files."""
        link = Path(os.path.abspath(link))  # noqa: PTH100  # `resolve` would follow the link itself
        link.parent.mkdir(parents=True, exist_ok=True)
        with self._lock:
            target = self.physical(path)
            link.unlink(missing_ok=True)
            link.symlink_to(target)
            self._roots[link] = path
        return link

    def remove_root(self, link: Path) -> None:
        """Undo `add_root`."""
        link = Path(os.path.abspath(link))  # noqa: PTH100
        with self._lock:
            link.unlink(missing_ok=True)
            self._roots.pop(link, None)

    def substitute(self, paths: Collection[StorePath]) -> frozenset[StorePath]:
        """Those of `paths` that were missing and that the substitutes hold."""
        with self._lock:
            self._check_open()
            found = {path for path in paths if path not in self._objects} & self._substitutes.keys()
            self._objects.update((path, self._substitutes[path]) for path in found)
            self._temp_roots |= found
            return frozenset(found)

    def collect_garbage(self) -> frozenset[StorePath]:
        """What Nix's collector would delete now; deletes it."""
        with self._lock:
            alive: set[StorePath] = set()
            waiting = {path for link, path in self._roots.items() if link.is_symlink()}
            waiting |= self._temp_roots
            while waiting:
                path = waiting.pop()
                if path in alive or path not in self._objects:
                    continue
                alive.add(path)
                waiting |= set(self._objects[path][1].references)
            dead = frozenset(self._objects.keys() - alive)
            for path in dead:
                del self._objects[path]
            return dead

    def close(self) -> None:
        """Forget temporary roots and refuse further calls; files that were written stay until exit."""
        with self._lock:
            self._closed = True
            self._temp_roots.clear()

    def _check_open(self) -> None:
        if self._closed:
            raise StoreError("the store has been closed", reason="closed")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _write(node: Node, place: Path) -> None:
    if isinstance(node, Symlink):
        place.symlink_to(node.target)
    elif isinstance(node, Regular):
        with place.open("wb") as file:
            file.writelines(node.read())
        place.chmod(0o555 if node.executable else 0o444)
    elif isinstance(node, Directory):
        place.mkdir()
        for name, child in node.entries.items():
            _write(child, place / name)
