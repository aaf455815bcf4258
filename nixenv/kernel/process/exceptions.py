"""Exceptions between processes: the same type where both have it, else a class made here once for it.

What is raised here has the frames of the other side below those of this one, with their files and lines:
tracebacks show them as they show any.
"""

from __future__ import annotations

import builtins
import contextlib
import importlib
import os
import pickle
import sys
import types

from .vocabulary import REDUCERS, maker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FOLDER = os.path.dirname(os.path.abspath(__file__))
DEEPEST = 200
LAST_LINE, LONGEST_CODE = 1 << 30, 100_000
# What built-in exceptions keep beside `args` and `__dict__`.
_EXTRA = (
    "name",
    "path",
    "filename",
    "filename2",
    "print_file_and_line",
    "end_lineno",
    "end_offset",
)
# What they make of their arguments: a class that derives from one of them has it in the same places.
_MADE_OF_ARGUMENTS = ("msg", "lineno", "offset", "text", "errno", "strerror", "code", "value")
_INNER = "_nixenv_inside"


class MadeType(type):
    """The class of exception classes that stand for one of another process."""

    def __getattr__(cls, name: str) -> Any:
        """The attribute of the other side's class."""
        inner = type.__getattribute__(cls, "_nixenv_class")
        if inner is None or (name.startswith("__") and name != "__doc__"):
            raise AttributeError(f"type object {cls.__name__!r} has no attribute {name!r}")
        link, key = inner
        return link.call("getattr", key, name)

    def __call__(cls, *arguments: Any, **named: Any) -> Any:
        """Make the exception where its class is; what comes is its stand-in here."""
        link, key = type.__getattribute__(cls, "_nixenv_class")
        return link.call("call", key, arguments, named)

    def __new__(
        cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **options: Any
    ) -> Any:
        """Refuse classes that derive from one of these and are none themselves.

        Raises:
            TypeError: The class is written here; it says where it can be.
        """
        __tracebackhide__ = True
        if "_nixenv_class" not in namespace:
            parent = next(base for base in bases if isinstance(base, MadeType))
            link, _ = type.__getattribute__(parent, "_nixenv_class")
            raise TypeError(
                f"`{parent.__qualname__}` is a class in the process of {link.owner}: what derives from it must"
                f" be there, too; {link.references.advice}"
            )
        return super().__new__(cls, name, bases, namespace, **options)


def _attribute(self: Any, name: str) -> Any:
    inner = vars(self).get(_INNER)
    if inner is None or (name.startswith("__") and name.endswith("__")):
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
    link, key, _, _ = inner
    return link.call("getattr", key, name)


def _text(self: Any) -> str:
    inner = vars(self).get(_INNER)
    return inner[2] if inner else ""


def _repr(self: Any) -> str:
    inner = vars(self).get(_INNER)
    return inner[3] if inner else type(self).__name__


def reduce_class(kind: type) -> Any:
    """How the other side is told of an exception's class (pickle's form).

    Its own class where both have it; else everything that is needed to make one that is caught like it.
    """
    if isinstance(kind, MadeType):
        return _make_own_class, (kind._nixenv_class[1],)  # noqa: SLF001 - ours
    name = _common_name(kind)
    if name is not None:
        return _make_common_class, name
    return (
        _make_class,
        (_Held(kind), str(kind.__module__), str(kind.__qualname__), tuple(kind.__bases__)),
    )


class _Held:
    """A wrapper: the other side gets the number under which this object is held."""

    def __init__(self, value: Any) -> None:
        self.value = value


def _reduce_held(value: Any, encoder: Any) -> Any:
    return _make_number, (encoder.references.hold(value.value),)


REDUCERS[_Held] = _reduce_held


@maker
def _make_number(decoder: Any, number: int) -> int:
    del decoder
    return number


def _common_name(kind: type) -> tuple[str, str] | None:
    """Module and name of a class of the standard library; None for others."""
    module = str(kind.__module__)
    if kind is getattr(builtins, kind.__name__, None):
        return "builtins", kind.__name__
    if is_standard(module) and getattr(sys.modules.get(module), kind.__qualname__, None) is kind:
        return module, kind.__qualname__
    return None


