"""The lock: exactly what a notebook gets, by name, URL, size and sha256 (pure)."""

from nixlib.lock.artifact import Artifact
from nixlib.lock.attributes import LockedAttribute
from nixlib.lock.conda import LockedConda, LockedCondaPackage
from nixlib.lock.interpreter import LockedInterpreter
from nixlib.lock.lock import LAYOUT, Lock, added_since, check_fresh, parse_lock
from nixlib.lock.packages import LockedPackage, LockedSource
from nixlib.lock.private import LockedGroup

__all__ = [
    "LAYOUT",
    "Artifact",
    "Lock",
    "LockedAttribute",
    "LockedConda",
    "LockedCondaPackage",
    "LockedGroup",
    "LockedInterpreter",
    "LockedPackage",
    "LockedSource",
    "added_since",
    "check_fresh",
    "parse_lock",
]
