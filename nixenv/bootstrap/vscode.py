r"""The notebook's path out of the code that VS Code runs when a kernel has started (pure).

Its extension sets `__vsc_ipynb_file__ = "/home/ana/a.ipynb"` on a line of its own. It doubles backslashes
and escapes nothing else, so a path with quotes or newlines gives code that Python cannot even parse: the
text is searched, and never evaluated.
"""

from __future__ import annotations

import re

_SET = re.compile(r'^__vsc_ipynb_file__ = "', re.MULTILINE)
_END = re.compile(r'"(?=\r?\n|\Z)')


def told_paths(code: str) -> tuple[str, ...]:
    r"""What `code` may mean as the notebook's path, most likely first; empty when it says nothing.

    More than one answer where the path has a quote before a newline: whoever asks looks which exists.

    Examples:
        >>> told_paths('import os\n__vsc_ipynb_file__ = "/home/ana/a b.ipynb"\n%config x = 1')
        ('/home/ana/a b.ipynb',)
        >>> told_paths("print('hello')")
        ()
    """
    if (found := _SET.search(code)) is None:
        return ()
    start = found.end()
    ends = (end.start() for end in _END.finditer(code, start))
    return tuple(code[start:end].replace("\\\\", "\\") for end in ends)
