"""One group in this process: what its modules see, and where each name that they import leads.

The modules of a group lie in `sys.modules` under names of their own, `nixenv.private.<group>.<name>`,
for as long as the process lives. Nothing is exchanged there while they are imported, so other threads
and cells never see a module that is not theirs, and whatever looks a module up by its `__name__`
(pickle, dataclasses, inspect, help, autoreload) finds the right one.

Inside the group, `import pandas` must lead to `nixenv.private.<group>.pandas`. Its Python code has a
`__builtins__` whose `__import__` does that (this module); its compiled code calls functions of the same
kind instead of the interpreter's (`compiled`). Both are fixed when a module is loaded, and hold wherever
and whenever its code runs: in functions, threads, callbacks from the notebook.
"""

from __future__ import annotations

import builtins
import os
import sys
import sysconfig
import threading
from types import ModuleType

from .. import registry
from ..registry import ROOT
from .naming import PrivateName

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ast
    from importlib.machinery import ModuleSpec
    from typing import Any, Callable, Iterator, Sequence

    from ..compiled.router import Router
    from ..group import Group

# What a group's modules see under the same name, but made for the group: `views`.
REPLACED = frozenset({"sys", "builtins", "importlib", "pkgutil", "pickle"})
# Libraries for looking things up by name: a group that shares one with the notebook runs a copy of it.
COPIED = frozenset({"pkg_resources", "importlib_metadata", "importlib_resources"})
# Modules of the kernel that work on the matplotlib that they import: a group that has its own runs copies of them.
DRAWING = {
    "matplotlib_inline": "matplotlib_inline",
    "IPython.core.pylabtools": "IPython_core_pylabtools",
}
# The kernel that the group runs in; every group may talk to it.
KERNEL = frozenset({"__main__", "nixenv", "IPython", "ipykernel", "comm", "debugpy", "traitlets"})


def standard_library() -> frozenset[str]:
    """Top-level names of Python's own modules."""
    known = getattr(sys, "stdlib_module_names", None)  # since Python 3.10
    return _listed_library() if known is None else frozenset(known)