def is_standard(module: str) -> bool:
    """Whether a module is of the standard library."""
    top = module.partition(".")[0]
    names = getattr(sys, "stdlib_module_names", None)  # From Python 3.10 on.
    if names is not None:
        return top in names and top != "__main__"
    if top in sys.builtin_module_names:
        return top != "__main__"
    origin = getattr(sys.modules.get(top), "__file__", None) or ""
    return os.path.dirname(os.__file__) == os.path.dirname(
        origin if not origin.endswith("__init__.py") else os.path.dirname(origin)
    )


@maker
def _make_common_class(decoder: Any, module: str, name: str) -> Any:
    del decoder
    found = getattr(sys.modules.get(module), name, None)
    if found is None and is_standard(module):
        try:
            found = getattr(importlib.import_module(module), name, None)
        except ImportError:
            found = None
    if isinstance(found, type) and issubclass(found, BaseException):
        return found
    return Exception  # Of a newer Python than this one.


@maker
def _make_own_class(decoder: Any, key: int) -> Any:
    return decoder.references.held(key)


@maker
def _make_class(decoder: Any, key: int, module: str, qualname: str, bases: tuple[Any, ...]) -> Any:
    references = decoder.references
    known = references.exceptions.get(key)
    if known is not None:
        return known
    bases = tuple(
        base for base in bases if isinstance(base, type) and issubclass(base, BaseException)
    )
    namespace = {
        "_nixenv_class": (references.link, key),
        "__module__": references.prefix + module,
        "__qualname__": qualname,
        "__getattr__": _attribute,
        "__str__": _text,
        "__repr__": _repr,
        "__reduce_ex__": _reduce_text,
    }
    name = qualname.rpartition(".")[2]
    here = None if module == "__main__" else getattr(sys.modules.get(module), name, None)
    for candidate in (_with_public(here, bases), bases, (Exception,)):
        try:
            made = MadeType(name, candidate, dict(namespace))
            break
        except TypeError:
            continue
    # Kept for good: `except` must find the same class as long as the process lives.
    references.exceptions[key] = made
    return made


def _with_public(here: Any, bases: tuple[type, ...]) -> tuple[type, ...]:
    """The bases, with the notebook's class of the same name first, so that it is caught by that, too."""
    if (
        not isinstance(here, type)
        or not issubclass(here, BaseException)
        or isinstance(here, MadeType)
    ):
        return bases
    return (here, *(base for base in bases if not issubclass(here, base)))


def _reduce_text(self: Any, protocol: object) -> Any:
    del protocol
    return RuntimeError, (f"{type(self).__qualname__}: {self}",)


def reduce_exception(value: BaseException, encoder: Any) -> Any:
    """How the other side is told of an exception: its own object, or all of it."""
    inner = vars(value).get(_INNER)
    if inner is not None and inner[0] is encoder.references.link:
        return _make_own_exception, (inner[1],)
    seen = encoder.exceptions
    if id(value) in seen or len(seen) > DEEPEST:
        return _make_constant_none, ()
    seen.add(id(value))
    kind = type(value)
    is_common = _common_name(kind) is not None
    state = vars(value) if is_common else {}
    notes = getattr(value, "__notes__", None)
    if notes:
        state = {**state, "__notes__": [str(note) for note in notes]}
    if is_common:
        # An OSError whose second file is None says so in its text.
        extra = {
            name: getattr(value, name) for name in _EXTRA if getattr(value, name, None) is not None
        }
    else:
        extra = _kept_by_builtin(value)
    return _make_exception, (
        kind,
        tuple(value.args),
        (state, extra),
        None if is_common else (_Held(value), _said(str, value), _said(repr, value)),
        _frames(value.__traceback__),
        (value.__cause__, value.__context__, value.__suppress_context__),
    )


def _kept_by_builtin(value: BaseException) -> dict[str, Any]:
    """What a built-in base keeps, which its class here would answer for without asking the other side."""
    found = {}
    for name in (*_EXTRA, *_MADE_OF_ARGUMENTS):
        holder = next((base for base in type(value).__mro__ if name in vars(base)), None)
        if holder is not None and holder.__module__ == "builtins":
            one = getattr(value, name, None)
            if isinstance(one, (str, int)):
                found[name] = one
    return found


