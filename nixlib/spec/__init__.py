"""What a notebook asks for (pure)."""

from nixlib.spec.private import PrivateGroup
from nixlib.spec.spec import PRIORITIES, SOURCES, SYSTEMS, VERSION, Spec, parse_spec

__all__ = ["PRIORITIES", "SOURCES", "SYSTEMS", "VERSION", "PrivateGroup", "Spec", "parse_spec"]
