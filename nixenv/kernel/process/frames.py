"""pandas' frames, series, indexes and scalars as words: columns as arrays, for pandas of different versions.

Nothing of how a version of pandas keeps its data is said: values, and what they mean. What has no such form
(sparse columns, extension types of other packages) travels by reference, as a whole.
"""

from __future__ import annotations

import contextlib
import importlib
import sys

from . import arrays
from .vocabulary import Unspeakable, maker, public_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable


def pandas() -> Any:
    """The pandas of this process, loaded if need be."""
    return importlib.import_module("pandas")


def reducer_of(kind: type) -> Callable[[Any, Any], Any] | None:
    """How values of one of pandas' classes are taken apart; None for a class that cannot travel."""
    prefix, _ = public_name(kind)
    library = sys.modules.get(f"{prefix}pandas")
    if library is None or not hasattr(library, "DataFrame"):
        return None
    table: dict[Any, Any] = {
        library.DataFrame: _reduce_frame,
        library.Series: _reduce_series,
        library.Timestamp: _reduce_timestamp,
        library.Timedelta: _reduce_timedelta,
        type(library.NaT): _reduce_missing,
        type(getattr(library, "NA", library.NaT)): _reduce_missing,
        library.Period: lambda value, _: (_make_period, (value.ordinal, value.freqstr)),
        library.Interval: lambda value, _: (
            _make_interval,
            (value.left, value.right, value.closed),
        ),
    }
    if kind in table:
        found: Callable[[Any, Any], Any] = table[kind]
        return found
    if issubclass(kind, library.Index) and public_name(kind)[1].partition(".")[0] == "pandas":
        return _reduce_index
    if issubclass(kind, library.api.extensions.ExtensionArray):
        return _reduce_extension
    return None


def _reduce_missing(value: Any, _: Any) -> Any:
    return _make_missing, ("NaT" if str(value) == "NaT" else "NA",)


# --- one column ------------------------------------------------------------------------------------------


def _values(values: Any, encoder: Any) -> tuple[Any, ...]:
    """The values of a column or an index: a word for their kind, and its parts.

    Raises:
        Unspeakable: They have no form that other versions understand.
    """
    dtype = values.dtype
    form = _FORMS.get(type(dtype).__name__)
    if form is _arrow and not encoder.references.other_has("pyarrow"):
        raise Unspeakable
    if form is not None:
        return form(values, dtype)
    if not hasattr(dtype, "kind") or hasattr(dtype, "construct_array_type"):
        raise Unspeakable
    plain = values.to_numpy() if hasattr(values, "to_numpy") else values
    return "plain", plain


def _zoned(values: Any, dtype: Any) -> tuple[Any, ...]:
    local = getattr(values, "array", values).tz_convert("UTC").tz_localize(None)
    return "zoned", local.to_numpy(), _zone(dtype.tz)


def _zone(zone: Any) -> str:
    """The name of a time zone in the tz database, or its distance from UTC."""
    for name in (getattr(zone, "zone", None), getattr(zone, "key", None)):
        if isinstance(name, str):
            return name
    text = str(zone)
    if text == "UTC" or text.startswith(("UTC+", "UTC-")):
        return text[3:] or "UTC"
    if text.startswith("pytz.FixedOffset("):
        minutes = int(text[len("pytz.FixedOffset(") : -1])
        return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
    raise Unspeakable


def _categories(values: Any, dtype: Any) -> tuple[Any, ...]:
    array = getattr(values, "array", values)
    array = getattr(array, "_values", array)
    return "categories", array.codes, dtype.categories, bool(dtype.ordered)


def _masked(values: Any, dtype: Any) -> tuple[Any, ...]:
    array = getattr(values, "array", values)
    mask = array.isna()
    numbers = array.to_numpy(dtype=dtype.numpy_dtype, na_value=dtype.numpy_dtype.type(0))
    return "masked", str(dtype), numbers, mask


def _strings(values: Any, dtype: Any) -> tuple[Any, ...]:
    name = "str" if str(dtype) == "str" else "string"
    return "strings", name, list(values)


