"""`%%private` cells of a group with a process: the kernel's half."""

from __future__ import annotations

import ast
import builtins
import collections
import symtable
import sys
import weakref

from . import comparing
from .guards import interruptible
from .namesakes import all_common, all_own, common

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .remote import Remote

# What IPython makes of `!command`, and magics that run no code of the cell: those are the notebook's to do.
_HARMLESS = frozenset(
    ["cd", "conda", "env", "ls", "mamba", "nixenv", "pip", "pwd", "set_env", "uv"]
)
_remotes: weakref.WeakValueDictionary[str, Remote] = weakref.WeakValueDictionary()


class Cells:
    """The cells of one group, and what the notebook and the worker know of each other's names."""

    def __init__(self, remote: Remote) -> None:
        self._remote = weakref.ref(remote)
        self._namespace: dict[str, Any] = {}
        self._bound: dict[str, Any] = {}
        self._prints: dict[str, bytes | None] = {}

    def started(self) -> None:
        """A new worker knows nothing."""
        self._bound.clear()
        self._prints.clear()

    def rewritten(self, cell: ast.Module, source: str) -> ast.Module:
        """One expression that runs the cell in the worker, and whose value is the cell's last.

        Raises:
            UsageError: It has magics whose code would run in the notebook's process.
        """
        remote = self._remote()
        if remote is None:
            raise RuntimeError("the group was withdrawn")
        wrong = sorted(set(_magics(cell)))
        if wrong:
            from IPython.core.error import UsageError  # noqa: PLC0415 - it is there where there are cells

            raise UsageError(
                f"{', '.join(f'`{magic}`' for magic in wrong)} would run code in the notebook's process, and this"
                f" cell runs in that of group `{remote.name}`\n\nhint: leave it out, or use it in an ordinary cell on"
                " a function that is defined in this one"
            )
        _remotes[remote.name] = remote
        text = f"__import__({__name__!r}, None, None, ['run']).run({remote.name!r}, {source!r})"
        made = ast.parse(text)
        for node in ast.walk(made):
            if hasattr(node, "lineno"):
                node.lineno = node.end_lineno = 1  # type: ignore[attr-defined]
                node.col_offset = node.end_col_offset = 0  # type: ignore[attr-defined]
        return made

    def run(self, source: str, filename: str, namespace: dict[str, Any]) -> Any:
        """Run a cell in the worker, and bind here what it bound there."""
        __tracebackhide__ = True
        remote = self._remote()
        if remote is None:
            raise RuntimeError("the group was withdrawn")
        link = remote.link()
        self._namespace = namespace
        missing = object()
        stale = [
            name for name, value in self._bound.items() if namespace.get(name, missing) is not value
        ]
        named = [name for name in sorted(read_names(source)) if name in namespace]
        known = [name for name in named if self._is_known(name, namespace[name])]
        given = {name: namespace[name] for name in named if name not in known}
        with interruptible():
            bound, gone, value, failure = link.call(
                "cell", source, filename, all_common(given), known, stale
            )
        for name, one in all_own(bound).items():
            self._bind(namespace, name, one)
        for name in gone:
            namespace.pop(name, None)
        for name in stale + gone:
            if name not in bound:
                self._bound.pop(name, None)
        if failure is not None:
            raise failure
        return value

    def _is_known(self, name: str, value: Any) -> bool:
        """Whether the worker still has its own of a value that looks the same as when it gave it."""
        if self._bound.get(name, self) is not value:
            return False
        known = self._prints.get(name)
        return known is not None and known == self._fingerprint(value)

    def _fingerprint(self, value: Any) -> bytes | None:
        remote = self._remote()
        table = remote.references if remote is not None else None
        return comparing.fingerprint(value, table) if table is not None else None

    def _bind(self, namespace: dict[str, Any], name: str, value: Any) -> None:
        here: Any = namespace.get(name)
        if type(here) is type(value) and type(value) in comparing.CHANGEABLE:
            replace(here, value)  # Others of the notebook's may have it, too.
            value = here
        elif _is_same_array(here, value):
            here[...] = value
            value = here
        namespace[name] = value
        self._bound[name] = value
        self._prints[name] = self._fingerprint(value)

    def variable(self, _: Any, name: str) -> Any:
        """The notebook's value of a name that the worker's code does not have: whether there is, and it."""
        if name in self._namespace:
            return True, common(self._namespace[name])
        return False, None


def _is_same_array(here: Any, value: Any) -> bool:
    """Whether an array of the notebook can take the values that the cell has left in its copy."""
    return (
        comparing.is_array(value)
        and type(here) is type(value)
        and (here.shape, here.dtype) == (value.shape, value.dtype)
        and bool(here.flags.writeable)
    )


def replace(here: Any, value: Any) -> None:
    """Give a container the content of another one of its type."""
    if here is value:
        return
    if isinstance(here, (list, bytearray)):
        here[:] = value
    else:
        here.clear()
        here.extend(value) if isinstance(here, collections.deque) else here.update(value)


def run(name: str, source: str) -> Any:
    """What a rewritten cell calls."""
    __tracebackhide__ = True
    frame = sys._getframe(1)  # noqa: SLF001 - whose names these are
    remote = _remotes[name]
    return remote.run_cell(source, frame.f_code.co_filename, frame.f_globals)


def read_names(source: str) -> set[str]:
    """Names that a cell, or a function in it, may read from the notebook."""
    try:
        table = symtable.symtable(source, "<cell>", "exec")
    except SyntaxError:
        return set()
    found = {one.get_name() for one in table.get_symbols() if one.is_referenced()}
    rest = list(table.get_children())
    while rest:
        child = rest.pop()
        found |= {one.get_name() for one in child.get_symbols() if one.is_global()}
        rest += child.get_children()
    # A symbol table does not tell `del x` and `x += 1` from `x = 1`; both need what is there.
    for node in ast.walk(ast.parse(source)):
        inner = node.target if isinstance(node, ast.AugAssign) else node
        if isinstance(inner, ast.Name) and (inner is not node or isinstance(inner.ctx, ast.Del)):
            found.add(inner.id)
    return {name for name in found if name not in vars(builtins) and name != "get_ipython"}


def _magics(cell: ast.Module) -> list[str]:
    """The magics in a cell that would run code elsewhere than the cell does."""
    found = []
    for node in ast.walk(cell):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        if not _is_shell(node.func.value) or not node.args:
            continue
        name = str(node.args[0].value) if isinstance(node.args[0], ast.Constant) else ""
        if node.func.attr == "run_cell_magic":
            found.append(f"%%{name}")
        elif node.func.attr == "run_line_magic" and name not in _HARMLESS:
            found.append(f"%{name}")
    return found


def _is_shell(node: ast.expr) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "get_ipython"
    )


def show(said: Any) -> None:
    """Show what a worker has printed or displayed, in the cell that runs."""
    kind, first, second = said
    if kind == "stream":
        stream = sys.stderr if first == "stderr" else sys.stdout
        stream.write(second)
        stream.flush()
        return
    if "IPython" in sys.modules:
        from IPython.display import display  # noqa: PLC0415

        display(first, metadata=second, raw=True)  # type: ignore[no-untyped-call]
    else:
        sys.stdout.write(f"{first.get('text/plain', '')}\n")
