"""`%%private old`: one cell that runs with a group of private dependencies.

The first line is taken off before IPython looks at the cell; a call stands in its place, so that every
other line keeps its number. When IPython has parsed the cell, that call is taken out, the group's holder
changes the tree, and the cell runs as any does: with magics, `await`, display, tracebacks and the debugger.
Where nobody takes the call out (below `%%prun`, which runs a cell as text), it says so and fails: a cell with
that line never runs with the notebook's packages.
"""

from __future__ import annotations

import ast
import re
from collections import OrderedDict

from IPython.core.error import InputRejected, UsageError

from ..failure import KernelSideError
from . import registry
from .choosing import chosen
from .refusal import RefusedError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .holder import Holder

_FIRST = re.compile(r"%%private(?:[ \t]+(?P<what>[^\n]*?))?\s*\Z")
_OTHER = re.compile(r"%%(?P<name>\w+)")
_MARK = re.compile(r"get_ipython\(\)\.run_cell_magic\('private', .*, (?P<serial>\d+)\)\s*\Z")
# Cell magics of IPython that transform and parse what is below them as a cell of its own.
AROUND = ("capture", "time", "timeit")
# What has a sentence for people in it; any other exception is a fault of ours, with a traceback.
SAID = (KernelSideError, RefusedError, UsageError)
# Cells whose text is kept between IPython's two steps; one would do where no cell is within another.
KEPT = 16
_IMPORT = re.compile(r"(?:^|[\s;:])(?:import|from)[ \t]+(?P<top>[^\W\d]\w*)")


class CellRefusedError(InputRejected):
    """A cell was not run; shown as the reason, under the reason's own name, without a traceback.

    Args:
        reason: Why; its text is a sentence for people.
    """

    def __new__(cls, reason: Exception) -> CellRefusedError:  # noqa: PYI034 - of a class made here
        """An exception of a class that is named after the reason's."""
        named = type(type(reason).__name__, (CellRefusedError,), {"__module__": __name__})
        return InputRejected.__new__(named, reason)

    def __init__(self, reason: Exception) -> None:
        super().__init__(str(reason))
        self.reason = reason

    def _render_traceback_(self) -> list[str]:
        return f"{type(self).__name__}: {self}".splitlines()


