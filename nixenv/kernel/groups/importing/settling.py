"""What is done to a module of a group when its code has run.

Everything that a module defines must name that module as its home, for that is where pickle, help and
type checks look. Python code does so by itself. Compiled code has its home's name written into it, and
some Python code sets `__module__` by hand: such names are led back to the group here.
"""

from __future__ import annotations

import contextlib
import ctypes
import io
import operator
import re
import sys

from .. import registry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any, Callable

    from .domain import Domain

HEAP_TYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE
NAME_OFFSET = object.__basicsize__ + ctypes.sizeof(ctypes.c_ssize_t)  # tp_name, after PyVarObject
FLAGS = type.__dict__["__flags__"].__get__
FUNCTIONS = (
    "function",
    "builtin_function_or_method",
    "cython_function_or_method",
    "fused_cython_function",
)

_names: dict[str, Any] = {}  # type names in C memory, for the rest of the process


def settle(domain: Domain, module: ModuleType) -> None:
    """Lead the names of homes in `module` back to the group, and finish a module that is for lookups."""
    owned = domain.group.owned
    kinds = domain.kinds
    for value in list(vars(module).values()):
        kind = type(value)
        if kind not in kinds:
            kinds[kind] = _way_to_home(kind)
        home_of = kinds[kind]
        if home_of is None:
            continue
        home = home_of(value)
        # What Python code names after its module has a name that is more than text.
        if type(home) is str and home.partition(".")[0] in owned:
            _lead_home(domain, value, home)
    finish = FINISHED.get(domain.own_name(module.__name__))
    if finish is not None:
        finish(domain, module)


def _way_to_home(kind: type) -> Callable[[Any], Any] | None:
    """How to learn the home of objects of one kind; None if they have none.

    By `type` alone, and not through metaclasses: objects and classes may compute their attributes, and a
    stand-in for another object, as Flask's `request`, fails where it is asked what it is.
    """
    if issubclass(kind, type):
        return _home_of_class
    if type.__getattribute__(kind, "__name__") in FUNCTIONS:
        return operator.attrgetter("__module__")
    return None


def _home_of_class(value: type) -> Any:
    return type.__getattribute__(value, "__module__")


def _lead_home(domain: Domain, value: Any, home: str) -> None:
    is_class = issubclass(type(value), type)
    if is_class and not FLAGS(value) & HEAP_TYPE:
        _rename_static(value, domain.prefix + home)
        return
    name = domain.name_of(domain.prefix + home)
    # An immutable type made by C code keeps its name: pickle itself refuses a pickle of it.
    with contextlib.suppress(AttributeError, TypeError):
        (type.__setattr__ if is_class else setattr)(value, "__module__", name)


def _rename_static(kind: type, home: str) -> None:
    """Give a type of C code, which has its full name in static memory, its home's real name.

    Python derives `__module__` and `__name__` of such a type from that text each time.
    """
    full = f"{home}.{kind.__name__}"
    if full not in _names:
        _names[full] = ctypes.create_string_buffer(full.encode())
    place = ctypes.c_size_t.from_address(id(kind) + NAME_OFFSET)
    place.value = ctypes.addressof(_names[full])


def _finish_pickle(domain: Domain, module: Any) -> None:
    """What the group's code loads from a pickle of plain names is the group's."""

    class Unpickler(module.Unpickler):  # type: ignore[misc]
        def find_class(self, home: str, name: str) -> Any:
            return super().find_class(domain.real_name(home), name)

    def load(file: Any, **options: Any) -> Any:
        return Unpickler(file, **options).load()

    def loads(data: Any, **options: Any) -> Any:
        return Unpickler(io.BytesIO(data), **options).load()

    Unpickler.__module__ = load.__module__ = loads.__module__ = module.__name__
    Unpickler.__qualname__ = "Unpickler"
    load.__doc__, loads.__doc__ = module.load.__doc__, module.loads.__doc__
    module.Unpickler, module.load, module.loads = Unpickler, load, loads


def _finish_metadata(domain: Domain, module: Any) -> None:
    """The distributions of a group's environment: its own, and those that it shares."""
    group = domain.group
    known = domain.distributions()
    lenders = [
        folder
        for lender in registry.domains()
        if lender.name in set(group.lent.values())
        for folder in lender.group.folders
    ]

    def find(context: Any = None) -> Any:
        said = dict(vars(context or module.DistributionFinder.Context()))
        if said.get("name"):  # a package may ask for its own `__name__`
            said["name"] = domain.own_name(said["name"])
        if "path" in said:  # asked for folders, not for the environment
            return find_in(said)
        return environment(
            find_in({**said, "path": list(group.folders)}),
            find_in({**said, "path": lenders}),
            find_in(said),
        )

    def find_in(said: dict[str, Any]) -> Any:
        context = module.DistributionFinder.Context(**said)
        return module.MetadataPathFinder.find_distributions(context)

    def environment(own: Any, *others: Any) -> Any:
        taken = set()
        for found in own:
            taken.add(_normalised(found.metadata["Name"]))
            yield found
        for other in others:
            for found in other:
                name = _normalised(found.metadata["Name"])
                if name in known and name not in taken:
                    taken.add(name)
                    yield found

    # All lookups go through the list of finders' methods, in every version from 3.8 on.
    module.Distribution._discover_resolvers = staticmethod(lambda: [find])  # noqa: SLF001


def _normalised(name: str | None) -> str:
    return re.sub(r"[-_.]+", "-", name or "").lower()


def _finish_pkg_resources(domain: Domain, module: Any) -> None:
    """The same for its predecessor, whose functions are bound to one set of distributions."""
    own = module.WorkingSet(list(domain.group.folders))
    for found in module.WorkingSet(sys.path):
        if found.key in domain.group.distributions and found.key not in own.by_key:
            own.add(found)
    module.working_set = own
    module.require = own.require
    module.iter_entry_points = own.iter_entry_points
    module.add_activation_listener = own.subscribe
    module.run_script = own.run_script


FINISHED: dict[str, Callable[[Domain, Any], None]] = {
    "pickle": _finish_pickle,
    "importlib.metadata": _finish_metadata,
    "importlib_metadata": _finish_metadata,
    "pkg_resources": _finish_pkg_resources,
}
