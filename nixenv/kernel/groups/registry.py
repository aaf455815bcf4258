"""The groups of this process, and the finder that leads `nixenv.private.…` to them."""

from __future__ import annotations

import sys
import threading
from contextlib import contextmanager

from . import workers
from .refusal import RefusedError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from typing import Any, Iterator, Sequence

    from .holder import Holder
    from .importing.domain import Domain

ROOT = __package__.rpartition(".")[0] + ".private."

_lock = threading.RLock()
_holders: dict[str, Holder] = {}
_admitted: set[str] = set()
_waiting: list[None] = []  # one for each block in which nothing is written down
_exposed: dict[str, Domain] = {}  # by the name that the notebook imports


class PrivateFinder:
    """Finds the modules of groups, before Python's own finder looks into their folders.

    An `import` of what is loaded never comes here.
    """

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: object = None
    ) -> ModuleSpec | None:
        """The spec of a group's package or module; None for every other name.

        Raises:
            ModuleNotFoundError: No group has that name; it says which there are.
        """
        del target
        if not name.startswith(ROOT):
            return _below_exposed(name, path) if _exposed else None
        group, _, rest = name[len(ROOT) :].partition(".")
        holder = _holders.get(group)
        if holder is None:
            join_parent()
            holder = _holders.get(group)
        if holder is None:
            raise _unknown(group)
        if not rest:
            admit(group)
        return holder.find_spec(rest, path)

    @staticmethod
    def invalidate_caches() -> None:
        """Forget the folders' contents; folders of a store do not change."""


class ExposedFinder:
    """Finds the packages that groups are for by their plain names, where nothing else has them."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: object = None
    ) -> ModuleSpec | None:
        """The spec that leads to the group's module; None for every other name."""
        del path, target
        domain = _exposed.get(name.partition(".")[0])
        return domain.alias_for_notebook(name) if domain is not None else None

    @staticmethod
    def find_distributions(context: Any = None) -> Iterator[Any]:
        """The distributions of those packages, for `importlib.metadata`."""
        for domain in {id(domain): domain for domain in _exposed.values()}.values():
            yield from domain.exposed_distributions(context)

    @staticmethod
    def invalidate_caches() -> None:
        """Forget the folders' contents; folders of a store do not change."""


def _below_exposed(name: str, path: Sequence[str] | None) -> ModuleSpec | None:
    """What is below a package of the group's has the group's folders for its path."""
    top, _, rest = name.partition(".")
    domain = _exposed.get(top)
    if domain is None or not rest or path is None or not domain.is_loaded_as(top):
        return None
    return domain.alias_for_notebook(name)


def _unknown(group: str) -> ModuleNotFoundError:
    from difflib import get_close_matches  # noqa: PLC0415 - only for this sentence

    known = ", ".join(f"`{one}`" for one in names()) or "none"
    near = get_close_matches(group, names(), 1)
    said = f"there is no private group `{group}`; the notebook has {known}"
    return ModuleNotFoundError(f"{said}; did you mean `{near[0]}`?" if near else said, name=group)


def install() -> None:
    """Make `nixenv.private.…` importable: just before Python's own finder of files."""
    if PrivateFinder in sys.meta_path:
        return
    kinds = [getattr(finder, "__name__", "") for finder in sys.meta_path]
    place = kinds.index("PathFinder") if "PathFinder" in kinds else 0
    sys.meta_path.insert(place, PrivateFinder)


def declare(holder: Holder) -> None:
    """Make `nixenv.private.<name>` importable; nothing is loaded or checked yet.

    Declaring the same again changes nothing. Another group may take the name as long as nothing of the
    first is loaded.

    Raises:
        RefusedError: Modules of another group of this name are loaded, or another group is for the same
            package.
    """
    with _lock:
        known = _holders.get(holder.name)
        if known is not None and known.describes_same(holder):
            return
        exposed = sorted(_exposing(holder))
        for top in exposed:
            other = _exposed.get(top)
            if other is not None and other.name != holder.name:
                raise RefusedError(
                    holder.name,
                    [f"the notebook imports `{top}` from group `{other.name}`"],
                    "let only one group be for it",
                )
        if known is not None:
            withdraw(holder.name)
        _holders[holder.name] = holder
        _expose(holder)
        install()
        _publish()


def _exposing(holder: Any) -> frozenset[str]:
    exposed: frozenset[str] = getattr(getattr(holder, "group", None), "exposed", frozenset())
    return exposed


