"""The plan: which store objects a lock is on one machine, and which of their paths are known (pure)."""

from nixlib.plan.leaf import Leaf
from nixlib.plan.planning import Plan, plan
from nixlib.plan.private import PlannedGroup

__all__ = ["Leaf", "Plan", "PlannedGroup", "plan"]