def _periods(values: Any, dtype: Any) -> tuple[Any, ...]:
    # `period[M]`: as periods are spelled in every version; that of `dtype.freq` has become `ME`.
    return "periods", getattr(values, "array", values).asi8, str(dtype)[len("period[") : -1]


def _intervals(values: Any, dtype: Any) -> tuple[Any, ...]:
    array = getattr(values, "array", values)
    return "intervals", array.left, array.right, dtype.closed


def _arrow(values: Any, dtype: Any) -> tuple[Any, ...]:
    del dtype
    array = getattr(values, "array", values)
    return "arrow", array.__arrow_array__()


_FORMS: dict[str, Callable[[Any, Any], tuple[Any, ...]]] = {
    "DatetimeTZDtype": _zoned,
    "CategoricalDtype": _categories,
    "StringDtype": _strings,
    "PeriodDtype": _periods,
    "IntervalDtype": _intervals,
    "ArrowDtype": _arrow,
    **dict.fromkeys(
        [f"{sign}Int{bits}Dtype" for sign in ("", "U") for bits in (8, 16, 32, 64)]
        + ["Float32Dtype", "Float64Dtype", "BooleanDtype"],
        _masked,
    ),
}


def _made(form: str, *parts: Any) -> Any:
    """The values again, as an array that a frame, a series or an index is made of."""
    return _MAKES[form](pandas(), *parts)


def _make_zoned(library: Any, moments: Any, zone: str) -> Any:
    return (
        library.DatetimeIndex(moments, copy=False)
        .tz_localize("UTC")
        .tz_convert(_zone_here(zone))
        .array
    )


def _zone_here(zone: str) -> Any:
    if zone[:1] in "+-":
        import datetime as dt  # noqa: PLC0415

        hours, minutes = (int(part) for part in zone[1:].split(":")[:2])
        offset = dt.timedelta(hours=hours, minutes=minutes)
        return dt.timezone(-offset if zone[0] == "-" else offset)
    return zone


def _make_masked(library: Any, name: str, numbers: Any, mask: Any) -> Any:
    kind = {"b": "BooleanArray", "f": "FloatingArray"}.get(numbers.dtype.kind, "IntegerArray")
    del name
    return getattr(library.arrays, kind)(numbers, mask)


def _make_strings(library: Any, name: str, items: Any) -> Any:
    if name == "string":
        return library.array(items, dtype="string")
    try:
        return library.array(items, dtype=library.StringDtype(na_value=float("nan")))
    except TypeError:  # `str` is a type of its own since 2.3; before, such columns hold objects.
        made = arrays.numpy().empty(len(items), dtype=object)
        made[:] = items
        return made


def _make_periods(library: Any, ordinals: Any, frequency: str) -> Any:
    return library.arrays.PeriodArray(ordinals, dtype=library.PeriodDtype(frequency))


def _make_arrow(library: Any, data: Any) -> Any:
    return library.arrays.ArrowExtensionArray(data)


_MAKES: dict[str, Callable[..., Any]] = {
    "plain": lambda _, values: values,
    "zoned": _make_zoned,
    "categories": lambda library, codes, categories, ordered: library.Categorical.from_codes(
        codes, categories=categories, ordered=ordered
    ),
    "masked": _make_masked,
    "strings": _make_strings,
    "periods": _make_periods,
    "intervals": lambda library, left, right, closed: library.arrays.IntervalArray.from_arrays(
        left, right, closed
    ),
    "arrow": _make_arrow,
}


# --- whole objects ----------------------------------------------------------------------------------------


def _reduce_extension(value: Any, encoder: Any) -> Any:
    return _make_extension, _values(value, encoder)


def _reduce_index(value: Any, encoder: Any) -> Any:
    kind = type(value).__name__
    if kind == "RangeIndex":
        return _make_range_index, (value.start, value.stop, value.step, value.name)
    if kind == "MultiIndex":
        return _make_multi_index, (list(value.levels), [*value.codes], list(value.names))
    frequency = (
        getattr(value, "freqstr", None) if kind in ("DatetimeIndex", "TimedeltaIndex") else None
    )
    return _make_index, (value.name, frequency, *_values(value, encoder))


