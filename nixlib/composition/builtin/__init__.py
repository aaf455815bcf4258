"""Files that become part of an environment: a `pip` of its own, stand-ins, the way to its bytecode.

They are source text here, never imported by the engine; what they are for is in each one's docstring.
Frozen with the layout number like everything that decides an environment's store path: a changed byte
here is another path for every environment, so it takes a new layout. Python 3.8, standard library only.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

__all__ = ["builtin_source"]


@cache
def builtin_source(name: str) -> bytes:
    """The bytes of a file of this folder, such as `pip.py`."""
    return (Path(__file__).parent / name).read_bytes()
