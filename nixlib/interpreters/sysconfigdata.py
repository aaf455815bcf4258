"""Making `_sysconfigdata` say where the interpreter is, not where it was built (pure).

The module is a dictionary of `make` variables with absolute paths. In the tree it computes them from
`sys.base_prefix` when it is imported, so that the store object is the same wherever the interpreter came
from, and C extensions that a user compiles find the headers.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from typing import Any, Final

_HEADER: Final = '''"""Build variables of this Python; its own place is filled in on import."""
import sys

'''
_FOOTER: Final = """
for _name, _value in build_time_vars.items():
    if isinstance(_value, str) and "{mark}" in _value:
        build_time_vars[_name] = _value.replace("{mark}", sys.base_prefix)
"""
_MARK: Final = "@base_prefix@"
_SYSTEM: Final = ("/usr", "/usr/local")


def relocated(source: str, prefix: str) -> str:
    """The module's source with `prefix` left out.

    Args:
        source: The module as it was installed.
        prefix: Where the interpreter was configured to be, such as `/usr`.

    Returns:
        `source` itself where it is not made of one literal dictionary, as upstream's is.
    """
    variables = _variables(source)
    if variables is None:
        return source
    spelled = _spelled(prefix)
    lines = [
        f"    {name!r}: {spelled.sub(_MARK, value)!r},"
        if isinstance(value, str)
        else f"    {name!r}: {value!r},"
        for name, value in sorted(variables.items())
    ]
    body = "\n".join(["build_time_vars = {", *lines, "}", ""])
    return _HEADER + body + _FOOTER.replace("{mark}", _MARK)


def _spelled(prefix: str) -> re.Pattern[str]:
    """Where `prefix` is spelled as a folder of the interpreter's own."""
    own = rf"(?:(?<![\w/-])|(?<=-[IL])){re.escape(prefix.rstrip('/'))}"
    if prefix.rstrip("/") in _SYSTEM:
        # Most of what is there is not the interpreter's: `/usr/bin/install`, `-I/usr/include`.
        return re.compile(rf"^{own}$|{own}(?=/(?:lib|include)/python3)")
    return re.compile(rf"{own}(?![\w.-])")


def _variables(source: str) -> Mapping[str, Any] | None:
    try:
        module = ast.parse(source)
        for statement in module.body:
            if isinstance(statement, ast.Assign) and [
                ast.unparse(t) for t in statement.targets
            ] == ["build_time_vars"]:
                value = ast.literal_eval(statement.value)
                return value if isinstance(value, dict) else None
    except (SyntaxError, ValueError):
        return None
    return None
