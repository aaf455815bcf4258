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
import tempfile
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "COMPLETE",
    "Link",
    "Mirror",
    "compile_in_background",
    "prepare_pycache",
    "read_mirror",
    "sweep",
]

COMPLETE = ".complete"
"""In each finished mirror: what it links to, as JSON; its time is that of the last use."""


@dataclass(frozen=True, slots=True)
class Link:
    """A place of an environment where the modules of one package are.

    Attributes:
        path: Relative to the environment: a folder, or a module (`….py`) in a folder that packages share.
        package: The name of the store object that provides it.
        inside: Where in that object it is.
    """

    path: str
    package: str
    inside: str

    @property
    def is_module(self) -> bool:
        """Whether it is one file, rather than a folder."""
        return self.inside.endswith(".py")


@dataclass(frozen=True, slots=True)
class Mirror:
    """What an environment needs below the prefix.

    Attributes:
        interpreter: The name of its interpreter's store object.
        library: The name of its library folder, `python3.11`.
        links: Where its packages are, sorted.
        shared: Folders that several packages provide, relative to the environment, parents first.
    """

    interpreter: str
    library: str
    links: tuple[Link, ...]
    shared: tuple[str, ...]

    @property
    def suffix(self) -> str:
        """How bytecode files end, `.cpython-311.pyc` (PEP 3147)."""
        return f".cpython-{self.library.removeprefix('python').rstrip('t').replace('.', '')}.pyc"

    def to_json(self) -> str:
        """What is needed to know which packages are in use; see `COMPLETE`."""
        packages = sorted({self.interpreter, *(link.package for link in self.links)})
        return json.dumps({"interpreter": self.interpreter, "packages": packages})


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
            mirror = read_mirror(environment)
            _link_interpreter(mirror, prefix, objects, store_dir or environment.parent)
            _publish(mirror, objects, place)
    return prefix


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


def read_mirror(environment: Path) -> Mirror:
    """What an environment's links say: a directory read per real folder, a `readlink` per link.

    Raises:
        OSError: It is not there, or is not an environment of ours.
    """
    program = str((environment / "bin" / "python").readlink())
    interpreter, _, name = _split(program)
    library = name.rpartition("/")[2]
    found = list(_modules(environment, f"lib/{library}/site-packages"))
    links = sorted((one for one in found if isinstance(one, Link)), key=lambda link: link.path)
    shared = sorted(one for one in found if isinstance(one, str))
    return Mirror(interpreter, library, tuple(links), tuple(shared))


def _split(target: str) -> tuple[str, str, str]:
    """A link between store objects: the object's name, `/`, and the path inside."""
    return target.rpartition("../")[2].partition("/")


def _modules(environment: Path, folder: str) -> Iterator[Link | str]:
    """What is in a real folder: one link in its place where one package provides it all."""
    links: list[Link] = []
    below: list[Link | str] = []
    with os.scandir(environment / folder) as entries:
        for entry in entries:
            path = f"{folder}/{entry.name}"
            if entry.is_symlink():
                package, _, inside = _split(os.readlink(entry.path))  # noqa: PTH115 - pathlib costs as much again
                if inside and not entry.name.endswith(".dist-info"):
                    links.append(Link(path, package, inside))
            elif entry.is_dir():
                below += _modules(environment, path)
    owners = {link.package for link in (*links, *(o for o in below if isinstance(o, Link)))}
    # `site-packages` itself stays real, or one package could be found through its name alone.
    if len(owners) == 1 and not folder.endswith("/site-packages"):
        inside = "site-packages" + folder.partition("/site-packages")[2]
        yield Link(folder, owners.pop(), inside)
        return
    yield folder
    yield from (link for link in links if link.is_module or (environment / link.path).is_dir())
    yield from below


def _link_interpreter(mirror: Mirror, prefix: Path, objects: Path, store_dir: Path) -> None:
    """The standard library's place: what its store object brings, else a folder to be filled.

    A `__pycache__` of an interpreter of ours also has links to those of its subfolders, so that one
    link serves all of it (`nixlib.interpreters.precompile`).
    """
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


