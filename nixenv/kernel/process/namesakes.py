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

    from .references import References


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


class Named:
    """What a `Common` is in a message that was read: the bytes of one can call functions, but not find them."""

    __slots__ = ("_key", "_module", "_name", "_references", "_shape")

    def __init__(
        self, references: References, module: str, name: str, key: int, shape: Any
    ) -> None:
        self._references, self._module, self._name = references, module, name
        self._key, self._shape = key, shape

    def here(self) -> Any:
        """This side's own, or a stand-in of the other's."""
        found = None
        if is_standard(self._module):
            try:
                found = importlib.import_module(self._module)
            except ImportError:  # Of another Python than this one.
                found = None
            found = getattr(found, self._name, None) if self._name else found
        if found is None:
            return self._references.stand_in(self._key, self._shape)
        self._references.let_go(self._key)
        return found


def own(value: Any) -> Any:
    """What a value that came means here."""
    return value.here() if type(value) is Named else value


def all_own(values: dict[str, Any]) -> dict[str, Any]:
    """What the values of names mean here."""
    return {name: own(value) for name, value in values.items()}


def _reduce(value: Any, encoder: Any) -> Any:
    key = encoder.references.hold(value.value)
    return _make_common, (value.module, value.name, key, *shapes.shape_of(value.value))


REDUCERS[Common] = _reduce


@maker
def _make_common(reading: Any, module: str, name: str, key: int, *shape: Any) -> Any:
    return Named(reading.references, module, name, key, shape)
