"""Who holds what: objects of this side that the other refers to, and stand-ins for what the other side holds."""

from __future__ import annotations

import itertools
import pickle
import queue
import threading
import weakref

from . import shapes, standin
from .vocabulary import maker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable


class GoneError(ReferenceError):
    """The other side speaks of an object that nobody holds any more: it has started anew since."""


class _Entry:
    """How often the other side has sent a reference; it counts them, too, until it is told of the last."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 1


class References:
    """Both tables of one link.

    Attributes:
        prefix: What stands before the names of the other side's modules here.
        advice: Where a class that derives from one of the other side's can be written.
        exceptions: The classes made here for exceptions of the other side, by key.
        released: `(key, entry)` of stand-ins that are gone; the link tells the other side.
        module_named: Gives the stand-in of a module of the other side by its name there; None for none.
    """

    def __init__(
        self, prefix: str, advice: str, module_named: Callable[[str], Any] | None = None
    ) -> None:
        self.prefix = prefix
        self.advice = advice
        self.module_named = module_named
        self.link: Any = None
        self.other: frozenset[str] = frozenset()
        self.exceptions: dict[int, type] = {}
        self.released: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._keys = itertools.count(1)
        self._held: dict[int, list[Any]] = {}
        self._key_of: dict[int, int] = {}
        self._here: dict[int, tuple[weakref.ref[Any], _Entry]] = {}
        self._classes: dict[Any, type] = {}

    def other_has(self, library: str) -> bool:
        """Whether the other side can make that library's values."""
        return library in self.other

    # --- what this side holds -----------------------------------------------------------------------------

    def hold(self, value: Any) -> int:
        """Keep `value` for the other side, once more than before; its key."""
        with self._lock:
            key = self._key_of.get(id(value))
            if key is None:
                key = next(self._keys)
                self._key_of[id(value)] = key
                self._held[key] = [value, 0]
            self._held[key][1] += 1
            return key

    def release(self, key: int, count: int) -> None:
        """The other side has dropped `count` of the references that it was sent."""
        with self._lock:
            held = self._held.get(key)
            if held is None:
                return
            held[1] -= count
            if held[1] > 0:
                return
            del self._held[key]
            del self._key_of[id(held[0])]
        # `held` dies here, outside of the lock: what it holds may run code of its own.

    def held(self, key: int) -> Any:
        """The object with that key.

        Raises:
            GoneError: There is none.
        """
        try:
            return self._held[key][0]
        except KeyError:
            raise GoneError(f"reference {key} is to nothing that is held") from None

    @property
    def count(self) -> int:
        """How many objects the other side holds."""
        return len(self._held)

    def refer(self, value: Any, encoder: Any) -> Any:
        """How the other side is told of `value`, which stays where it is (pickle's form)."""
        del encoder
        kind = type(value)
        if issubclass(kind, standin.StandIn):
            link, key = standin.inside(value)
            if link is self.link:
                return _make_own, (key,)
            if link.ended is not None:
                raise link.ended_again()
        elif issubclass(kind, standin.RemoteModule):
            name = standin.module_inside(value, self)
            if name is not None:
                return _make_own_module, (name,)
        elif isinstance(value, type) and issubclass(value, BaseException):
            from . import exceptions  # noqa: PLC0415 - it needs this module

            return exceptions.reduce_class(value)
        shape = shapes.shape_of(value)
        return _make_stand_in, (self.hold(value), *shape)

    # --- what the other side holds ------------------------------------------------------------------------

    def stand_in(self, key: int, shape: Any) -> Any:
        """What stands here for the object with that key: the same as long as somebody has it."""
        with self._lock:
            found = self._here.get(key)
            one = found[0]() if found else None
            if found is not None and one is not None:
                found[1].count += 1
                return one
            kind = self._classes.get(shape)
            if kind is None:
                kind = self._classes[shape] = standin.class_of(shape, self)
            entry = _Entry()
            one = standin.made(kind, self.link, key)
            # The callback may run anywhere, even inside this lock: it does nothing but say so.
            put = self.released.put
            gone = ("release", key, entry)
            self._here[key] = (weakref.ref(one, lambda _, gone=gone: put(gone)), entry)  # type: ignore[misc]
            return one

    def let_go(self, key: int) -> None:
        """Of a reference that came and is not needed."""
        self.released.put(("release", key, _Entry()))

    def adopt(self, one: Any, key: int) -> None:
        """Let the life of `one`, of whatever class, be that of a reference that came with it."""
        put = self.released.put
        weakref.finalize(one, put, ("release", key, _Entry())).atexit = False

    def forget(self, key: int, entry: _Entry) -> None:
        """A stand-in is gone; another may have come in its place."""
        with self._lock:
            found = self._here.get(key)
            if found is not None and found[1] is entry:
                del self._here[key]


@maker
def _make_own(decoder: Any, key: int) -> Any:
    return decoder.references.held(key)


@maker
def _make_own_module(decoder: Any, name: str) -> Any:
    import importlib  # noqa: PLC0415

    if decoder.references.module_named is not None:
        raise pickle.UnpicklingError(f"`{name}`: the other side has no modules of this one")
    return importlib.import_module(name)


@maker
def _make_stand_in(decoder: Any, key: int, *shape: Any) -> Any:
    references = decoder.references
    form, _, name, _ = shape
    if form == shapes.MODULE and references.module_named is not None:
        references.let_go(key)
        return references.module_named(name)
    return references.stand_in(key, shape)