def _publish(mirror: Mirror, objects: Path, place: Path) -> None:
    """Make a mirror beside its place and move it there."""
    if (place / COMPLETE).exists():
        return  # another process was faster
    place.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(dir=objects.parent, prefix="new-"))
    try:
        _fill(mirror, objects, draft, place)
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
    (draft / COMPLETE).write_text(mirror.to_json())


def _symlink(at: Path, target: Path, final: Path) -> None:
    # Relative, because a home folder may be mounted elsewhere tomorrow.
    at.symlink_to(os.path.relpath(target, final.parent))


def _discard(folder: Path, beside: Path) -> None:
    """Away from its place at once, by a rename, and then deleted."""
    grave = Path(tempfile.mkdtemp(dir=beside.parent, prefix="old-"))
    folder.rename(grave / "old")
    shutil.rmtree(grave, ignore_errors=True)


def compile_in_background(
    environment: Path, cache_dir: Path, *, packages: Collection[str] | None = None
) -> subprocess.Popen[bytes] | None:
    """Start compiling what an environment's packages have not compiled yet; nobody waits for it.

    At the lowest priority, in a session of its own, by the environment's Python. Two environments that
    share a package wait for each other instead of compiling it twice. May be killed at any time.

    Args:
        environment: As for `prepare_pycache`, which must have been called.
        cache_dir: The same.
        packages: Names of store objects; all of the environment's by default.

    Returns:
        The process, or None where nothing is left to do.

    Raises:
        OSError: The environment is not there, or its Python cannot be started.
    """
    mirror = read_mirror(environment)
    jobs = list(_jobs(mirror, environment, cache_dir, packages))
    if not jobs:
        return None
    lock = cache_dir / "bytecode" / "objects" / mirror.interpreter / ".lock"
    orders = {"suffix": mirror.suffix, "lock": str(lock), "jobs": jobs}
    # `-S`: nothing of the environment may run here, `.pth` files least of all.
    process = subprocess.Popen(
        [environment / "bin" / "python", "-I", "-S", "-B", "-W", "ignore", _COMPILER],
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
    pairs: dict[str, list[tuple[str, str]]] = {}
    for link in mirror.links:
        inside = link.inside.removesuffix(".py") + mirror.suffix if link.is_module else link.inside
        pair = (str(environment / link.path), str(objects / link.package / inside))
        pairs.setdefault(link.package, []).append(pair)
    library = objects / mirror.interpreter / "lib" / mirror.library
    if library.is_dir():  # the interpreter brings no bytecode of its own
        source = environment / "bin" / (environment / "bin" / "python").readlink()
        folder = source.parent.parent / "lib" / mirror.library
        pairs = {mirror.interpreter: [(str(folder), str(library))], **pairs}
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
    for folder, folders, files in os.walk(top / "prefix"):
        place = Path(folder)
        if COMPLETE in files:
            folders.clear()
            environment = f"/{place.relative_to(top / 'prefix')}"
            if environment in kept or (place / COMPLETE).stat().st_mtime > limit:
                used |= _packages_of(place / COMPLETE)
            else:
                yield place
            continue
        for path in map(place.joinpath, files):
            is_old = path.suffix == ".pyc" and path.lstat().st_mtime <= limit
            if is_old or (path.is_symlink() and not path.exists()):
                yield path
    for package in (top / "objects").glob("*/*"):
        if package.is_dir() and (package.parent.name, package.name) not in used:
            yield package
    # Under the lock nobody is making one.
    yield from top.glob("new-*")
    yield from top.glob("old-*")


def _packages_of(complete: Path) -> set[tuple[str, str]]:
    try:
        facts = json.loads(complete.read_text())
        return {(facts["interpreter"], package) for package in facts["packages"]}
    except (OSError, ValueError, KeyError, TypeError):
        return set()  # half-written on a full disk: the mirror works, its packages may go


def _size(path: Path) -> int:
    """Bytes of the files at and below `path`, links not followed."""
    if path.is_symlink() or not path.is_dir():
        return path.lstat().st_size
    inside = (Path(folder) / name for folder, _, files in os.walk(path) for name in files)
    return sum(file.lstat().st_size for file in inside)
