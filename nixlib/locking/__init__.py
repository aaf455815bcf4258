"""Spec to lock: each ecosystem is asked in its turn, and told what those before it have chosen.

conda comes first, because it brings whole trees of libraries and mostly Python itself; nixpkgs next; the
wheels last, on top. What an earlier one brings of Python packages is named to the resolver of the indexes, so
that no package comes twice and every requirement counts with what is there.
"""

from nixlib.locking.asked import Asked
from nixlib.locking.run import make_lock
from nixlib.locking.substitution import standing

__all__ = ["Asked", "make_lock", "standing"]
