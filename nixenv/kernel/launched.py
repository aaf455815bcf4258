"""What the launcher started this kernel with; a module of its own because every start imports it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Mapping

_variables: list[Mapping[str, str]] = []


def remember(variables: Mapping[str, str]) -> None:
    """Keep the `NIXENV_*` variables: from now on this process's environment is ours to extend."""
    _variables[:] = [variables]


def variables() -> Mapping[str, str] | None:
    """The variables; None in a kernel that our launcher did not start."""
    return _variables[0] if _variables else None
