"""What both sides have under one name: modules of the standard library, and the functions and classes in them.

Where a cell binds such a name, each side has its own: `import os` in a group's cell leaves the notebook an `os`
of its own, not the worker's. What is asked of the worker by name (`from nixenv.private.old import os`) is not
exchanged.
"""

from __future__ import annotations

import importlib
import sys
import types

from . import shapes
from .exceptions import is_standard
from .vocabulary import REDUCERS, maker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Common:
    """A wrapper: the other side's own, if it has one of that name."""

    __slots__ = ("module", "name", "value")

    def __init__(self, value: Any, module: str, name: str) -> None:
        self.value, self.module, self.name = value, module, name


def common(value: Any) -> Any:
    """`value`, or its wrapper if the other side should have its own."""
    if isinstance(value, types.ModuleType):
        module, name = str(value.__name__), ""
        is_found = sys.modules.get(module) is value
    elif isinstance(value, (types.FunctionType, types.BuiltinFunctionType, type)):
        module, name = str(value.__module__), str(value.__qualname__)
        is_found = getattr(sys.modules.get(module), name, None) is value
    else:
        return value
    return Common(value, module, name) if is_found and is_standard(module) else value


def all_common(values: dict[str, Any]) -> dict[str, Any]:
    """The values of names, for the other side."""
    return {name: common(value) for name, value in values.items()}


def _reduce(value: Any, encoder: Any) -> Any:
    key = encoder.references.hold(value.value)
    return _make_common, (value.module, value.name, key, *shapes.shape_of(value.value))


REDUCERS[Common] = _reduce


@maker
def _make_common(reading: Any, module: str, name: str, key: int, *shape: Any) -> Any:
    found = None
    if is_standard(module):
        try:
            found = importlib.import_module(module)
        except ImportError:  # Of another Python than this one.
            found = None
        found = getattr(found, name, None) if name else found
    if found is None:
        return reading.references.stand_in(key, shape)
    reading.references.let_go(key)
    return found
