"""A process that ends with the one that started it, however that ends.

Runs before anything else in an engine that a bootstrap kernel starts. Jupyter may kill such a kernel with
SIGKILL, which leaves it no time to stop its engine.
"""

from __future__ import annotations

import os
import signal
import sys

_SET_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of <linux/prctl.h>


def end_with(parent: int) -> None:
    """Have the system send this process SIGTERM when its parent is gone; a no-op where it cannot.

    Args:
        parent: Process id of the parent, which may have ended already.
    """
    if sys.platform != "linux":
        return
    import ctypes  # noqa: PLC0415 - only where there is such a call

    ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, int(signal.SIGTERM))
    if os.getppid() != parent:
        sys.exit(1)
