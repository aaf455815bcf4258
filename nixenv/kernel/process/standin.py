"""Stand-ins: what a process has in the place of an object that another process holds.

The class of a stand-in is made for the class of the object: it is called like it, and has those special
methods that it has, each of which asks the other side. Attributes are the object's.
"""

from __future__ import annotations

import types
from inspect import Parameter, Signature

from . import shapes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from .references import References

# Who looks through all modules asks for these; no process is started for that.
_ASKED_OF_ALL = frozenset(
    ["__bases__", "__builtins__", "__cached__", "__class__", "__code__", "__dict__", "__doc__",
     "__file__", "__func__", "__loader__", "__module__", "__mro__", "__name__", "__package__", "__path__",
     "__qualname__", "__self__", "__signature__", "__slots__", "__spec__", "__warningregistry__", "__wrapped__"]
)  # fmt: skip

_set = object.__setattr__
_get = object.__getattribute__


class StandIn:
    """An object of another process."""

    __slots__ = ("__weakref__", "_nixenv_key", "_nixenv_link")

    def __getattr__(self, name: str) -> Any:
        """The object's attribute."""
        __tracebackhide__ = True
        return ask(self, "getattr", name)

    def __setattr__(self, name: str, value: Any) -> None:
        """Set the object's attribute."""
        __tracebackhide__ = True
        ask(self, "setattr", name, value)

    def __delattr__(self, name: str) -> None:
        """Delete the object's attribute."""
        __tracebackhide__ = True
        ask(self, "delattr", name)

    def __reduce_ex__(self, protocol: object) -> Any:
        """Refuse: the bytes would outlive what they refer to."""
        __tracebackhide__ = True
        raise TypeError(
            f"cannot pickle `{type(self).__qualname__}`: it is in the process of "
            f"{_get(self, '_nixenv_link').owner}, and this is its stand-in"
        )

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:  # noqa: ARG002 - IPython's
        return ask(self, "mimebundle")


class ValueStandIn(StandIn):
    """Any object that is neither a class nor a function."""

    __slots__ = ()


class FunctionStandIn(StandIn):
    """A function; in a class body here it becomes a method, as functions do."""

    __slots__ = ()

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        """The method of `instance`."""
        return self if instance is None else types.MethodType(self, instance)  # type: ignore[arg-type]


class ClassStandIn(StandIn):
    """A class that is no exception."""

    __slots__ = ()

    def __mro_entries__(self, bases: Any) -> Any:
        """Refuse to be derived from.

        Raises:
            TypeError: Always; it says where that class can be written.
        """
        __tracebackhide__ = True
        raise not_here(self)

    @property
    def __prepare__(self) -> Any:
        """Refuse to be a metaclass.

        Raises:
            TypeError: Always; it says where that class can be written.
        """
        __tracebackhide__ = True
        raise not_here(self)


_BASES = {
    shapes.VALUE: ValueStandIn,
    shapes.MODULE: ValueStandIn,
    shapes.FUNCTION: FunctionStandIn,
    shapes.CLASS: ClassStandIn,
}


class RemoteModule(types.ModuleType):
    """A module of a group's process; it stays when that process ends, and means the next one's then."""

    def __init__(self, name: str, remote: Any, origin: str) -> None:
        super().__init__(name)
        vars(self).update(_nixenv_remote=remote, _nixenv_name=origin)

    @property
    def __doc__(self) -> Any:  # type: ignore[override]
        """The module's."""
        return self.__getattr__("__doc__")

    def __getattr__(self, name: str) -> Any:
        """The module's attribute."""
        __tracebackhide__ = True
        remote = vars(self)["_nixenv_remote"]
        if name in _ASKED_OF_ALL and not remote.is_running:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        return remote.link().call("module_getattr", vars(self)["_nixenv_name"], name)

    def __setattr__(self, name: str, value: Any) -> None:
        """Set the module's attribute; what `import` notes is noted here."""
        if name in ("__spec__", "__loader__", "__path__", "__package__", "__file__", "__cached__"):
            vars(self)[name] = value
        elif not isinstance(value, RemoteModule):  # A submodule, which the other side has bound.
            remote = vars(self)["_nixenv_remote"]
            remote.link().call("module_setattr", vars(self)["_nixenv_name"], name, value)

    def __delattr__(self, name: str) -> None:
        """Delete the module's attribute."""
        remote = vars(self)["_nixenv_remote"]
        remote.link().call("module_delattr", vars(self)["_nixenv_name"], name)

    def __dir__(self) -> list[str]:
        """The module's names."""
        remote = vars(self)["_nixenv_remote"]
        return list(remote.link().call("module_dir", vars(self)["_nixenv_name"]))

    def __reduce_ex__(self, protocol: object) -> Any:
        """Refuse, as every module does."""
        raise TypeError("cannot pickle a module")


