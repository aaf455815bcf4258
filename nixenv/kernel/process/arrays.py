"""NumPy's arrays and scalars as words: type, shape and buffer, the same for every version of NumPy."""

from __future__ import annotations

import importlib
import pickle
import sys

from .vocabulary import Unspeakable, maker, public_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

REGISTERED = 2  # `dtype.isbuiltin` of types that other packages add


def numpy() -> Any:
    """The numpy of this process, loaded if need be."""
    return importlib.import_module("numpy")


def of_value(kind: type) -> Any:
    """The numpy that a class is of: the notebook's, or a group's."""
    prefix, _ = public_name(kind)
    return sys.modules.get(f"{prefix}numpy")


def reducer_of(kind: type) -> Callable[[Any, Any], Any] | None:
    """How values of one of numpy's classes are taken apart; None for a class that cannot travel."""
    library = of_value(kind)
    if library is None:
        return None
    if kind is library.ndarray:
        return _reduce_array
    if issubclass(kind, library.dtype):
        return _reduce_dtype
    if issubclass(kind, library.generic) and not issubclass(kind, library.void):
        return _reduce_scalar
    return None


def spelled(dtype: Any) -> Any:
    """A dtype as text, or as a list for a structure.

    Raises:
        Unspeakable: It is none of numpy's own, or holds objects.
    """
    if dtype.isbuiltin == REGISTERED or dtype.kind not in "biufcmMSUV?" or dtype.hasobject:
        raise Unspeakable
    if dtype.names is None:
        if dtype.subdtype is not None or (dtype.kind == "V" and dtype.isbuiltin == 1):
            raise Unspeakable
        return dtype.str
    if dtype.alignment != 1 or dtype.metadata:
        raise Unspeakable
    fields = []
    end = 0
    for name in dtype.names:
        kind, start = dtype.fields[name][:2]
        if start != end or kind.subdtype is not None:
            raise Unspeakable
        end += kind.itemsize
        fields.append((name, spelled(kind)))
    if end != dtype.itemsize:
        raise Unspeakable
    return fields


def _reduce_array(value: Any, encoder: Any) -> Any:
    del encoder
    if value.dtype.kind in ("O", "T"):
        return _make_objects, (value.shape, list(value.flat))
    text = spelled(value.dtype)
    library = of_value(type(value))
    order = "F" if value.flags.f_contiguous and not value.flags.c_contiguous else "C"
    if order == "C":
        # A copy only where it has gaps.
        value = library.ascontiguousarray(value) if value.ndim else value.reshape(1).reshape(())
    plain = value.reshape(-1, order=order)
    if plain.dtype.kind in "mMV" or plain.nbytes == 0:
        plain = plain.view("u1") if plain.itemsize else library.zeros(0, "u1")
    return _make_ndarray, (text, value.shape, order, pickle.PickleBuffer(plain.data))


def _reduce_dtype(value: Any, encoder: Any) -> Any:
    del encoder
    if value.kind == "O":
        return _make_dtype, ("|O",)
    return _make_dtype, (spelled(value),)


def _reduce_scalar(value: Any, encoder: Any) -> Any:
    del encoder
    return _make_scalar, (spelled(value.dtype), value.tobytes())


@maker
def _make_ndarray(decoder: Any, text: Any, shape: Any, order: str, buffer: Any) -> Any:
    del decoder
    library = numpy()
    if isinstance(buffer, bytes):
        buffer = bytearray(buffer)
    dtype = library.dtype(text)
    return library.ndarray(tuple(shape), dtype, buffer, order=order)


@maker
def _make_objects(decoder: Any, shape: Any, items: Any) -> Any:
    del decoder
    made = numpy().empty(len(items), dtype=object)
    for place, item in enumerate(items):
        made[place] = item
    return made.reshape(tuple(shape))


@maker
def _make_dtype(decoder: Any, text: Any) -> Any:
    del decoder
    return numpy().dtype(text)


@maker
def _make_scalar(decoder: Any, text: Any, data: bytes) -> Any:
    del decoder
    return numpy().frombuffer(data, numpy().dtype(text))[0]