def _said(say: Any, value: BaseException) -> str:
    try:
        return str(say(value))
    except Exception as error:  # noqa: BLE001 - whatever a class of the user's does
        return f"<{type(value).__qualname__}, whose text raised {type(error).__name__}>"


def _frames(traceback: types.TracebackType | None) -> tuple[tuple[str, int, str, int], ...]:
    frames = []
    while traceback is not None:
        code = traceback.tb_frame.f_code
        if os.path.dirname(code.co_filename) != FOLDER:
            line = traceback.tb_lineno or code.co_firstlineno
            frames.append((code.co_filename, line, code.co_name, code.co_firstlineno))
        traceback = traceback.tb_next
    return tuple(
        frames if len(frames) <= DEEPEST else frames[: DEEPEST // 2] + frames[-DEEPEST // 2 :]
    )


@maker
def _make_constant_none(decoder: Any) -> None:
    del decoder


@maker
def _make_own_exception(decoder: Any, key: int) -> Any:
    return decoder.references.held(key)


@maker
def _make_exception(
    decoder: Any,
    kind: Any,
    arguments: tuple[Any, ...],
    attributes: tuple[dict[str, Any], dict[str, Any]],
    inner: tuple[int, str, str] | None,
    frames: Any,
    chain: tuple[Any, Any, bool],
) -> Any:
    if not isinstance(kind, type) or not issubclass(kind, BaseException):
        raise pickle.UnpicklingError(f"{kind!r} is no class of exceptions")
    state, extra = attributes
    if inner is None:
        one = _common(kind, arguments)
    else:
        one = _new(kind, arguments)
        one.args = arguments
        if isinstance(kind, MadeType):
            state = {**state, _INNER: (decoder.references.link, *inner)}
            decoder.references.adopt(one, inner[0])
    vars(one).update(state)
    for name, value in extra.items():
        with contextlib.suppress(AttributeError, TypeError):  # Another Python's.
            setattr(one, name, value)
    one.__cause__, one.__context__, one.__suppress_context__ = chain
    return one.with_traceback(_traceback(frames))


def _new(kind: Any, arguments: tuple[Any, ...]) -> Any:
    """One of that class, of which nothing but `__new__` runs.

    The first `__new__` of the bases is not always one that can: lxml's `XMLSyntaxError` has that of a compiled
    class first, and the memory of a `SyntaxError`.
    """
    for base in kind.__mro__:
        if "__new__" in vars(base):
            with contextlib.suppress(TypeError):
                return base.__new__(kind, *arguments)
    raise pickle.UnpicklingError(f"no `{kind.__qualname__}` can be made")


def _common(kind: Any, arguments: tuple[Any, ...]) -> Any:
    if issubclass(kind, SyntaxError) and sys.version_info < (3, 10):
        # Newer ones say where the place ends, too.
        arguments = tuple(one[:4] if isinstance(one, tuple) else one for one in arguments)
    if kind.__module__ == "builtins":
        with contextlib.suppress(TypeError, ValueError, IndexError):
            return kind(*arguments)
    one = kind.__new__(kind, *arguments)
    one.args = arguments
    return one


def _traceback(frames: Any) -> types.TracebackType | None:
    """Frames that look like the other side's: the files are here, too."""
    traceback: types.TracebackType | None = None
    for filename, line, name, first in reversed(frames):
        frame = _frame(str(filename), int(line), str(name), int(first))
        traceback = types.TracebackType(traceback, frame, frame.f_lasti, int(line))
    return traceback


def _frame(filename: str, line: int, name: str, first: int) -> types.FrameType:
    # Who shows a frame counts from the first line of its code.
    first = max(1, min(first, LAST_LINE))
    below = line - first if 0 <= line - first <= LONGEST_CODE else 0
    code = compile("\n" * below + "raise StopAsyncIteration", filename, "exec")
    code = code.replace(co_name=name, co_firstlineno=first)
    if sys.version_info >= (3, 11):
        code = code.replace(co_qualname=name)
    try:
        eval(code, {"__builtins__": builtins})  # noqa: S307 - the line above
    except StopAsyncIteration as error:
        traceback = error.__traceback__
        while traceback is not None and traceback.tb_next is not None:
            traceback = traceback.tb_next
        if traceback is not None:
            return traceback.tb_frame
    raise RuntimeError(name)