def not_here(one: Any) -> TypeError:
    """The refusal of a class that would derive from one of another process."""
    link, _ = inside(one)
    return TypeError(
        f"`{one.__qualname__}` is a class in the process of {link.owner}: what derives from it must be there,"
        f" too; {link.references.advice}"
    )


def inside(one: Any) -> tuple[Any, int]:
    """The link and the key of a stand-in."""
    return _get(one, "_nixenv_link"), _get(one, "_nixenv_key")


def module_inside(module: RemoteModule, references: References) -> str | None:
    """The other side's name of a module that stands here; None if it is yet another side's."""
    remote = vars(module)["_nixenv_remote"]
    return vars(module)["_nixenv_name"] if remote.references is references else None


def made(kind: type, link: Any, key: int) -> Any:
    """A stand-in of that class."""
    one: Any = object.__new__(kind)
    _set(one, "_nixenv_link", link)
    _set(one, "_nixenv_key", key)
    return one


def ask(one: Any, operation: str, *arguments: Any) -> Any:
    """Have the other side do something with the object."""
    __tracebackhide__ = True
    link, key = inside(one)
    return link.call(operation, key, *arguments)


def _forward(name: str) -> Callable[..., Any]:
    def forwarded(self: Any, *arguments: Any) -> Any:
        __tracebackhide__ = True
        link, key = inside(self)
        return link.call("special", key, name, *arguments)

    forwarded.__name__ = forwarded.__qualname__ = name
    return forwarded


def _call(self: Any, *arguments: Any, **named: Any) -> Any:
    __tracebackhide__ = True
    link, key = inside(self)
    return link.call("call", key, arguments, named)


def _array(self: Any, *arguments: Any, **named: Any) -> Any:
    del named  # `copy`, of numpy 2 only; what arrives is one.
    return ask(self, "special", "__array__", *(one for one in arguments if one is not None))


def _exit(self: Any, kind: Any, value: Any, _: Any) -> Any:
    # A traceback is of one process; the value brings its own.
    return ask(self, "leave", kind, value)


def _await(self: Any) -> Any:
    """Run it on the other side's loop while ours goes on."""
    import asyncio  # noqa: PLC0415

    loop = asyncio.get_running_loop()
    return loop.run_in_executor(_waiters(), ask, self, "await").__await__()


_executors: list[Any] = []


def _waiters() -> Any:
    """Threads of our own: asyncio's default ones are few, and may be waited for when a loop ends."""
    if not _executors:
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415

        _executors.append(ThreadPoolExecutor(256, "nixenv-await"))
    return _executors[0]


def _deepcopy(self: Any, memo: Any) -> Any:
    del memo
    return ask(self, "special", "__deepcopy__")


_SPECIAL = {
    **{name: _forward(name) for name in shapes.NAMES},
    "__call__": _call,
    "__array__": _array,
    "__exit__": _exit,
    "__await__": _await,
    "__deepcopy__": _deepcopy,
}


def _signature(self: Any) -> Any:
    parameters = ask(self, "signature")
    if parameters is None:
        raise AttributeError("__signature__")
    return Signature(
        [
            Parameter(name, kind, default=_Default(text) if text else Parameter.empty)
            for name, kind, text in parameters
        ]
    )


class _Default:
    """The default of a parameter, as far as a reader of the signature is concerned."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


def _doc(self: Any) -> Any:
    return ask(self, "getattr", "__doc__")


def _module(self: Any) -> Any:
    return ask(self, "getattr", "__module__")


class OwnNameType(type):
    """The class of stand-ins' classes whose instances have a `__module__` of their own."""

    @property
    def __module__(cls) -> str:  # type: ignore[override]
        """Where the object's class is."""
        return str(vars(cls)["_nixenv_module"])


def class_of(shape: Any, references: References) -> type:
    """The class of the stand-ins for objects of one shape."""
    form, mask, module, qualname = shape
    names = {*shapes.names_in(mask), *shapes.ALWAYS}
    namespace: dict[str, Any] = {name: _SPECIAL[name] for name in names}
    namespace["__doc__"] = property(_doc)
    namespace["__slots__"] = ()
    if form in (shapes.FUNCTION, shapes.CLASS):
        namespace["__signature__"] = property(_signature)
        namespace["__module__"] = property(_module)  # Its own, not that of its class.
        namespace["_nixenv_module"] = references.prefix + str(module)
        make: type[type] = OwnNameType
    else:
        namespace["__module__"] = references.prefix + str(module)
        make = type
    kind = make(str(qualname).rpartition(".")[2] or "object", (_BASES[form],), namespace)
    kind.__qualname__ = str(qualname)
    return kind
