"""The words of the encoding: what is plain data, and how each kind is taken apart and made again."""

from __future__ import annotations

import array
import builtins
import collections
import datetime as dt
import decimal
import enum
import fractions
import importlib
import os
import pathlib
import pickle
import re
import sys
import uuid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

MAKERS: dict[str, Callable[..., Any]] = {}
REDUCERS: dict[type, Callable[[Any, Any], Any]] = {}
# (top-level module, class) of libraries that a process may not have: the module here that knows them.
LIBRARIES = {
    "numpy": "arrays",
    "pandas": "frames",
    "pyarrow": "tables",
}
# What each side tells the other that it has: what it may be sent depends on it.
TOLD = (*LIBRARIES, "zoneinfo")


class Unspeakable(Exception):  # noqa: N818 - a turn in the road, never seen by anybody
    """This value cannot travel: a reference to it must."""


class Maker:
    """One word; pickle writes it as the name that it has in its module."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.__qualname__ = name

    def __call__(self, *_: Any) -> Any:
        """Pickle wants words to be callable; only what stands for them in a reader is called."""
        raise TypeError(f"`{self.name}` is a word of the encoding")


def maker(make: Callable[..., Any]) -> Maker:
    """Decorator: the word `<name>` of the vocabulary, which the reader replaces with a call of `make`."""
    MAKERS[make.__name__] = make
    word = Maker(make.__name__)
    word.__module__ = make.__module__
    return word


def reduces(*kinds: type) -> Callable[[Callable[[Any, Any], Any]], Callable[[Any, Any], Any]]:
    """Decorator: how values of exactly these types are taken apart."""

    def register(reduce: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        REDUCERS.update(dict.fromkeys(kinds, reduce))
        return reduce

    return register


def reducer(kind: type) -> Callable[[Any, Any], Any] | None:
    """How a value of this type is taken apart; None where it can only be referred to."""
    found = REDUCERS.get(kind)
    if found is not None:
        return found
    found = _of_library(kind)
    if found is not None:
        REDUCERS[kind] = found
    return found or _of_family(kind)


def public_name(kind: type) -> tuple[str, str]:
    """Where a class comes from: what leads to it in this process, and its module as its authors know it."""
    module = str(getattr(kind, "__module__", ""))
    plain = re.sub(r"^nixenv\.private\.[a-z0-9_]+\.", "", module)
    return module[: len(module) - len(plain)], plain


def _of_library(kind: type) -> Callable[[Any, Any], Any] | None:
    _, plain = public_name(kind)
    top = plain.partition(".")[0]
    room = LIBRARIES.get(top)
    if room is None:
        return None
    found = importlib.import_module(f".{room}", __package__).reducer_of(kind)
    if found is None:
        return None

    def reduce(value: Any, encoder: Any) -> Any:
        if not encoder.references.other_has(top):
            raise Unspeakable
        return found(value, encoder)

    return reduce


def _of_family(kind: type) -> Callable[[Any, Any], Any] | None:
    if kind.__module__ == "zoneinfo" and kind.__name__ == "ZoneInfo":
        return _reduce_zone
    if issubclass(kind, enum.Enum):
        return _reduce_enum if kind.__module__ in ENUM_MODULES else None
    if issubclass(kind, BaseException):
        from . import exceptions  # noqa: PLC0415 - it needs this module

        return exceptions.reduce_exception
    return None


# --- the makers: each is called with the reader first -----------------------------------------------------


@maker
def _make_builtin(decoder: Any, name: str) -> Any:
    del decoder
    if name in _BUILTINS:
        return getattr(builtins, name)
    raise pickle.UnpicklingError(f"`{name}` is not of the vocabulary")


@maker
def _make_type(decoder: Any, name: str) -> Any:
    del decoder
    return _TYPES[name]


@maker
def _make_constant(decoder: Any, name: str) -> Any:
    del decoder
    return {"...": Ellipsis, "NotImplemented": NotImplemented}[name]


@maker
def _make_value(decoder: Any, name: str, *arguments: Any) -> Any:
    del decoder
    return _VALUES[name](*arguments)


@maker
def _make_path(decoder: Any, name: str, text: str) -> Any:
    del decoder
    kind = {
        "PurePosixPath": pathlib.PurePosixPath,
        "PureWindowsPath": pathlib.PureWindowsPath,
    }.get(name, pathlib.Path)
    return kind(text)


@maker
def _make_zone(decoder: Any, key: str) -> Any:
    del decoder
    return importlib.import_module("zoneinfo").ZoneInfo(key)


@maker
def _make_enum(decoder: Any, module: str, name: str, value: Any) -> Any:
    del decoder
    if module not in ENUM_MODULES:
        raise pickle.UnpicklingError(f"`{module}` is not of the vocabulary")
    kind = getattr(importlib.import_module(module), name, None)
    if not isinstance(kind, enum.EnumMeta):
        raise pickle.UnpicklingError(f"`{module}.{name}` is not of the vocabulary")
    return kind(value)


@maker
def _make_ordered(decoder: Any) -> Any:
    del decoder
    return collections.OrderedDict()


@maker
def _make_counter(decoder: Any) -> Any:
    del decoder
    return collections.Counter()


@maker
def _make_deque(decoder: Any, longest: int | None) -> Any:
    del decoder
    return collections.deque(maxlen=longest)


@maker
def _make_default(decoder: Any, factory: Any) -> Any:
    del decoder
    return collections.defaultdict(factory)


@maker
def _make_bytes(decoder: Any, kind: str, buffer: Any) -> Any:
    del decoder
    if kind == "memoryview":
        return memoryview(buffer)
    return bytearray(buffer) if kind == "bytearray" else bytes(buffer)


@maker
def _make_array(decoder: Any, code: str, buffer: Any) -> Any:
    del decoder
    made = array.array(code)
    made.frombytes(memoryview(buffer).cast("B"))
    return made


# --- how they are taken apart -----------------------------------------------------------------------------

ENUM_MODULES = frozenset(
    ["http", "signal", "socket", "ssl", "uuid", "inspect", "re", "enum", "calendar", "plistlib"]
)
_TYPES: dict[str, type] = {
    f"{kind.__module__}.{kind.__qualname__}": kind
    for kind in (
        dt.date, dt.datetime, dt.time, dt.timedelta, dt.timezone,
        decimal.Decimal, fractions.Fraction, uuid.UUID, collections.OrderedDict, collections.Counter,
        collections.deque, collections.defaultdict, pathlib.Path, pathlib.PurePath,
    )
}  # fmt: skip
_BUILTINS = frozenset(
    name for name in [
        "bool", "bytearray", "bytes", "complex", "dict", "enumerate", "filter", "float",
        "frozenset", "int", "list", "map", "memoryview", "object", "range", "reversed", "set",
        "slice", "str", "tuple", "type", "zip", "abs", "all", "any", "ascii", "bin", "callable",
        "chr", "divmod", "format", "hash", "hex", "id", "isinstance", "issubclass", "iter", "len",
        "max", "min", "next", "oct", "ord", "pow", "repr", "round", "sorted", "sum",
    ] if hasattr(builtins, name)
)  # fmt: skip


def _timezone(value: dt.timezone) -> tuple[Any, ...]:
    offset = value.utcoffset(None)
    name = value.tzname(None)
    return (offset,) if dt.timezone(offset).tzname(None) == name else (offset, name)


def _date(value: dt.date) -> tuple[int, int, int]:
    return (value.year, value.month, value.day)


def _time(value: dt.time) -> tuple[Any, ...]:
    return (value.hour, value.minute, value.second, value.microsecond, value.tzinfo, value.fold)


def _make_time(*parts: Any) -> dt.time:
    return dt.time(*parts[:5], fold=parts[5])


def _make_moment(*parts: Any) -> dt.datetime:
    return dt.datetime(*parts[:8], fold=parts[8])  # noqa: DTZ001 - its zone is the eighth part


# Name of a kind: its parts, and what makes it of them.
_PARTS: dict[type, tuple[Callable[[Any], Any], Callable[..., Any]]] = {
    complex: (lambda value: (value.real, value.imag), complex),
    range: (lambda value: (value.start, value.stop, value.step), range),
    slice: (lambda value: (value.start, value.stop, value.step), slice),
    dt.date: (_date, dt.date),
    dt.time: (_time, _make_time),
    dt.datetime: (lambda value: _date(value) + _time(value.timetz()), _make_moment),
    dt.timedelta: (
        lambda value: (value.days, value.seconds, value.microseconds),
        dt.timedelta,
    ),
    dt.timezone: (_timezone, dt.timezone),
    decimal.Decimal: (lambda value: (str(value),), decimal.Decimal),
    fractions.Fraction: (
        lambda value: (value.numerator, value.denominator),
        fractions.Fraction,
    ),
    uuid.UUID: (lambda value: (str(value),), uuid.UUID),
    re.Pattern: (lambda value: (value.pattern, value.flags), re.compile),
}
_VALUES = {kind.__name__: make for kind, (_, make) in _PARTS.items()}


def _reduce_parts(value: Any, encoder: Any) -> Any:
    del encoder
    kind = type(value)
    return _make_value, (kind.__name__, *_PARTS[kind][0](value))


REDUCERS.update(dict.fromkeys(_PARTS, _reduce_parts))


@reduces(*{type(pathlib.PurePosixPath()), type(pathlib.PureWindowsPath()), type(pathlib.Path())})
def _reduce_path(value: Any, encoder: Any) -> Any:
    del encoder
    return _make_path, (type(value).__name__, os.fspath(value))


@reduces(type(Ellipsis), type(NotImplemented))
def _reduce_constant(value: Any, encoder: Any) -> Any:
    del encoder
    return _make_constant, ("..." if value is Ellipsis else "NotImplemented",)


def _reduce_enum(value: Any, encoder: Any) -> Any:
    del encoder
    kind = type(value)
    if getattr(sys.modules.get(kind.__module__), kind.__name__, None) is not kind:
        raise Unspeakable
    return _make_enum, (kind.__module__, kind.__name__, value.value)


@reduces(type)
def _reduce_type(value: type, encoder: Any) -> Any:
    del encoder
    name = value.__name__
    if name in _BUILTINS and getattr(builtins, name) is value:
        return _make_builtin, (name,)
    name = f"{value.__module__}.{value.__qualname__}"
    if name in _TYPES and _TYPES[name] is value:
        return _make_type, (name,)
    if issubclass(value, BaseException):
        from . import exceptions  # noqa: PLC0415 - it needs this module

        return exceptions.reduce_class(value)
    raise Unspeakable


@reduces(type(len))
def _reduce_function(value: Any, encoder: Any) -> Any:
    del encoder
    name = value.__name__
    if name in _BUILTINS and getattr(builtins, name) is value:
        return _make_builtin, (name,)
    raise Unspeakable


@reduces(collections.OrderedDict)
def _reduce_ordered(value: Any, encoder: Any) -> Any:
    del encoder
    return _make_ordered, (), None, None, iter(value.items())


@reduces(collections.Counter)
def _reduce_counter(value: Any, encoder: Any) -> Any:
    del encoder
    return _make_counter, (), None, None, iter(value.items())


@reduces(collections.defaultdict)
def _reduce_default(value: Any, encoder: Any) -> Any:
    del encoder
    return _make_default, (value.default_factory,), None, None, iter(value.items())


@reduces(collections.deque)
def _reduce_deque(value: Any, encoder: Any) -> Any:
    del encoder
    return _make_deque, (value.maxlen,), None, iter(value)


@reduces(memoryview)
def _reduce_view(value: Any, encoder: Any) -> Any:
    del encoder
    if not value.c_contiguous or value.ndim != 1:
        raise Unspeakable
    return _make_bytes, ("memoryview", pickle.PickleBuffer(value))


@reduces(array.array)
def _reduce_array(value: Any, encoder: Any) -> Any:
    del encoder
    return _make_array, (value.typecode, pickle.PickleBuffer(value))


def reduce_large(value: Any, encoder: Any) -> Any:
    """Bytes that are an argument of their own."""
    del encoder
    whole = value.value
    return _make_bytes, (type(whole).__name__, pickle.PickleBuffer(whole))


def _reduce_zone(value: Any, encoder: Any) -> Any:
    if value.key is None or not encoder.references.other_has("zoneinfo"):
        raise Unspeakable
    return _make_zone, (value.key,)
