"""What a stand-in must look like: which of Python's special methods the object's class has."""

from __future__ import annotations

import copy
import operator
import os
import sys
import types

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

VALUE, CLASS, FUNCTION, MODULE = range(4)


def _reflected(compute: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda value, other: compute(other, value)


def _of_class(name: str) -> Callable[..., Any]:
    """Special methods without a function of their own are the class's."""
    return lambda value, *rest: getattr(type(value), name)(value, *rest)


_BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "add": operator.add, "sub": operator.sub, "mul": operator.mul, "matmul": operator.matmul,
    "truediv": operator.truediv, "floordiv": operator.floordiv, "mod": operator.mod,
    "divmod": divmod, "lshift": operator.lshift, "rshift": operator.rshift,
    "and": operator.and_, "xor": operator.xor, "or": operator.or_, "pow": pow,
}  # fmt: skip

# What each special method does to an object of this side. A number of bits in messages: only append.
SPECIAL: dict[str, Callable[..., Any]] = {
    "__call__": lambda value, *positional, **named: value(*positional, **named),
    "__len__": len, "__bool__": bool, "__iter__": iter, "__next__": next, "__reversed__": reversed,
    "__contains__": operator.contains, "__getitem__": operator.getitem,
    "__setitem__": operator.setitem, "__delitem__": operator.delitem,
    "__int__": int, "__float__": float, "__complex__": complex, "__index__": operator.index,
    "__bytes__": bytes, "__fspath__": os.fspath, "__round__": round,
    "__trunc__": _of_class("__trunc__"), "__floor__": _of_class("__floor__"), "__ceil__": _of_class("__ceil__"),
    "__neg__": operator.neg, "__pos__": operator.pos, "__abs__": abs, "__invert__": operator.invert,
    "__enter__": _of_class("__enter__"), "__exit__": _of_class("__exit__"),
    "__await__": _of_class("__await__"),
    "__aiter__": _of_class("__aiter__"), "__anext__": _of_class("__anext__"),
    "__aenter__": _of_class("__aenter__"), "__aexit__": _of_class("__aexit__"),
    "__array__": _of_class("__array__"), "__length_hint__": _of_class("__length_hint__"),
    "__eq__": operator.eq, "__ne__": operator.ne, "__lt__": operator.lt, "__le__": operator.le,
    "__gt__": operator.gt, "__ge__": operator.ge,
    **{f"__{name}__": compute for name, compute in _BINARY.items()},
    **{f"__r{name}__": _reflected(compute) for name, compute in _BINARY.items()},
    **{f"__i{name}__": getattr(operator, f"i{name}") for name in _BINARY if name != "divmod"},
    "__hash__": hash, "__repr__": repr, "__str__": str, "__format__": format, "__dir__": dir,
    "__instancecheck__": lambda value, one: isinstance(one, value),
    "__subclasscheck__": lambda value, one: issubclass(one, value),
    "__copy__": copy.copy, "__deepcopy__": copy.deepcopy,
}  # fmt: skip
NAMES = tuple(SPECIAL)
# A tuple adds what is a tuple; for a stand-in on the right, the other side must be asked.
_UNREFLECTED = {f"__r{name}__": f"__{name}__" for name in _BINARY}
# Every object has these; whether they do anything is for the object to say.
ALWAYS = frozenset(
    ["__eq__", "__ne__", "__hash__", "__repr__", "__str__", "__format__", "__dir__", "__copy__",
     "__deepcopy__", "__lt__", "__le__", "__gt__", "__ge__"]
)  # fmt: skip
_FUNCTIONS = (
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodType,
    types.MethodDescriptorType,
)
# Of two objects: either may know how.
DYADIC = frozenset(
    ["__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__"]
    + [f"__{sign}{name}__" for name in _BINARY for sign in ("", "r", "i")]
)
_masks: dict[type, int] = {}


def mask_of(kind: type) -> int:
    """The special methods that a class has, as bits in the order of `NAMES`."""
    mask = _masks.get(kind)
    if mask is None:
        mask = 0
        for place, name in enumerate(NAMES):
            if name not in ALWAYS and (_has(kind, name) or _has(kind, _UNREFLECTED.get(name, ""))):
                mask |= 1 << place
        if kind.__module__ == "builtins":  # Those of notebooks come and go, and must be able to.
            _masks[kind] = mask
    return mask


def _has(kind: type, name: str) -> bool:
    # Not `getattr`, which finds what the class of the class has.
    for base in kind.__mro__:
        if name in vars(base):
            return vars(base)[name] is not None
    return False


def names_in(mask: int) -> list[str]:
    """The special methods that `mask_of` found."""
    return [name for place, name in enumerate(NAMES) if mask >> place & 1]


def shape_of(value: Any) -> tuple[int, int, str, str]:
    """Form, special methods, and the names of the object's class; of a module, its own name."""
    kind = type(value)
    mask = mask_of(kind)
    if isinstance(value, types.ModuleType):
        name = value.__name__
        if sys.modules.get(name) is value:
            return MODULE, mask, name, name
    if isinstance(value, type):
        if hasattr(value, "__class_getitem__"):
            mask |= 1 << NAMES.index("__getitem__")
        return CLASS, mask, str(kind.__module__), str(kind.__qualname__)
    is_function = isinstance(value, _FUNCTIONS) or kind.__name__ == "cython_function_or_method"
    form = FUNCTION if is_function else VALUE
    return form, mask, str(kind.__module__), str(kind.__qualname__)