def _expose(holder: Any) -> None:
    for top in _exposing(holder):
        _exposed[top] = holder
        if ExposedFinder not in sys.meta_path:
            sys.meta_path.append(ExposedFinder)


def withdraw(name: str) -> None:
    """Forget a group; nothing happens if there is none of that name.

    Raises:
        RefusedError: Modules of it are loaded.
    """
    with _lock:
        holder = _holders.get(name)
        if holder is None:
            return
        package = ROOT + name
        if loaded_of(name):
            raise RefusedError(
                name,
                ["its packages changed, and modules of the former ones are loaded"],
                "restart the kernel",
            )
        for key in [key for key in sys.modules if f"{key}.".startswith(package + ".")]:
            del sys.modules[key]
        root = sys.modules.get(ROOT[:-1])
        if root is not None:
            vars(root).pop(name, None)
        del _holders[name]
        _admitted.discard(name)
        for top in [top for top, domain in _exposed.items() if domain is holder]:
            del _exposed[top]
        _publish()
    holder.leave()


def loaded_of(name: str) -> list[str]:
    """Top-level names of a group's packages that modules are loaded of; `sys` and the like are made for it."""
    holder, below = _holders.get(name), f"{ROOT}{name}."
    found = {
        key[len(below) :].partition(".")[0] for key in list(sys.modules) if key.startswith(below)
    }
    owned = getattr(getattr(holder, "group", None), "owned", None)
    return sorted(found if owned is None else found & owned)


def admit(name: str) -> None:
    """Check once that this process can hold the group.

    Raises:
        KeyError: No group has that name.
        RefusedError: It cannot; nothing of the group has run.
    """
    if name in _admitted:
        return
    with _lock:
        _holders[name].admit()
        _admitted.add(name)


def names() -> list[str]:
    """The names of all groups that were declared."""
    return sorted(_holders)


def get(name: str) -> Holder | None:
    """The group of that name in this process; None if none was declared."""
    return _holders.get(name)


def domains() -> list[Domain]:
    """The groups that live in this process, in the order of their declaration."""
    from .importing.domain import Domain  # noqa: PLC0415

    return [holder for holder in list(_holders.values()) if isinstance(holder, Domain)]


def admitted_domains() -> list[Domain]:
    """Those of them that are in use."""
    return [domain for domain in domains() if domain.name in _admitted]


def domain_of(module: str) -> Domain:
    """The group in this process that the module with this full name is in.

    Raises:
        KeyError: None is.
    """
    from .importing.domain import Domain  # noqa: PLC0415

    found = _holders[str.partition(module[len(ROOT) :], ".")[0]]
    if not isinstance(found, Domain):
        raise KeyError(module)
    return found


@contextmanager
def together() -> Iterator[None]:
    """Write down once for workers what is declared and withdrawn in the block: replacing a file takes milliseconds."""
    with _lock:
        _waiting.append(None)
        try:
            yield
        finally:
            _waiting.pop()
            _publish()


def _publish() -> None:
    if _waiting:
        return
    workers.publish([domain.group for domain in domains()])


def stand_for(name: str, file: str) -> None:
    """In a process that a kernel started: have the module of this name, which `file` was found for.

    It is that of another folder, as in the notebook, or else the group's that is for it.

    Raises:
        ModuleNotFoundError: There is neither.
        SystemExit: It is not imported but run, by `python -m`.
    """
    from importlib import import_module  # noqa: PLC0415
    from importlib.machinery import PathFinder  # noqa: PLC0415
    from importlib.util import module_from_spec  # noqa: PLC0415
    from os.path import abspath, basename, dirname, splitext  # noqa: PLC0415

    if name == "__main__":
        name = splitext(basename(file))[0]
        raise SystemExit(f"`{name}` is in a private group: it can be imported here, but not run")
    mine = dirname(abspath(file))
    spec = PathFinder.find_spec(name, [entry for entry in sys.path if abspath(entry) != mine])
    if spec is not None and spec.loader is not None:
        sys.modules[name] = module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
        return
    install()
    join_parent()
    domain = _exposed.get(name)
    if domain is None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    admit(domain.name)
    sys.modules[name] = import_module(domain.prefix + name)


def join_parent() -> None:
    """In a process that a kernel started or forked: take over its groups that are new here."""
    groups = workers.published()
    if groups:
        from .importing.domain import Domain  # noqa: PLC0415

        for group in groups:
            if group.name not in _holders:
                declare(Domain(group))