class PrivateCells:
    """The `%%private` cells of one shell.

    Args:
        shell: IPython's.
    """

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._serial = 0
        self._sources: OrderedDict[int, str] = OrderedDict()

    def register(self) -> None:
        """Take part in what IPython does with a cell, after its text was transformed and after it was parsed."""
        self._shell.input_transformers_post.append(self.keep)
        self._shell.ast_transformers.append(self)

    def unregister(self) -> None:
        """Take part in nothing any more."""
        for steps in (self._shell.input_transformers_post, self._shell.ast_transformers):
            steps[:] = [step for step in steps if step not in (self.keep, self)]

    def marked(self, lines: list[str]) -> list[str]:
        """The lines of a cell, whose first one is a call where it was `%%private …`.

        Raises:
            UsageError: Another cell magic stands below it that cannot be around it.
        """
        found = _FIRST.match(lines[0])
        if found is None:
            return lines
        other = _OTHER.match(lines[1]) if len(lines) > 1 else None
        if other is not None:
            if other["name"] not in AROUND:
                raise UsageError(_not_together(other["name"]))
            return [lines[1], lines[0], *lines[2:]]
        self._serial += 1
        call = f"get_ipython().run_cell_magic('private', {found['what'] or ''!r}, {self._serial})"
        return [call + "\n", *lines[1:]]

    def keep(self, lines: list[str]) -> list[str]:
        """IPython's last input transformer: remember the text of a marked cell until it is parsed."""
        found = _MARK.match(lines[0]) if lines else None
        if found is not None:
            self._sources[int(found["serial"])] = "".join(["pass\n", *lines[1:]])
            while len(self._sources) > KEPT:
                self._sources.popitem(last=False)
        return lines

    def visit(self, node: ast.AST) -> ast.AST:
        """IPython's AST transformer: what runs in the place of a marked cell; every other is left alone.

        Raises:
            CellRefusedError: There is no such group, this process cannot hold it, or it could not be made; the
                cell does not run.
        """
        mark = _mark_of(node)
        if mark is None or not isinstance(node, ast.Module):
            return node
        what, serial = mark
        node.body[0] = ast.parse("pass").body[0]
        try:
            holder = chosen(self._shell, what, has_body=len(node.body) > 1)
            if holder is None:
                return node
            registry.admit(holder.name)
            _check_magics(node, holder)
            return ast.fix_missing_locations(holder.rewritten(node, self._source(serial)))
        except InputRejected:
            raise
        except KeyboardInterrupt as error:
            raise CellRefusedError(KeyboardInterrupt("the cell was not run")) from error  # type: ignore[arg-type]
        except SAID as error:
            raise CellRefusedError(error) from error
        except Exception as error:
            # IPython would run the cell without us after any other exception: with the notebook's packages.
            raise InputRejected(f"{type(error).__name__}: {error}") from error

    def _source(self, serial: int) -> str:
        """The cell's text as Python, line by line as it was written, with nothing to run in the first.

        Raises:
            UsageError: Something between IPython's steps has changed the first line.
        """
        if serial not in self._sources:
            raise UsageError(
                "the text of this cell is not known: another input transformer changed its first line"
            )
        return self._sources[serial]

    def run_by_name(self, line: str, cell: str | int) -> None:
        """The cell magic as a function, for what calls magics by name.

        Raises:
            UsageError: `cell` is the mark of a cell that IPython did not parse as one.
        """
        if isinstance(cell, int):
            raise UsageError(
                f"`%%private {line}` can only be a cell's first line, or stand beside %%time, %%timeit or %%capture"
            )
        self._shell.run_cell(f"%%private {line}\n{cell}").raise_error()


def _not_together(name: str) -> str:
    if name == "private":
        return "a cell has one group; the others' packages are at `from nixenv.private.<group> import …`"
    return (
        f"`%%private` and `%%{name}` cannot be one cell\n"
        f"  beside `%%private` can stand {', '.join(f'`%%{one}`' for one in AROUND)}"
    )


def _mark_of(node: ast.AST) -> tuple[str, int] | None:
    """What stood behind `%%private`, and the number of the cell; None for every other cell."""
    first = node.body[0] if isinstance(node, ast.Module) and node.body else None
    call = first.value if isinstance(first, ast.Expr) else None
    if not isinstance(call, ast.Call) or not _is_method(call, "run_cell_magic"):
        return None
    values = [arg.value if isinstance(arg, ast.Constant) else None for arg in call.args]
    if len(values) != 3 or values[0] != "private":  # noqa: PLR2004 - magic, line, cell
        return None
    _, what, serial = values
    return (what, serial) if isinstance(what, str) and isinstance(serial, int) else None


def _is_method(call: ast.Call, name: str) -> bool:
    return isinstance(call.func, ast.Attribute) and call.func.attr == name


def _check_magics(cell: ast.Module, holder: Holder) -> None:
    """Refuse `%time import pandas`: the text behind a magic is no import statement of this cell.

    Raises:
        UsageError: A magic's text imports what is in the group.
    """
    group = getattr(holder, "group", None)
    tops = {*getattr(group, "owned", ()), *getattr(group, "lent", ())}
    for call in ast.walk(cell):
        if isinstance(call, ast.Call) and _is_method(call, "run_line_magic"):
            name, text = (_text(arg) for arg in [*call.args, None, None][:2])
            for found in _IMPORT.finditer(text):
                if found["top"] in tops:
                    raise UsageError(
                        f"line {call.lineno}: `%{name}` would import the notebook's `{found['top']}`\n"
                        f"  write the import in a line of its own, and `%{name}` below it"
                    )


def _text(node: ast.expr | None) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
