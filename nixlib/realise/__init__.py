"""Plan and store to environment: known paths asked for, the rest made, all of it composed.

Each store object appears whole or not at all, so a process that is killed leaves nothing half-made and
the next one goes on where it stopped. Where everything is in the store, nothing here touches a network,
a lock or a thread.
"""

from nixlib.realise.run import Realised, realise

__all__ = ["Realised", "realise"]
