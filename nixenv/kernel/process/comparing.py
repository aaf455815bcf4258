"""Whether a value looks the same as before: its bytes in the encoding, where it refers to nothing."""

from __future__ import annotations

import collections
import hashlib
import io

from .encoding import Encoder
from .vocabulary import Unspeakable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .references import References

LARGEST = 1 << 28
# Plain data that code changes where it is: others may have the same object.
CHANGEABLE = (list, dict, set, bytearray, collections.deque, collections.OrderedDict)


class _Blind:
    """References that cannot be made: what would need one cannot be compared."""

    link = None

    def __init__(self, references: References) -> None:
        self.other_has = references.other_has

    def refer(self, value: Any, encoder: Any) -> Any:
        del value, encoder
        raise Unspeakable

    hold = refer


def fingerprint(value: Any, references: References) -> bytes | None:
    """Equal for equal content; None for what is large or holds anything that is not plain data."""
    buffers: list[memoryview] = []
    file = io.BytesIO()
    try:
        Encoder(file, buffers, _Blind(references)).dump(value)  # type: ignore[arg-type]
    except Exception:  # noqa: BLE001 - whatever stands in the way, it cannot be compared
        return None
    if file.tell() + sum(buffer.nbytes for buffer in buffers) > LARGEST:
        return None
    found = hashlib.blake2b(file.getbuffer(), digest_size=16)
    for buffer in buffers:
        found.update(buffer)
    return found.digest()


def is_array(value: Any) -> bool:
    """Whether it is an array of numpy's."""
    return type(value).__name__ == "ndarray" and _top(value) == "numpy"


def is_data(value: Any) -> bool:
    """Whether it is an array, a frame or a series: code changes those in place."""
    return is_array(value) or (
        type(value).__name__ in ("DataFrame", "Series") and _top(value) == "pandas"
    )


def _top(value: Any) -> str:
    return str(type(value).__module__).partition(".")[0]
