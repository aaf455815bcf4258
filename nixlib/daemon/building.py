"""One build over one connection: the derivation goes in, the builder's lines come back, then the verdict.

The connection is the build's alone. Closing it is how a build is stopped: the daemon sees that its
client is gone and kills the builder with everything that runs under the same build user.
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING

from nixlib.cancel import Cancel
from nixlib.daemon import diagnosis
from nixlib.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from nixlib.daemon.client import Connection
    from nixlib.derivation import Derivation

SILENCE = 1800.0
"""Seconds without a line after which a builder is killed, unless its caller says otherwise."""

LIMIT = 4 * 3600.0
"""Seconds after which it is killed in any case."""

_TAIL = 200
# A build that has to wait for another's lock prints nothing, and its own time has not begun.
_PATIENCE = 120.0


def line_patience(limit: float) -> float:
    """Seconds after which the line to a daemon that builds counts as dead."""
    return limit + _PATIENCE


def build(
    connection: Connection,
    derivation: Derivation,
    store_dir: str,
    *,
    on_log: Callable[[str], None],
    cancel: Cancel | None,
    silence: float,
    limit: float,
) -> None:
    """Make the output of `derivation` valid; its sources must be.

    Raises:
        BuildError: The builder failed or took too long.
        StoreError: Nix did not get as far as running it.
        RealisationCancelledError: Somebody stopped it; close the connection to end the builder.
    """
    cancel = cancel or Cancel()
    lines: deque[str] = deque(maxlen=_TAIL)

    def take(text: str) -> None:
        for line in text.splitlines() or [""]:
            lines.append(line)
            on_log(line)
        cancel.check()  # one who never stops talking is stopped here

    # One job: with more than there are build users, Nix sleeps five seconds at a time. No remote
    # machines: what was proved about sandboxes was proved of this one.
    overrides = {"timeout": str(math.ceil(limit)), "builders": ""}
    quiet = math.ceil(silence)
    connection.set_options(jobs=1, overrides=overrides, silence=quiet, substitutes=False)
    name = f"{derivation.name}.drv"
    drv = connection.add_text(name, derivation.sources, derivation.text(store_dir)).path
    try:
        connection.build_output(drv, take, cancel.check)
    except StoreError as error:
        raise diagnosis.build_failed(
            derivation.name, drv.in_dir(store_dir), error, tuple(lines), silence=quiet
        ) from error
