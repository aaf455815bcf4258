"""Private dependencies in the kernel: what `from nixenv.private.old import pandas` leads to.

A notebook may have groups of packages beside its own, in other versions. A group's *holder* has its modules:
in this process (`domain`), loaded under names of their own, or in a process of the group (`nixenv.process`).
The `registry` knows the holders; `refusal` says what this process cannot hold.
"""

from __future__ import annotations

from .refusal import RefusedError
from .registry import admit, declare, get, names, withdraw

__all__ = ["RefusedError", "admit", "declare", "get", "names", "withdraw"]
