"""What a start has to say: shown once, before the first cell that a person runs."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Sequence


def announce(shell: Any, remarks: Sequence[str]) -> None:
    """Write `remarks` to the error stream of the next cell that goes into the history.

    What a front end runs for itself (VS Code's start-up code) does not, and nobody would see it there.
    """

    def say(info: Any) -> None:
        if getattr(info, "store_history", True):
            shell.events.unregister("pre_run_cell", say)
            for remark in remarks:
                sys.stderr.write(f"nixenv: {remark}\n")

    shell.events.register("pre_run_cell", say)