def _listed_library() -> frozenset[str]:
    """The same where Python 3.9 and older have no list."""
    found = set(sys.builtin_module_names)
    for folder in {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")}:
        for place in (folder, os.path.join(folder, "lib-dynload")):
            if os.path.isdir(place):
                found.update(entry.partition(".")[0] for entry in os.listdir(place))
    return frozenset(found - {"site-packages", "dist-packages", "lib-dynload", "__pycache__"})


class Domain:
    """The holder of a group that lives in this process.

    Attributes:
        group: The group's value.
        name: Its name.
        package: Name of the package that its modules are in.
        prefix: The same with its dot.
        builtins: The `__builtins__` of every module of the group.
        import_: Its `__import__`.
        fresh: Keys of modules that were loaded since compiled code asked for all modules.
        kinds: How to learn the home of objects, by their type; for `settling`.
    """

    def __init__(self, group: Group) -> None:
        self.group = group
        self.name = group.name
        self.package = ROOT + group.name
        self.prefix = self.package + "."
        mixed = (group.owned | group.public) & set(group.lent)  # a namespace of several packages
        self._routed = (
            group.owned
            | mixed
            | REPLACED
            | (COPIED & {*group.public, *group.lent})
            | {*self._companions().values()}
        )
        self._lent = {
            top: f"{ROOT}{lender}." for top, lender in group.lent.items() if top not in self._routed
        }
        self._seen = set(group.public | standard_library() | KERNEL) - self._routed
        self._seen -= set(self._lent)
        self.import_ = as_part_of_the_import_system(self._make_import())
        # What its code gets by `import builtins`; bare names are looked up in this module's dictionary.
        self.builtins_module = ModuleType("builtins", builtins.__doc__)
        self.builtins = vars(self.builtins_module)
        self._taken_over = 0
        self.refresh_builtins()
        self.fresh: list[str] = []
        self.kinds: dict[type, Callable[[Any], Any] | None] = {}
        self._lock = threading.Lock()
        self._router: Router | None = None

    def _companions(self) -> dict[str, str]:
        """Modules of the kernel that the group runs copies of, and their names in the group."""
        return DRAWING if "matplotlib" in self.group.owned else {}

    def admit(self) -> None:
        """Check that this process can hold the group; nothing of it runs.

        Raises:
            RefusedError: It cannot.
        """
        from .. import refusal  # noqa: PLC0415 - only groups that are used need the rest

        for lender in sorted(set(self.group.lent.values())):
            if not isinstance(registry.get(lender), Domain):
                raise refusal.RefusedError(
                    self.name,
                    [f"it uses packages of group `{lender}`, which this kernel does not have"],
                    "restart the kernel",
                )
            registry.admit(lender)
        refusal.check(self.group, [domain.group for domain in registry.admitted_domains()])

    def find_spec(self, rest: str, path: Sequence[str] | None) -> ModuleSpec | None:
        """The spec of what the group calls `rest`, of its package for an empty one.

        Raises:
            ModuleNotFoundError: The group has no package of that name.
        """
        from . import loaders  # noqa: PLC0415 - groups that are not used do not need it

        if not rest:
            return loaders.package(self)
        found = loaders.find(self, rest, path)
        if found is None and "." not in rest:
            raise ModuleNotFoundError(
                f"private group `{self.name}` has no module `{rest}`;"
                f" `%nixenv add --private {self.name} …` adds packages to it",
                name=rest,
            )
        return found

    def rewritten(self, cell: ast.Module, source: str) -> ast.Module:
        """A `%%private` cell whose import statements lead to the group."""
        from . import rewriting  # noqa: PLC0415

        del source
        return rewriting.with_imports_of(self, cell)

    def describes_same(self, other: object) -> bool:
        """Whether it is the same group out of the same folders, perhaps by other links."""
        return isinstance(other, Domain) and _essence(self.group) == _essence(other.group)

    def leave(self) -> None:
        """Nothing is left to do: its modules are ordinary objects."""

    def alias_for_notebook(self, name: str) -> ModuleSpec | None:
        """The spec under which the notebook finds the group's module `name` by that plain name."""
        from . import loaders  # noqa: PLC0415

        registry.admit(self.name)
        return loaders.alias(name, self.prefix + name)

    def is_loaded_as(self, top: str) -> bool:
        """Whether the notebook's module `top` is the group's."""
        found = sys.modules.get(top)
        return found is not None and found is sys.modules.get(self.prefix + top)

    def exposed_distributions(self, context: Any) -> Iterator[Any]:
        """What the notebook's `importlib.metadata` finds of the package that the group is for."""
        if context is not None and "path" in vars(context):  # asked for folders
            return
        from importlib import metadata  # noqa: PLC0415

        said = {**(vars(context) if context is not None else {}), "path": list(self.group.folders)}
        wanted = metadata.DistributionFinder.Context(**said)
        for found in metadata.MetadataPathFinder.find_distributions(wanted):
            files = (str(file) for file in found.files or ())
            if not self.group.exposed.isdisjoint(
                file.partition("/")[0].partition(".")[0] for file in files
            ):
                yield found

    def distributions(self) -> set[str]:
        """Normalised names of what the group's `importlib.metadata` lists."""
        # matplotlib finds the kernel's way of showing figures by its entry point.
        drawing = {"matplotlib-inline"} if self._companions() else set()
        return {*self.group.distributions, *drawing}

    def owns(self, top: str) -> bool:
        """Whether modules below this top-level name are loaded for the group."""
        return top in self._routed

    def sees(self, top: str) -> bool:
        """Whether the group's modules may import this top-level name from elsewhere."""
        return top in self._seen or top in self._lent

    def add_seen(self, top: str) -> None:
        """Let the group see a module that one of its own put into `sys.modules`."""
        if top not in self._routed and top not in self._lent:
            self._seen.add(top)

    def real_name(self, name: str) -> str:
        """The key in `sys.modules` of what the group calls `name`."""
        top = str.partition(name, ".")[0]
        if top in self._routed:
            return self.prefix + name
        return self._lent.get(top, "") + name

    def name_of(self, key: str) -> PrivateName:
        """The `__name__` of the group's module with this key."""
        return PrivateName(key, self.own_name(key))

    def own_name(self, key: str) -> str:
        """What the group calls the module with this key."""
        if str.startswith(key, self.prefix):
            return str.__getitem__(key, slice(len(self.prefix), None))
        for top, prefix in self._lent.items():
            if str.startswith(key, prefix + top):
                name = str.__getitem__(key, slice(len(prefix), None))
                if str.partition(name, ".")[0] == top:  # `pytz`, and not `pytz_shim`
                    return name
        return key

    def load(self, name: str) -> ModuleType:
        """What `importlib.import_module(name)` gives inside the group.

        Raises:
            ModuleNotFoundError: Neither the group has it, nor does it share it with the notebook.
        """
        top = str.partition(name, ".")[0]
        if top not in self._routed and not self.sees(top):
            raise self.missing(name)
        try:
            # As `PyImport_Import` does it: `importlib` knows no circular imports of two threads.
            key = self.real_name(name)
            builtins.__import__(key)
            return sys.modules[key]
        except ModuleNotFoundError as error:
            self.rename(error)
            raise

    def missing(self, name: str) -> ModuleNotFoundError:
        """What Python would raise in an environment that has this group and nothing else."""
        error = ModuleNotFoundError(f"No module named {name!r}", name=name)
        if sys.version_info >= (3, 11):
            error.add_note(f"private group `{self.name}` does not have it")
        return error

    def rename(self, error: ModuleNotFoundError) -> None:
        """Say what is missing by the name that the group's code asked for and looks for in the error."""
        full = error.name or ""
        own = self.own_name(full)
        if own != full:
            error.name, error.msg = own, error.msg.replace(full, own)
            error.args = tuple(
                part.replace(full, own) if isinstance(part, str) else part for part in error.args
            )

    def _make_import(self) -> Callable[..., Any]:
        # Local names: this runs at each `import` statement of the group's code, also within functions.
        modules, find = sys.modules, as_part_of_the_import_system(self._make_find())
        # What `from name import …` found: its key, the module, and its names where it is a package.
        known: dict[str, tuple[str, ModuleType, dict[str, Any] | None]] = {}

        def import_(  # the parameters of Python's own, which code also passes by name
            name: str,
            globals: Any = None,  # noqa: A002
            locals: Any = None,  # noqa: A002
            fromlist: Any = (),
            level: int = 0,
        ) -> Any:
            if level:
                return builtins.__import__(name, globals, locals, fromlist, level)
            if fromlist and name in known:
                key, module, names = known[name]
                if modules.get(key) is module and (names is None or names.keys() >= set(fromlist)):
                    return module
            return find(name, globals, locals, fromlist, known)

        return import_

    def _make_find(self) -> Callable[..., Any]:
        routed, lent, seen = self._routed, self._lent, self._seen
        prefix, modules = self.prefix, sys.modules
        copies = {name: own for name, own in self._companions().items() if "." in name}
        rename, missing = self.rename, self.missing

        def find(
            name: str,
            globals: Any,  # noqa: A002
            locals: Any,  # noqa: A002
            fromlist: Any,
            known: dict[str, tuple[str, ModuleType, dict[str, Any] | None]],
        ) -> Any:
            top = str.partition(name, ".")[0]
            if top in seen:
                if fromlist and name in copies:
                    name = prefix + copies[name]
                return builtins.__import__(name, globals, locals, fromlist, 0)
            home = prefix if top in routed else lent.get(top)
            if home is None:
                raise missing(name)
            try:
                found = builtins.__import__(home + name, globals, locals, fromlist, 0)
            except ModuleNotFoundError as error:
                rename(error)
                raise
            if not fromlist:
                return modules[home + top]
            if _is_whole(found):
                names = vars(found) if hasattr(found, "__path__") else None
                known[str(name)] = home + name, found, names
            return found

        return find

    def refresh_builtins(self) -> None:
        """Take over what was added to Python's builtins since, as `gettext.install` adds `_`."""
        if len(vars(builtins)) != self._taken_over:
            names = dict(vars(builtins))
            self._taken_over = len(names)
            # Capsules are compiled code's: pybind11 keeps its registry of types there, the notebook's and a group's.
            plain = {k: v for k, v in names.items() if type(v).__name__ != "PyCapsule"}
            self.builtins.update({**plain, "__import__": self.import_})

    def router(self) -> Router:
        """The functions that compiled modules of the group call in place of the interpreter's.

        Raises:
            OSError: This machine lets no process run code that is made while it runs.
        """
        with self._lock:
            if self._router is None:
                from ..compiled.router import Router  # noqa: PLC0415 - ctypes, for groups that have such

                self._router = Router(self)
            return self._router


def _essence(group: Group) -> tuple[Any, ...]:
    folders = [os.path.realpath(folder) for folder in group.folders]
    shared = group.public, dict(group.lent), group.exposed
    return group.name, folders, group.owned, dict(group.distributions), *shared


def _is_whole(module: ModuleType) -> bool:
    """Whether it is a module whose code has run, so that nobody has to wait for the thread that runs it."""
    spec = getattr(module, "__spec__", None)
    is_over = spec is not None and not getattr(spec, "_initializing", False)
    return is_over and isinstance(module, ModuleType)


def as_part_of_the_import_system(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function under the file name that Python takes for its import system's.

    `warnings` does not count such frames in `stacklevel`, and the traceback of a failed import is without
    them.
    """
    code = function.__code__.replace(
        co_filename="<frozen importlib._bootstrap>", co_name="_call_with_frames_removed"
    )
    function.__code__ = code
    return function