def _reduce_series(value: Any, encoder: Any) -> Any:
    return _make_series, (value.name, value.index, dict(value.attrs), *_values(value, encoder))


def _is_plain(dtype: Any) -> bool:
    return dtype.kind in "biufc" and not hasattr(dtype, "construct_array_type")


def _reduce_frame(value: Any, encoder: Any) -> Any:
    kinds = set(value.dtypes)
    about = (value.index, value.columns, dict(value.attrs))
    if value.shape[1] > 1 and len(kinds) == 1 and _is_plain(next(iter(kinds))):
        return _make_frame, (*about, value.to_numpy())
    columns = [_values(value.iloc[:, place], encoder) for place in range(value.shape[1])]
    return _make_frame, (*about, columns)


def _reduce_timestamp(value: Any, encoder: Any) -> Any:
    del encoder
    if value.tzinfo is None:
        return _make_timestamp, (value.to_datetime64(), None)
    return _make_timestamp, (value.to_datetime64(), _zone(value.tzinfo))


def _reduce_timedelta(value: Any, encoder: Any) -> Any:
    del encoder
    return _make_timedelta, (value.to_timedelta64(),)


@maker
def _make_missing(decoder: Any, name: str) -> Any:
    del decoder
    return pandas().NaT if name == "NaT" else pandas().NA


@maker
def _make_timestamp(decoder: Any, moment: Any, zone: str | None) -> Any:
    del decoder
    stamp = pandas().Timestamp(moment)
    return stamp if zone is None else stamp.tz_localize("UTC").tz_convert(_zone_here(zone))


@maker
def _make_timedelta(decoder: Any, length: Any) -> Any:
    del decoder
    return pandas().Timedelta(length)


@maker
def _make_period(decoder: Any, ordinal: int, frequency: str) -> Any:
    del decoder
    return pandas().Period(ordinal=ordinal, freq=frequency)


@maker
def _make_interval(decoder: Any, left: Any, right: Any, closed: str) -> Any:
    del decoder
    return pandas().Interval(left, right, closed)


@maker
def _make_extension(decoder: Any, *values: Any) -> Any:
    del decoder
    return _made(*values)


@maker
def _make_range_index(decoder: Any, start: int, stop: int, step: int, name: Any) -> Any:
    del decoder
    return pandas().RangeIndex(start, stop, step, name=name)


@maker
def _make_multi_index(decoder: Any, levels: Any, codes: Any, names: Any) -> Any:
    del decoder
    return pandas().MultiIndex(levels=levels, codes=codes, names=names)


@maker
def _make_index(decoder: Any, name: Any, frequency: str | None, *values: Any) -> Any:
    del decoder
    library = pandas()
    array = _made(*values)
    kept = {"dtype": array.dtype} if getattr(array.dtype, "kind", "") == "O" else {}
    index = library.Index(array, name=name, copy=False, **kept)
    if frequency is not None:
        # Spelled otherwise in another version, as `M` is `ME` since 2.2; the values are the same.
        with contextlib.suppress(ValueError):
            index.freq = frequency
    return index


@maker
def _make_series(decoder: Any, name: Any, index: Any, attributes: Any, *values: Any) -> Any:
    del decoder
    array = _made(*values)
    made = pandas().Series(array, index=index, name=name, dtype=array.dtype, copy=False)
    made.attrs.update(attributes)
    return made


@maker
def _make_frame(decoder: Any, index: Any, columns: Any, attributes: Any, values: Any) -> Any:
    del decoder
    library = pandas()
    if isinstance(values, list):
        arrays = {place: _made(*one) for place, one in enumerate(values)}
        series = {
            place: library.Series(one, index=index, dtype=one.dtype, copy=False)
            for place, one in arrays.items()
        }
        made = library.DataFrame(series, index=index, copy=False)
        made.columns = columns
    else:
        made = library.DataFrame(values, index=index, columns=columns, copy=False)
    made.attrs.update(attributes)
    return made
