"""Bytecode outside the store: one cache per user, one copy per package, shared by all environments.

Files of the store are read-only and dated 1970, so Python can write no `.pyc` beside them, and without
one it reads and compiles every module again, three times the cost of an import. `-X pycache_prefix=P`
makes it look below `P` for the absolute path of each module's folder. So `P` mirrors environments, with
one link for each folder that a single package provides:

    <cache>/bytecode/prefix/<environment>/lib/python3.11/site-packages/pandas
        -> <cache>/bytecode/objects/<interpreter>/<package>/site-packages/pandas

`<interpreter>` and `<package>` are names in the store, which prove the content of every source, so what
one environment has compiled is right in each other one. Invariants: what is below `bytecode` belongs to
this user and nobody else can write there, because it is executed; a mirror appears whole, by a rename,
or not at all; losing any of it costs time and nothing else.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

from nixlib.composition.mirror import Link, Mirror, read_mirror

__all__ = [
    "COMPLETE",
    "compile_in_background",
    "prepare_pycache",
    "sweep",
]

COMPLETE = ".complete"
"""In each finished mirror: what it links to, as JSON; its time is that of the last use."""

_NOTHING: Mapping[Link, Path] = MappingProxyType({})


def prepare_pycache(environment: Path, cache_dir: Path, store_dir: Path | None = None) -> Path:
    """The value of `-X pycache_prefix` for a Python of `environment`; the same for all environments.

    The first time it costs some 10 ms, later one `stat` and one `utime`.

    Args:
        environment: By the path that its Python is started with, so without links to it.
        cache_dir: The cache folder of this user, made if it is not there.
        store_dir: The store's folder on this machine, where it is not the environment's own.

    Raises:
        OSError: There is no place for it: a full or read-only disk, or a folder that belongs to another
            user. A kernel starts without it, and is slower.
    """
    prefix = cache_dir.absolute() / "bytecode" / "prefix"
    place = prefix / environment.relative_to("/")
    if not _touch(place / COMPLETE):
        objects = _own_folders(cache_dir)
        with exclusive(cache_dir):
            _prepare(environment, prefix, objects, store_dir or environment.parent)
    return prefix


def _prepare(environment: Path, prefix: Path, objects: Path, store_dir: Path) -> None:
    """The mirror of an environment, and first those of what its private groups lead to."""
    mirror = read_mirror(environment, store_dir)
    _link_interpreter(mirror, prefix, objects, store_dir)
    beside: dict[Link, Path] = {}
    for group in mirror.groups:
        # A kernel knows a group by where its files really are: that outlives this environment.
        real = beside[group] = (store_dir / group.package).resolve()
        _publish(mirror.of_group(group, store_dir), objects, prefix / real.relative_to("/"))
    for process in mirror.processes:
        real = beside[process] = (store_dir / process.package).resolve()
        _prepare(real, prefix, objects, store_dir)
    _publish(mirror, objects, prefix / environment.relative_to("/"), beside)


def _touch(path: Path) -> bool:
    try:
        os.utime(path)
    except OSError:
        # A read-only disk may hold a finished mirror all the same.
        return path.exists()
    return True


def _own_folders(cache_dir: Path) -> Path:
    """Make the folders, or make sure that nobody else can write what we are going to execute."""
    cache_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    top = cache_dir / "bytecode"
    for folder in (cache_dir, top, top / "prefix", top / "objects"):
        folder.mkdir(exist_ok=True, mode=0o700)
        facts = folder.lstat() if folder != cache_dir else folder.stat()
        if facts.st_uid != os.getuid() or not folder.is_dir():
            raise PermissionError(f"`{folder}` does not belong to this user")
        if folder != cache_dir and facts.st_mode & 0o077:
            folder.chmod(0o700)
    return top / "objects"


@contextmanager
def exclusive(cache_dir: Path) -> Iterator[None]:
    """Alone with the cache of this user until the block ends; a killed holder lets go by itself."""
    with (cache_dir / "bytecode" / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _link_interpreter(mirror: Mirror, prefix: Path, objects: Path, store_dir: Path) -> None:
    """The standard library's place: what its store object brings, else a folder to be filled.

    A `__pycache__` of an interpreter of ours also has links to those of its subfolders, so that one
    link serves all of it (`nixlib.interpreters.precompile`). A conda prefix has a library that is mostly
    links into the package of Python: it gets a mirror of its own.
    """
    if mirror.is_prefix:
        place = prefix / (store_dir / mirror.home).relative_to("/")
        _publish(mirror.of_library(store_dir), objects, place)
        return
    library = store_dir / mirror.interpreter / "lib" / mirror.library
    place = prefix / library.relative_to("/")
    target = library / "__pycache__"
    if not (target / "importlib").is_dir():
        target = objects / mirror.interpreter / mirror.interpreter / "lib" / mirror.library
        target.mkdir(parents=True, exist_ok=True)
    if place.is_dir() and not place.is_symlink():
        _discard(place, prefix)  # Python wrote there before there was a link
    place.parent.mkdir(parents=True, exist_ok=True)
    if not place.exists():
        place.unlink(missing_ok=True)
        place.symlink_to(target)


def _publish(
    mirror: Mirror, objects: Path, place: Path, beside: Mapping[Link, Path] = _NOTHING
) -> None:
    """Make a mirror beside its place and move it there."""
    if (place / COMPLETE).exists():
        return  # another process was faster
    place.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(dir=objects.parent, prefix="new-"))
    try:
        _fill(mirror, objects, draft, place)
        for link, real in beside.items():
            target = objects.parent / "prefix" / real.relative_to("/") / link.inside
            _symlink(draft / link.path, target, place / link.path)
        (draft / COMPLETE).write_text(mirror.to_json([*beside.values()]))
        if place.exists():
            _discard(place, objects)  # Python wrote there before there was a mirror
        draft.rename(place)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


def _fill(mirror: Mirror, objects: Path, draft: Path, place: Path) -> None:
    # Python 3.8 to 3.10 spell their library `<environment>/bin/../../<interpreter>/lib`.
    (draft / "bin").mkdir()
    for folder in mirror.shared:
        (draft / folder).mkdir(parents=True)
    for link in mirror.links:
        home = objects / mirror.interpreter / link.package
        if link.is_module:
            module = link.path.removesuffix(".py") + mirror.suffix
            target = home / (link.inside.removesuffix(".py") + mirror.suffix)
            target.parent.mkdir(parents=True, exist_ok=True)
            _symlink(draft / module, target, place / module)
        else:
            target = home / link.inside
            target.mkdir(parents=True, exist_ok=True)
            _symlink(draft / link.path, target, place / link.path)


def _symlink(at: Path, target: Path, final: Path) -> None:
    # Relative, because a home folder may be mounted elsewhere tomorrow.
    at.parent.mkdir(parents=True, exist_ok=True)
    at.symlink_to(os.path.relpath(target, final.parent))


def _discard(folder: Path, beside: Path) -> None:
    """Away from its place at once, by a rename, and then deleted."""
    grave = Path(tempfile.mkdtemp(dir=beside.parent, prefix="old-"))
    folder.rename(grave / "old")
    shutil.rmtree(grave, ignore_errors=True)


def compile_in_background(
    environment: Path,
    cache_dir: Path,
    *,
    packages: Collection[str] | None = None,
    own_python: bool = True,
) -> subprocess.Popen[bytes] | None:
    """Start compiling what an environment's packages have not compiled yet; nobody waits for it.

    At the lowest priority, in a session of its own, by the environment's Python. Two environments that
    share a package wait for each other instead of compiling it twice. May be killed at any time.

    Args:
        environment: As for `prepare_pycache`, which must have been called.
        cache_dir: The same.
        packages: Names of store objects; all of the environment's by default.
        own_python: Whether the environment's Python may be started. One out of a channel or a repository is
            a stranger's program, which nothing but the notebook's own start may run: then the Python that
            runs this compiles, if its bytecode is the same.

    Returns:
        The process, or None where nothing is left to do, or nobody can.

    Raises:
        OSError: The environment is not there, or its Python cannot be started.
    """
    mirror = read_mirror(environment)
    jobs = list(_jobs(mirror, environment, cache_dir, packages))
    program = str(environment / "bin" / "python") if own_python else sys.executable
    if not jobs or (not own_python and mirror.suffix != f".{sys.implementation.cache_tag}.pyc"):
        return None
    lock = cache_dir / "bytecode" / "objects" / mirror.interpreter / ".lock"
    orders = {"suffix": mirror.suffix, "lock": str(lock), "jobs": jobs}
    # `-S`: nothing of the environment may run here, `.pth` files least of all.
    process = subprocess.Popen(
        [program, "-I", "-S", "-B", "-W", "ignore", _COMPILER],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        start_new_session=True,
    )
    with suppress(BrokenPipeError):
        assert process.stdin is not None  # noqa: S101 - it is a pipe, as asked for
        process.stdin.write(json.dumps(orders).encode())
        process.stdin.close()
    return process


def _jobs(
    mirror: Mirror, environment: Path, cache_dir: Path, packages: Collection[str] | None
) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """For each package that is not finished: a file that will say so, and sources with their targets."""
    objects = cache_dir.absolute() / "bytecode" / "objects" / mirror.interpreter
    program = environment / "bin" / (environment / "bin" / "python").readlink()
    home = program.parent.parent
    pairs: dict[str, list[tuple[str, str]]] = {}
    library = objects / mirror.interpreter / "lib" / mirror.library
    if mirror.is_prefix:
        store_dir = Path(os.path.normpath(home)).parent
        places = [(home, link) for link in mirror.of_library(store_dir).links]
    else:
        places = []
        if library.is_dir():  # the interpreter brings no bytecode of its own
            pairs[mirror.interpreter] = [(str(home / "lib" / mirror.library), str(library))]
    for group in mirror.groups:
        tree = environment.parent / group.package
        places += [(tree, link) for link in mirror.of_group(group, environment.parent).links]
    for root, link in (*places, *((environment, link) for link in mirror.links)):
        inside = link.inside.removesuffix(".py") + mirror.suffix if link.is_module else link.inside
        pair = (str(root / link.path), str(objects / link.package / inside))
        pairs.setdefault(link.package, []).append(pair)
    for package, found in pairs.items():
        done = objects / package / ".compiled"
        if (packages is None or package in packages) and not done.exists():
            yield str(done), found


_COMPILER = Path(__file__).parent.parent / "builders" / "compile_packages.py"


def sweep(
    cache_dir: Path, keep: Collection[Path], *, older_than: float = 0.0, dry_run: bool = False
) -> int:
    """Remove the bytecode that nobody uses, and what was half-made when a process was killed.

    Args:
        cache_dir: As for `prepare_pycache`.
        keep: Environments whose bytecode stays, however long ago it was used.
        older_than: Seconds since the last use of an environment, before which its bytecode stays.
        dry_run: Only say how much it would be.

    Returns:
        Bytes of the files removed. Bytecode of the user's own modules goes with the same age.
    """
    top = cache_dir.absolute() / "bytecode"
    if not top.is_dir():
        return 0
    kept = {str(path.absolute()) for path in keep}
    limit = time.time() - older_than
    with exclusive(cache_dir):
        doomed = list(_unused(top, kept, limit))
        freed = sum(_size(path) for path in doomed)
        for path in doomed if not dry_run else ():
            if path.is_dir() and not path.is_symlink():
                _discard(path, top / "prefix")
            else:
                path.unlink(missing_ok=True)
    return freed


def _unused(top: Path, kept: Collection[str], limit: float) -> Iterator[Path]:
    """What may go: mirrors, packages that no other mirror links to, modules of the user, leftovers."""
    used: set[tuple[str, str]] = set()
    complete: list[Path] = []
    for folder, folders, files in os.walk(top / "prefix"):
        place = Path(folder)
        if COMPLETE in files:
            folders.clear()
            complete.append(place)
            continue
        for path in map(place.joinpath, files):
            is_old = path.suffix == ".pyc" and path.lstat().st_mtime <= limit
            if is_old or (path.is_symlink() and not path.exists()):
                yield path
    standing = [
        place
        for place in complete
        if f"/{place.relative_to(top / 'prefix')}" in kept
        or (place / COMPLETE).stat().st_mtime > limit
    ]
    needed = _needed(standing, top / "prefix")
    for place in complete:
        if place in needed:
            used |= _packages_of(place / COMPLETE)
        else:
            yield place
    for package in (top / "objects").glob("*/*"):
        if package.is_dir() and (package.parent.name, package.name) not in used:
            yield package
    # Under the lock nobody is making one.
    yield from top.glob("new-*")
    yield from top.glob("old-*")


def _needed(standing: Collection[Path], prefix: Path) -> set[Path]:
    """The mirrors in use: those that stand, their private groups', and the libraries of conda prefixes."""
    needed: set[Path] = set()
    waiting = list(standing)
    while waiting:
        place = waiting.pop()
        if place not in needed:
            needed.add(place)
            facts = _facts_of(place / COMPLETE)
            waiting += [place.parent / home for home in [facts.get("home")] if home]
            waiting += [prefix / path.lstrip("/") for path in facts.get("beside", ())]
    return needed


def _packages_of(complete: Path) -> set[tuple[str, str]]:
    facts = _facts_of(complete)
    return {(facts["interpreter"], package) for package in facts["packages"]} if facts else set()


def _facts_of(complete: Path) -> dict[str, Any]:
    """What a mirror links to; nothing where that was half-written on a full disk: it works all the same."""
    try:
        facts = json.loads(complete.read_text())
        return {
            "home": str(facts.get("home", "")),
            "beside": [str(path) for path in facts.get("beside", ())],
            "packages": list(facts["packages"]),
            "interpreter": str(facts["interpreter"]),
        }
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _size(path: Path) -> int:
    """Bytes of the files at and below `path`, links not followed."""
    if path.is_symlink() or not path.is_dir():
        return path.lstat().st_size
    inside = (Path(folder) / name for folder, _, files in os.walk(path) for name in files)
    return sum(file.lstat().st_size for file in inside)
