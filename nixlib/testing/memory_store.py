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
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from nixlib import nar
from nixlib.daemon.building import LIMIT, SILENCE
from nixlib.daemon.diagnosis import build_error
from nixlib.errors import StoreError
from nixlib.pathinfo import PathInfo
from nixlib.storepath import STORE_DIR, StorePath, check_name, fixed_output_path
from nixlib.testing.memory_builds import run_builder
from nixlib.tree import Directory, Node, Regular, Symlink

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from types import TracebackType

    from typing_extensions import Self

    from nixlib.cancel import Cancel
    from nixlib.derivation import Derivation

    Object = tuple[Node, PathInfo]


def _nothing(line: str) -> None:
    del line


@dataclass
class _Contents:
    """What outlives one opening of the store; every use holds `lock`."""

    lock: threading.RLock = field(default_factory=threading.RLock)
    objects: dict[StorePath, Object] = field(default_factory=dict)
    roots: dict[Path, StorePath] = field(default_factory=dict)
    temp_roots: dict[int, set[StorePath]] = field(default_factory=dict)
    directory: Path | None = None

    def place(self, path: StorePath) -> Path:
        if self.directory is None:
            self.directory = Path(tempfile.mkdtemp(prefix="memory-store-"))
            # A test may look at an environment's files after it has closed the store.
            weakref.finalize(self, shutil.rmtree, self.directory, ignore_errors=True)
        return self.directory / "nix" / "store" / str(path)

    def alive(self) -> set[StorePath]:
        found: set[StorePath] = set()
        waiting = {path for link, path in self.roots.items() if link.is_symlink()}
        waiting.update(*self.temp_roots.values())
        while waiting:
            path = waiting.pop()
            if path not in found and path in self.objects:
                found.add(path)
                waiting.update(self.objects[path][1].references)
        return found


