"""Move this process into another environment that has everything it has loaded, and more.

What a Python derives from its environment at start is derived again: `sys.path`, prefixes, executable,
PATH, what `multiprocessing` starts, `.pth` files that are new, caches of the import system. Modules
that are loaded stay, and go on finding their submodules in the old environment, which must therefore
stay in the store until the process ends.
"""

from __future__ import annotations

import importlib
import os
import site
import sys
from dataclasses import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Mapping

# Every site-packages folder that this process has imported from, oldest first.
_roots: list[str] = []
# Descriptors whose shared locks keep environments from the collector; closed by the process's end.
_holds: list[int] = []


@dataclass(frozen=True)
class Target:
    """An environment to move into.

    Attributes:
        prefix: Its folder on this machine.
        python: Its `bin/python`.
        site_packages: Where its packages are.
        pycache_prefix: Where its bytecode goes; empty to leave that alone.
        hold: A file to keep a shared lock on while the process lives; empty for none.
    """

    prefix: str
    python: str
    site_packages: str
    pycache_prefix: str = ""
    hold: str = ""


def target_of(answer: Mapping[str, object]) -> Target | None:
    """The environment in an engine's answer; None when it has none."""
    python = str(answer.get("python") or "")
    if not python:
        return None
    prefix = os.path.dirname(os.path.dirname(python))
    return Target(
        prefix,
        python,
        str(answer.get("site_packages") or _own_site_packages(prefix)),
        str(answer.get("pycache_prefix") or ""),
        str(answer.get("hold") or ""),
    )


def current_site_packages() -> str:
    """This process's site-packages folder, as `sys.path` spells it."""
    return _own_site_packages(sys.prefix)


def imported_roots() -> list[str]:
    """Every site-packages folder that modules of this process may be from."""
    return [*_roots, current_site_packages()]


def is_current(target: Target) -> bool:
    """Whether this process is in that environment already."""
    return os.path.realpath(target.prefix) == os.path.realpath(sys.prefix)


def has_same_interpreter(target: Target) -> bool:
    """Whether the target runs the very Python of this process."""
    return os.path.realpath(target.python) == os.path.realpath(sys.executable)


def move_into(target: Target) -> None:
    """Make the target this process's environment.

    The caller has made sure that nothing loaded differs in it (`loaded.obstacles`) and that it has the
    same interpreter. Not safe while another thread imports.
    """
    before, old_prefix = current_site_packages(), sys.prefix
    _roots.append(before)
    _keep(target.hold)
    sys.path[:] = rerooted(sys.path, old_prefix, target.prefix, os.path.exists)
    _rename_prefix(old_prefix, target)
    _rename_executable(target)
    os.environ["PATH"] = renamed_path(os.environ.get("PATH", os.defpath), old_prefix, target.prefix)
    if target.pycache_prefix:
        sys.pycache_prefix = target.pycache_prefix
    _forget_caches(old_prefix)
    _widen_merged_packages(before, target.site_packages)
    for name in new_path_files(before, target.site_packages):
        site.addpackage(target.site_packages, name, None)
    _tell_pkg_resources(target.site_packages)


def rerooted(
    entries: list[str], before: str, after: str, exists: Callable[[str], bool]
) -> list[str]:
    """`sys.path` with the entries inside one environment moved to another, in their order.

    An entry that the new environment lacks (it was added by a `.pth` file that is gone) is dropped.
    """
    moved = []
    for entry in entries:
        if not entry.startswith(before + os.sep):
            moved.append(entry)
        elif exists(after + entry[len(before) :]):
            moved.append(after + entry[len(before) :])
    return moved


def renamed_path(path: str, before: str, after: str) -> str:
    """PATH with one environment's `bin` in the place of another's, or first when that is not there."""
    old, new = os.path.realpath(os.path.join(before, "bin")), os.path.join(after, "bin")
    folders = path.split(os.pathsep)
    renamed = [new if os.path.realpath(folder) == old else folder for folder in folders]
    return os.pathsep.join(renamed if new in renamed else [new, *renamed])


def new_path_files(before: str, after: str) -> list[str]:
    """Names of `.pth` files that say something else in the second folder than in the first, or are new."""
    return [
        name
        for name in sorted(os.listdir(after))
        if name.endswith(".pth")
        and _content(os.path.join(before, name)) != _content(os.path.join(after, name))
    ]


def _content(file: str) -> bytes | None:
    try:
        with open(file, "rb") as stream:
            return stream.read()
    except FileNotFoundError:
        return None


def _own_site_packages(prefix: str) -> str:
    # PEP 405 and the `venv` scheme of sysconfig; the same on every platform that has a Nix store.
    version = "python{}.{}".format(*sys.version_info[:2])
    return os.path.join(prefix, "lib", version, "site-packages")


def _keep(hold: str) -> None:
    """Take a shared lock on `hold` for the life of the process."""
    if not hold:
        return
    import fcntl  # noqa: PLC0415 - only here

    try:
        descriptor = os.open(hold, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
    except OSError:
        return  # A read-only state folder: nothing can be collected there either.
    _holds.append(descriptor)


def _rename_prefix(before: str, target: Target) -> None:
    sys.prefix = sys.exec_prefix = target.prefix
    site.PREFIXES[:] = [target.prefix if prefix == before else prefix for prefix in site.PREFIXES]
    sysconfig = sys.modules.get("sysconfig")
    # sysconfig computes its variables once (Python 3.8 to 3.13) from prefixes that it read when imported.
    for name in ("_PREFIX", "_EXEC_PREFIX"):
        if getattr(sysconfig, name, None) == before:
            setattr(sysconfig, name, target.prefix)
    variables = getattr(sysconfig, "_CONFIG_VARS", None) or {}
    for name in ("prefix", "exec_prefix", "base", "platbase"):
        if variables.get(name) == before:
            variables[name] = target.prefix


def _rename_executable(target: Target) -> None:
    sys.executable = target.python
    spawn = sys.modules.get("multiprocessing.spawn")
    if spawn is not None:
        spawn.set_executable(target.python)


def _forget_caches(prefix: str) -> None:
    for entry in list(sys.path_importer_cache):
        if entry.startswith(prefix + os.sep):
            del sys.path_importer_cache[entry]
    importlib.invalidate_caches()


def _widen_merged_packages(before: str, after: str) -> None:
    """Let packages that several distributions share find what the new ones bring.

    A namespace package without `__init__.py` follows `sys.path` by itself. One with (`pkgutil` style)
    has a fixed list: in an environment it is a real folder, merged, where every other package is a
    link to the same store object as before.
    """
    for module in list(sys.modules.values()):
        try:
            folders = object.__getattribute__(module, "__dict__").get("__path__")
        except AttributeError:
            continue
        if not isinstance(folders, list):
            continue
        for folder in list(folders):
            moved = after + folder[len(before) :] if _is_within(folder, before) else ""
            if moved and moved not in folders and _is_merged(folder, moved, before, after):
                folders.append(moved)


def _is_within(folder: object, root: str) -> bool:
    return isinstance(folder, str) and folder.startswith(root + os.sep)


def _is_merged(folder: str, moved: str, before: str, after: str) -> bool:
    top = folder[len(before) + 1 :].split(os.sep, 1)[0]
    if os.path.islink(os.path.join(before, top)) and os.path.islink(os.path.join(after, top)):
        return False
    return os.path.isdir(moved) and os.path.realpath(moved) != os.path.realpath(folder)


def _tell_pkg_resources(site_packages: str) -> None:
    working_set = getattr(sys.modules.get("pkg_resources"), "working_set", None)
    if working_set is not None:
        working_set.add_entry(site_packages)
