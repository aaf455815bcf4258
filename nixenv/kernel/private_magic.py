"""`%%private old`, and the private groups of this kernel's environment, as far as every kernel needs them.

A kernel whose notebook has no groups pays for one look at a file when it starts, and for one comparison
with each cell; what a `%%private` cell and a group need is imported when there is one.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .groups.cells import PrivateCells

FIRST = "%%private"

# The `?` help of the magic: usage first, as IPython's own magics do.
HELP = """\
Usage: %%private GROUP
       %%private REQUIREMENT ... [--process] [--singleton NAME] [--python X.Y]

  %%private old
  import pandas as pd            # the group's pandas, by this cell's imports only

  %%private pandas==2.0.3        # a group for this line, locked into the notebook like any other
  import pandas as pd

The import statements of the cell, also those in its functions, find the packages of the group; every other
cell goes on with the notebook's. What the cell binds are ordinary variables. A group that is a process of
its own (`--process`) runs the whole cell there, and what the cell binds comes back.

Groups are declared with %nixenv add --private GROUP REQUIREMENT ..., and the packages of one are there for
any code: from nixenv.private.old import pandas. %%time, %%timeit and %%capture may stand above or below.
"""

_registered: list[FirstLines] = []


class FirstLines:
    """IPython's input transformer of one shell: takes `%%private` off a cell before IPython looks at it."""

    def __init__(self, shell: Any) -> None:
        self.shell = shell
        self._cells: PrivateCells | None = None

    def mark(self, lines: list[str]) -> list[str]:
        """The lines of a cell; with a first line that is Python where it is `%%private`."""
        if not lines or not lines[0].startswith(FIRST):
            return lines
        return self.cells.marked(lines)

    # IPython must not call it to learn whether a cell is complete: a cell magic ends with an empty line.
    mark.has_side_effects = True  # type: ignore[attr-defined]

    @property
    def cells(self) -> PrivateCells:
        """What runs such cells, from the first one on."""
        if self._cells is None:
            from .groups.cells import PrivateCells  # noqa: PLC0415 - few notebooks have one

            self._cells = PrivateCells(self.shell)
            self._cells.register()
        return self._cells

    def leave(self) -> None:
        """Take everything away that belongs to such cells."""
        transformers = self.shell.input_transformers_cleanup
        transformers[:] = [one for one in transformers if one != self.mark]
        if self._cells is not None:
            self._cells.unregister()


def register(shell: Any) -> bool:
    """Make `%%private` known to `shell`; a second time changes nothing, and says so with False."""
    if any(one.shell is shell for one in _registered):
        return False
    first_lines = FirstLines(shell)

    def private(line: str, cell: str | int) -> None:
        first_lines.cells.run_by_name(line, cell)

    def complete_group(_shell: Any, event: Any) -> list[str]:
        from .completion import group_completer  # noqa: PLC0415

        return group_completer(shell, event)

    private.__doc__ = HELP
    shell.register_magic_function(private, magic_kind="cell", magic_name="private")
    shell.set_hook("complete_command", complete_group, str_key=FIRST)
    shell.input_transformers_cleanup.append(first_lines.mark)
    _registered.append(first_lines)
    return True


def unregister(shell: Any) -> None:
    """Take `%%private` away from `shell`; groups stay importable."""
    shell.magics_manager.magics["cell"].pop("private", None)
    for one in [one for one in _registered if one.shell is shell]:
        one.leave()
        _registered.remove(one)


def groups_file(prefix: str) -> str:
    """Where an environment says which groups it has."""
    return os.path.join(prefix, "share", "nixenv", "private", "groups.json")


def declare_groups() -> list[str]:
    """Make the groups of this kernel's environment importable, and say what hinders any of them.

    Costs one look at a file where there are none.
    """
    if not os.path.exists(groups_file(sys.prefix)):
        return []
    from .groups.startup import declare_groups as declare  # noqa: PLC0415

    return declare(sys.prefix)


def obstacles(prefix: str) -> list[str]:
    """Why this kernel cannot move into the environment at `prefix` for its groups' sake; each a clause."""
    if not _is_concerned(prefix):
        return []
    from .groups.startup import obstacles as standing  # noqa: PLC0415

    return standing(prefix)


def follow(prefix: str) -> list[str]:
    """Have the groups of the environment at `prefix` and no others, and say what hinders any of them."""
    if not _is_concerned(prefix):
        return []
    from .groups.startup import follow as move  # noqa: PLC0415

    return move(prefix)


def in_use() -> list[str]:
    """Which groups this kernel has something of; each a line for people."""
    if not _has_registry():
        return []
    from .groups.startup import in_use as used  # noqa: PLC0415

    return used()


def _is_concerned(prefix: str) -> bool:
    return _has_registry() or os.path.exists(groups_file(prefix))


def _has_registry() -> bool:
    return f"{__package__}.groups.registry" in sys.modules
