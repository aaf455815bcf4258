"""Run whole cells in a worker: their names, their values, and what of it the notebook gets."""

from __future__ import annotations

import ast
import builtins
import inspect
import linecache
import sys
import types

from .comparing import CHANGEABLE, is_data
from .namesakes import all_common, all_own, own

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

_HIDDEN = ("__builtins__", "__name__", "__doc__", "__annotations__", "__conditional_annotations__")


class Namespace(dict):  # type: ignore[type-arg]
    """The names of a group's cells; a name that they do not have is the notebook's.

    Args:
        ask: Gives the notebook's value of a name; KeyError if it has none.
    """

    def __init__(self, ask: Callable[[str], Any]) -> None:
        super().__init__(__name__="__main__", __builtins__=builtins, __doc__=None)
        self.ask = ask
        self.lent: dict[str, Any] = {}

    def __missing__(self, name: str) -> Any:
        """The notebook's value; kept while the cell runs."""
        if name in vars(builtins) or (name.startswith("__") and name.endswith("__")):
            raise KeyError(name)
        value = own(self.ask(name))
        self.lent[name] = value
        self[name] = value
        return value

    def lend(self, given: dict[str, Any], stale: list[str]) -> None:
        """Before a cell: take the notebook's values, and forget what it has bound anew."""
        for name, value in self.lent.items():
            if self.get(name, self) is value:
                del self[name]
        for name in stale:
            self.pop(name, None)
        self.lent = dict(given)
        self.update(given)


class Main(types.ModuleType):
    """The module `__main__`, for what looks up the classes of cells by name."""

    def __init__(self, namespace: Namespace) -> None:
        super().__init__("__main__")
        vars(self)["_nixenv_names"] = namespace

    def __getattr__(self, name: str) -> Any:
        """The cells' name."""
        try:
            return dict.__getitem__(vars(self)["_nixenv_names"], name)
        except KeyError:
            raise AttributeError(f"module '__main__' has no attribute {name!r}") from None


class Cells:
    """The cells of one group.

    Args:
        ask: Gives the notebook's value of a name; KeyError if it has none.
        fingerprint: Equal for values that look equal from outside; None for what cannot be compared.
        after: Called when a cell is done, however: shows figures.
    """

    def __init__(
        self,
        ask: Callable[[str], Any],
        fingerprint: Callable[[Any], Any],
        after: Callable[[], None],
    ) -> None:
        self.namespace = Namespace(ask)
        self._fingerprint = fingerprint
        self._after = after
        sys.modules["__main__"] = Main(self.namespace)

    def run(
        self,
        source: str,
        filename: str,
        given: dict[str, Any],
        known: list[str],
        stale: list[str],
    ) -> tuple[dict[str, Any], list[str], Any, BaseException | None]:
        """Run a cell: what it has bound, what it has deleted, its last value, and what it raised.

        Args:
            source: Its text.
            filename: What it is called in tracebacks.
            given: The notebook's values of names that it has.
            known: Names that it has, and that mean the same here and in the notebook.
            stale: Names that mean something else in the notebook by now.
        """
        given = all_own(given)
        self.namespace.lend(given, stale)
        shared = {*given, *known}
        before = dict(self.namespace)
        prints = {
            name: self._fingerprint(value)
            for name, value in self.namespace.items()
            if name in shared and (type(value) in CHANGEABLE or is_data(value))
        }
        value, failure = None, None
        touched: set[str] = set()
        try:
            tree = _parsed(source, filename)
            touched = _touched(tree)
            value = self._executed(tree, filename)
        except BaseException as error:  # noqa: BLE001 - the notebook's cell raises it
            failure = error
        try:
            self._after()
        except Exception as error:  # noqa: BLE001 - a figure that cannot be drawn
            failure = failure or error
        before.update(self.namespace.lent)
        bound = {
            name: one
            for name, one in self.namespace.items()
            if name not in _HIDDEN
            and (
                before.get(name, self) is not one
                or (name in touched and name in shared)
                or (name in prints and self._is_changed(prints[name], one))
            )
        }
        gone = [name for name in before if name not in self.namespace and name not in _HIDDEN]
        return all_common(bound), gone, value, failure

    def _is_changed(self, before: Any, value: Any) -> bool:
        return before is None or before != self._fingerprint(value)

    def _executed(self, tree: ast.Module, filename: str) -> Any:
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        if tree.body:
            self._do(compile(tree, filename, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT))
        if not isinstance(last, ast.Expr):
            return None
        expression = ast.Expression(last.value)
        return self._do(compile(expression, filename, "eval", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT))

    def _do(self, code: types.CodeType) -> Any:
        if code.co_flags & inspect.CO_COROUTINE:
            from . import loop  # noqa: PLC0415

            return loop.wait_for(eval(code, self.namespace))  # noqa: S307 - the user's cell
        return eval(code, self.namespace)  # noqa: S307 - the user's cell


def _parsed(source: str, filename: str) -> ast.Module:
    lines = source.splitlines(keepends=True)
    linecache.cache[filename] = (len(source), None, lines, filename)
    tree = ast.parse(source, filename)
    first = tree.body[0] if tree.body else None
    if isinstance(first, ast.Expr) and first.lineno == 1 and _is_text(first.value):
        del tree.body[0]  # What stands in the place of `%%private`.
    return tree


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _touched(tree: ast.Module) -> set[str]:
    """Names whose values a statement of the cell changes in place: `frame["x"] = 1`."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.Attribute, ast.Subscript)) and not isinstance(node.ctx, ast.Load):
            inner: ast.expr = node
            while isinstance(inner, (ast.Attribute, ast.Subscript)):
                inner = inner.value
            if isinstance(inner, ast.Name):
                found.add(inner.id)
    return found