class MemoryStore:
    """A store whose objects are values; their files are written to a temporary place when asked for.

    Args:
        substitutes: What its substituters have: trees by the path that they must have.
    """

    store_dir = STORE_DIR

    def __init__(self, substitutes: Mapping[StorePath, Object] | None = None) -> None:
        self._substitutes = dict(substitutes or {})
        self._contents = _Contents()
        self._closed = False

    def reopen(self) -> MemoryStore:
        """The same store, opened once more: what is valid and rooted in one is so in the other."""
        other = MemoryStore(self._substitutes)
        other._contents = self._contents
        return other

    def physical(self, path: StorePath) -> Path:
        """Where the files of `path` are; written at the first call that finds it valid."""
        with self._contents.lock:
            place = self._contents.place(path)
            if path in self._contents.objects and not os.path.lexists(place):
                node, info = self._contents.objects[path]
                place.parent.mkdir(parents=True, exist_ok=True)
                _write(node, place)
                for reference in info.references:
                    self.physical(reference)
            return place

    def query_valid_paths(self, paths: Collection[StorePath]) -> frozenset[StorePath]:
        """Those of `paths` that are valid."""
        with self._contents.lock:
            self._check_open()
            return frozenset(path for path in paths if path in self._contents.objects)

    def query_path_info(self, path: StorePath) -> PathInfo | None:
        """What is known of `path`; nothing when it is not valid."""
        with self._contents.lock:
            self._check_open()
            found = self._contents.objects.get(path)
            return None if found is None else found[1]

    def add_tree(self, name: str, tree: Node, references: Collection[StorePath] = ()) -> PathInfo:
        """Make a tree a store object; its bytes are copied."""
        check_name(name)
        kept = nar.parse_buffer(memoryview(b"".join(nar.dump(tree))))
        sha256, size = nar.nar_hash(kept)
        wanted = tuple(sorted(set(references)))
        path = fixed_output_path(name, sha256, wanted, self.store_dir)
        info = PathInfo(path, sha256, size, wanted)
        with self._contents.lock:
            self._check_open()
            for reference in wanted:
                if reference not in self._contents.objects:
                    raise StoreError(
                        f"cannot add `{name}` to the Nix store: a reference is not valid",
                        details=(reference.in_dir(self.store_dir),),
                        reason="nix",
                    )
            self._contents.objects.setdefault(path, (kept, info))
            self._temp_roots.add(path)
        return info

    @property
    def _temp_roots(self) -> set[StorePath]:
        return self._contents.temp_roots.setdefault(id(self), set())

    def add_temp_root(self, paths: Collection[StorePath]) -> None:
        """Keep `paths` until the store is closed."""
        with self._contents.lock:
            self._check_open()
            self._temp_roots.update(paths)

    def add_root(self, link: Path, path: StorePath) -> Path:
        """Keep `path` for good, and make `link` lead to its files."""
        link = Path(os.path.abspath(link))  # noqa: PTH100  # `resolve` would follow the link itself
        link.parent.mkdir(parents=True, exist_ok=True)
        with self._contents.lock:
            target = self.physical(path)
            link.unlink(missing_ok=True)
            link.symlink_to(target)
            self._contents.roots[link] = path
        return link

    def remove_root(self, link: Path) -> None:
        """Undo `add_root`."""
        link = Path(os.path.abspath(link))  # noqa: PTH100
        with self._contents.lock:
            link.unlink(missing_ok=True)
            self._contents.roots.pop(link, None)

    def substitute(self, paths: Collection[StorePath]) -> frozenset[StorePath]:
        """Those of `paths` that were missing and that the substitutes hold."""
        with self._contents.lock:
            self._check_open()
            objects = self._contents.objects
            found = frozenset(set(paths) - objects.keys()) & self._substitutes.keys()
            objects.update((path, self._substitutes[path]) for path in found)
            self._temp_roots.update(found)
            return found

    def build(
        self,
        derivation: Derivation,
        *,
        on_log: Callable[[str], None] = _nothing,
        cancel: Cancel | None = None,
        silence: float = SILENCE,
        limit: float = LIMIT,
    ) -> StorePath:
        """Run the builder with this store at `/nix/store`, one build at a time."""
        output = derivation.output(self.store_dir)
        self.add_temp_root((output, *derivation.sources))
        with self._contents.lock:
            if output in self._contents.objects:
                return output
            closure = self._closure(derivation.sources)
            words = derivation.env.get("exportReferencesGraph", "").split()
            wanted = zip(words[::2], words[1::2], strict=True)
            run_builder(
                derivation,
                self.physical(output).parent,
                {name: self._closure([StorePath.parse(path)]).items() for name, path in wanted},
                store_dir=self.store_dir,
                on_log=on_log,
                cancel=cancel,
                silence=silence,
                limit=limit,
            )
            self._register(derivation, output, closure)
        return output

    def _closure(self, paths: Collection[StorePath]) -> dict[StorePath, tuple[StorePath, ...]]:
        found: dict[StorePath, tuple[StorePath, ...]] = {}
        waiting = list(paths)
        while waiting:
            path = waiting.pop()
            if path not in self._contents.objects:
                raise StoreError(
                    "cannot build: a source is not valid",
                    details=(path.in_dir(self.store_dir),),
                    reason="nix",
                )
            self.physical(path)
            if path not in found:
                found[path] = self._contents.objects[path][1].references
                waiting += found[path]
        return found

    def _register(
        self, derivation: Derivation, output: StorePath, sources: Collection[StorePath]
    ) -> None:
        place = self._contents.place(output)
        if not os.path.lexists(place):
            drv = derivation.path(self.store_dir).in_dir(self.store_dir)
            what = "its builder ended without making anything"
            raise build_error(
                derivation.name, what, reason="failed", status=0, drv_path=drv, lines=()
            )
        data = b"".join(nar.dump(_read(place)))
        kept = nar.parse_buffer(memoryview(data))
        # Nix's way: whatever of the sources is mentioned anywhere is needed.
        references = tuple(sorted(path for path in sources if path.digest.encode() in data))
        sha256, size = nar.nar_hash(kept)
        self._contents.objects[output] = kept, PathInfo(output, sha256, size, references)

    def collect_garbage(self) -> frozenset[StorePath]:
        """Delete what Nix's collector would delete now; the paths that went."""
        with self._contents.lock:
            dead = frozenset(self._contents.objects.keys() - self._contents.alive())
            for path in dead:
                del self._contents.objects[path]
                _remove(self._contents.place(path))
            return dead

    def close(self) -> None:
        """Forget temporary roots and refuse further calls; files that were written stay until exit."""
        with self._contents.lock:
            self._closed = True
            self._contents.temp_roots.pop(id(self), None)

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


def _read(place: Path) -> Node:
    if place.is_symlink():
        return Symlink(str(place.readlink()))
    if place.is_dir():
        return Directory({path.name: _read(path) for path in place.iterdir()})
    return Regular.of(place.read_bytes(), executable=os.access(place, os.X_OK))


def _remove(place: Path) -> None:
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)


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
