"""What one side may ask of the other: each operation takes the link and what was sent with it."""

from __future__ import annotations

import importlib
import importlib.util
import sys

from . import shapes
from .standin import StandIn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

OPERATIONS: dict[str, Callable[..., Any]] = {}
# By a module's name, what it has: the kernel may ask a worker for that, and not the other way round.
OF_MODULES: dict[str, Callable[..., Any]] = {}


def of_module(serve: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator: the same, of what only a worker does."""
    OF_MODULES[serve.__name__[1:]] = serve
    return serve


def operation(serve: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator: what the other side may ask by this function's name, without its first sign."""
    OPERATIONS[serve.__name__[1:]] = serve
    return serve


@operation
def _getattr(link: Any, key: int, name: str) -> Any:
    return getattr(link.references.held(key), name)


@operation
def _setattr(link: Any, key: int, name: str, value: Any) -> None:
    setattr(link.references.held(key), name, value)


@operation
def _delattr(link: Any, key: int, name: str) -> None:
    delattr(link.references.held(key), name)


@operation
def _call(link: Any, key: int, arguments: Any, named: Any) -> Any:
    return link.references.held(key)(*arguments, **named)


@operation
def _special(link: Any, key: int, name: str, *arguments: Any) -> Any:
    value = link.references.held(key)
    if name in shapes.DYADIC and arguments and isinstance(arguments[0], StandIn):
        # What the other object makes of it, its own side asks next; asked from here, it would ask back for ever.
        method = getattr(type(value), name, None)
        return NotImplemented if method is None else method(value, *arguments)
    return shapes.SPECIAL[name](value, *arguments)


@operation
def _leave(link: Any, key: int, kind: Any, value: Any) -> Any:
    manager = link.references.held(key)
    traceback = getattr(value, "__traceback__", None)
    return type(manager).__exit__(manager, kind, value, traceback)


@operation
def _await(link: Any, key: int) -> Any:
    from . import loop  # noqa: PLC0415 - few groups have coroutines

    return loop.wait_for(link.references.held(key))


@operation
def _signature(link: Any, key: int) -> Any:
    import inspect  # noqa: PLC0415

    try:
        parameters = inspect.signature(link.references.held(key)).parameters.values()
    except (TypeError, ValueError):
        return None
    return [
        (one.name, int(one.kind), "" if one.default is one.empty else repr(one.default)[:200])
        for one in parameters
    ]


@operation
def _mimebundle(link: Any, key: int) -> Any:
    from . import display  # noqa: PLC0415

    return display.bundle(link.references.held(key))


@of_module
def _module_getattr(link: Any, module: str, name: str) -> Any:
    del link
    return getattr(importlib.import_module(module), name)


@of_module
def _module_setattr(link: Any, module: str, name: str, value: Any) -> None:
    del link
    setattr(importlib.import_module(module), name, value)


@of_module
def _module_delattr(link: Any, module: str, name: str) -> None:
    del link
    delattr(importlib.import_module(module), name)


@of_module
def _module_dir(link: Any, module: str) -> Any:
    del link
    return list(map(str, dir(importlib.import_module(module))))


@of_module
def _module_find(link: Any, module: str) -> bool:
    """Whether there is such a module; its packages are imported for that."""
    del link
    if module in sys.modules:
        return True
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


@of_module
def _module_import(link: Any, module: str) -> Any:
    """Import it; its file."""
    del link
    return getattr(importlib.import_module(module), "__file__", None)
