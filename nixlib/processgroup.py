"""Programs of others that we run, each with everything that it starts."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress

__all__ = ["end_group"]


def end_group(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and what it started, unless it has ended, and reap it.

    What outlives a process that ended by itself stays: git leaves the user's credential cache running so.

    Args:
        process: One that was started with `start_new_session`, so that its group is its own.
    """
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()
