"""The import statements of a `%%private` cell, led to its group where they stand.

Nothing else of the cell changes: it runs as any does, with display, `await`, tracebacks and the debugger.
Statements in functions of the cell lead to the group whenever those run.
"""

from __future__ import annotations

import ast

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .domain import Domain


def with_imports_of(domain: Domain, cell: ast.Module) -> ast.Module:
    """The same tree, changed in place."""
    _Imports(domain).visit(cell)
    return ast.fix_missing_locations(cell)


class _Imports(ast.NodeTransformer):
    def __init__(self, domain: Domain) -> None:
        self._package = domain.package
        self._tops = domain.group.owned | set(domain.group.lent)

    def _is_groups(self, name: str) -> bool:
        return name.partition(".")[0] in self._tops

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST:
        """`from pandas import X` from the group's pandas."""
        if not node.level and node.module and self._is_groups(node.module):
            node.module = f"{self._package}.{node.module}"
        return node

    def visit_Import(self, node: ast.Import) -> list[ast.stmt]:
        """`import pandas` binds the same name, to the group's."""
        return [
            ast.copy_location(statement, node)
            for alias in node.names
            for statement in self._statements(alias)
        ]

    def _statements(self, alias: ast.alias) -> list[ast.stmt]:
        if not self._is_groups(alias.name):
            return [ast.Import([alias])]
        full = f"{self._package}.{alias.name}"
        if alias.asname:
            return [ast.Import([ast.alias(full, alias.asname)])]
        top = alias.name.partition(".")[0]
        bind = ast.ImportFrom(self._package, [ast.alias(top, None)], 0)
        if "." not in alias.name:
            return [bind]
        # `import a.b` binds only `a`; the module below it is imported into that name first.
        return [ast.Import([ast.alias(full, top)]), bind]
