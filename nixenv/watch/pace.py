"""How often a watch does what nothing tells it to do."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds, all of them.

    Attributes:
        look: Between two looks at the whole tree, for what the system did not tell.
        poll: The same where it tells nothing.
        retry: Until a build that the network failed is tried again; twice as long each time.
        longest_retry: The most that this becomes.
    """

    look: float = 60.0
    poll: float = 2.0
    retry: float = 60.0
    longest_retry: float = 3600.0


DEFAULT_PACE = Pace()
