"""Compiled modules of a group: what their C code imports, whenever it does.

C code does not ask `__builtins__`: it calls `PyImport_ImportModule` and its relatives, which look into
`sys.modules` under the name that the C code has for its neighbours. In the libraries of a group these
names are bound to functions made here, which look the name up as the group sees it. Cython, pybind11,
PyO3, mypyc and hand-written modules all reach the interpreter's imports in this way, when they are
loaded and when their functions run.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
import types

from ..importing import views
from . import libraries, thunks
from .linked import Linkage
from .thunks import PYTHON, RAISED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from ..importing.domain import Domain

OBJECT, TEXT, NUMBER = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
PYTHON.PyCapsule_GetPointer.restype = ctypes.c_void_p
PYTHON.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]

# Modules that extensions of one kind make to share their C types by name: here within the group only.
RUNTIMES = ("swig_runtime_data",)

_loading = threading.RLock()
_linkage: list[Linkage] = []


def obstacle() -> str:
    """Why compiled modules cannot be led to a group in this process; empty if they can."""
    fits = (
        sys.platform == "linux"
        and os.uname().machine == "x86_64"
        and sys.implementation.name == "cpython"
        and "t" not in sys.abiflags  # free threads have other objects
    )
    if not fits:
        return "what compiled code imports can be led to a group on Linux on x86-64 only"
    if not thunks.are_possible():
        return "this machine refuses the machine code that leads its imports to a group"
    return ""


class _Names(dict):  # type: ignore[type-arg]
    """What a group calls the modules in `sys.modules`, by key; None for what it has not."""

    def __init__(self, name: Callable[[str], str | None]) -> None:
        super().__init__()
        self._name = name

    def __missing__(self, key: str) -> str | None:
        name = self[key] = self._name(key)
        return name


class Router:
    """What the compiled modules of one group call in place of the interpreter's functions."""

    def __init__(self, domain: Domain) -> None:
        self._domain = domain
        # For code that wants the dictionary of all modules: the group's, under the group's names.
        self._modules: dict[str | None, Any] = {}
        self._given: dict[str | None, Any] = {}
        self._names = _Names(self._name)
        self._count = 0  # of `sys.modules`, when it was asked for last
        self._state: dict[Any, Any] = {}
        found = libraries.of_group(domain.group.folders)
        self._files = frozenset(library.file for library in found)
        self._files |= frozenset(library.path for library in found)
        self._targets = self._make_targets()

    def load(self, path: str, create: Callable[[], Any]) -> Any:
        """Load the library at `path`, bind its imports, then let `create` make the module of it.

        Raises:
            ImportError: The system does not let the library's linkage be changed.
        """
        with _loading:
            if not _linkage:
                _linkage.append(Linkage())
            handle = _linkage[0].open(path)
            if handle is None:  # The interpreter says it as an ImportError.
                return create()
            try:
                _linkage[0].redirect(handle, self._files, self._targets)
            except OSError as error:
                said = f"the linkage of `{path}` cannot be changed: {error}"
                raise ImportError(said, path=path) from error
        return create()

    def take_new(self) -> None:
        """Put what C code wrote into the dictionary of all modules where the group finds it."""
        if self._modules == self._given:  # compared by identity
            return
        for name, module in list(self._modules.items()):
            if name and self._given.get(name) is not module:
                self._given[name] = module
                sys.modules.setdefault(self._key(name), module)

    def _make_targets(self) -> dict[bytes, int]:
        codes = {
            b"PyEval_GetBuiltins": thunks.constant(thunks.immortal(self._domain.builtins)),
            # Where pybind11 and nanobind keep the C++ types of all their modules.
            b"PyInterpreterState_GetDict": thunks.constant(thunks.immortal(self._state)),
            # Where lxml keeps its parsers' context. The group's part goes when the thread goes.
            b"PyThreadState_GetDict": thunks.thread_state(self._domain.package),
        }
        for name, arguments, function in self._functions():
            call = ctypes.CFUNCTYPE(None, OBJECT, *arguments)(_marking(function))
            thunks.immortal(call)
            codes[name] = thunks.around(ctypes.cast(call, ctypes.c_void_p).value or 0)
        return dict(zip(codes, thunks.place(list(codes.values()))))

    def _functions(self) -> list[tuple[bytes, tuple[Any, ...], Callable[..., int | None]]]:
        level = (OBJECT, OBJECT, OBJECT, NUMBER)
        return [
            (b"PyImport_ImportModuleLevelObject", (OBJECT, *level), self._import_level),
            (b"PyImport_ImportModuleLevel", (TEXT, *level), self._import_level),
            (b"PyImport_ImportModule", (TEXT,), self._import),
            (b"PyImport_ImportModuleNoBlock", (TEXT,), self._import),
            (b"PyImport_Import", (OBJECT,), self._import),
            (b"PyImport_GetModule", (OBJECT,), self._get),
            (b"PyImport_AddModule", (TEXT,), self._add),
            (b"PyImport_AddModuleObject", (OBJECT,), self._add),
            (b"PyImport_AddModuleRef", (TEXT,), self._add_new),
            (b"PyImport_GetModuleDict", (), self._dictionary),
            (b"PyCapsule_Import", (TEXT, NUMBER), self._capsule),
        ]

    def _import_level(
        self, name: Any, globals_: int, locals_: int, fromlist: int, level: int
    ) -> int:
        names = _object(fromlist) if fromlist else ()
        own = _object(globals_) if globals_ else None
        del locals_  # Python's own import does not look at them either.
        return _new(self._domain.import_(_text(name), own, None, names or (), level))

    def _key(self, name: str) -> str:
        domain = self._domain
        return domain.prefix + name if name.startswith(RUNTIMES) else domain.real_name(name)

    def _import(self, name: Any) -> int:
        return _new(self._domain.load(_text(name)))

    def _get(self, name: Any) -> int | None:
        text = _text(name)
        if text in views.MADE:
            return _new(self._domain.load(text))
        self.take_new()  # mypyc puts its modules into the dictionary, and asks for them here
        found = sys.modules.get(self._key(text))
        return None if found is None else _new(found)

    def _add(self, name: Any) -> int:
        text = _text(name)
        key = self._key(text)
        if text in views.MADE:
            self._domain.load(text)
        found = sys.modules.get(key)
        if found is None:
            found = sys.modules[key] = types.ModuleType(key)
        return id(found)  # a borrowed reference: `sys.modules` has it

    def _add_new(self, name: Any) -> int:
        return _new(_object(self._add(name)))

    def _dictionary(self) -> int:
        self.take_new()
        # Cython asks for each module that it loads; nearly always only modules of the group have come since.
        domain = self._domain
        fresh, domain.fresh = domain.fresh, []
        if len(sys.modules) == self._count + len(fresh):
            for key in fresh:
                name, module = self._names[key], sys.modules.get(key)
                if name is not None and module is not None:
                    self._modules[name] = self._given[name] = module
        else:
            self._look_at_all()
        self._count = len(sys.modules)
        return id(self._modules)

    def _look_at_all(self) -> None:
        modules = sys.modules.copy()
        found = dict(zip(map(self._names.__getitem__, modules), modules.values()))
        found.pop(None, None)
        self._modules.update(found)
        if len(self._modules) > len(found):
            for gone in self._modules.keys() - found:
                del self._modules[gone]
        self._given = found

    def _name(self, key: str) -> str | None:
        """What the group calls the module with this key; None if it does not have it."""
        name = self._domain.own_name(key)
        return name if name != key or self._key(name) == key else None

    def _capsule(self, name: bytes, no_block: int) -> int | None:
        del no_block
        path = name.decode()
        parts = path.split(".")
        top = parts[0]
        found: Any = sys.modules.get(self._key(top)) or self._domain.load(top)
        for end in range(1, len(parts)):
            if not hasattr(found, parts[end]) and end < len(parts) - 1:
                self._domain.load(".".join(parts[: end + 1]))
            found = getattr(found, parts[end])
        pointer: int | None = PYTHON.PyCapsule_GetPointer(found, name)
        return pointer


def _marking(function: Callable[..., int | None]) -> Callable[..., None]:
    """What the code around a function expects: an address, an exception, or NULL, which is marked."""

    def call(place: int, *arguments: Any) -> None:
        try:
            answer = function(*arguments) or RAISED
        except BaseException as error:  # noqa: BLE001 - it is raised again on the other side
            answer = _new(error) | RAISED
        ctypes.c_size_t.from_address(place).value = answer

    return call


def _object(address: int) -> Any:
    return ctypes.py_object.from_buffer(ctypes.c_void_p(address)).value


def _new(value: Any) -> int:
    """The address of a new reference, which the caller in C owns."""
    PYTHON.Py_IncRef(value)
    return id(value)


def _text(name: Any) -> str:
    if isinstance(name, bytes):
        return name.decode()
    text: str = _object(name)
    return text
