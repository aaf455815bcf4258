"""The scripts that conda runs while it links a package, read instead of run (pure).

A prefix here is a function of its packages, so nobody else's code runs while it is made. Most such scripts
only say something or fill a cache that its program also makes by itself; those are handled by
leaving them out. What any other would have done is told, in its own first words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["left_undone", "link_script_of"]

_SCRIPT = re.compile(r"bin/\.(?P<package>.+)-(?P<when>pre-link|post-link)\.sh")

# Words of a shell script that change nothing in a prefix.
_SAYS = ("echo", "printf", "cat", "exit", "true", ":", "set", "return", "export", "cd")
# Each fills a cache, which its library fills itself, for its user, when it finds none.
_CACHES = (
    "fc-cache",
    "gtk-update-icon-cache",
    "gtk4-update-icon-cache",
    "update-desktop-database",
    "update-mime-database",
)
_STRUCTURE = re.compile(
    r"(if|then|else|elif|fi|for|while|do|done|case|esac|\}|\{|\(|\)|;;)(\s|;|$)"
)
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=\S*$")
_HERE = re.compile(r"<<-?\s*(['\"]?)(?P<end>\w+)\1")
_MESSAGES = ".messages.txt"
_SHOWN = 120


def link_script_of(path: str) -> str:
    """The package whose script conda would run at the file `path` of a prefix; empty for any other file.

    Scripts that run when a package is removed are of no interest: none is ever removed from a prefix.
    """
    found = _SCRIPT.fullmatch(path)
    return found["package"] if found else ""


def left_undone(script: str) -> str:
    r"""The first line of a script that does more than talk or fill a cache; empty if none does.

    Examples:
        >>> left_undone('#!/bin/bash\necho "Welcome" >> "$PREFIX/.messages.txt"\n')
        ''
        >>> left_undone('"${PREFIX}/bin/dot" -c\n')
        '"${PREFIX}/bin/dot" -c'
    """
    for line in _commands(script):
        word = line.split()[0].strip("\"'").rpartition("/")[2]
        is_redirected = ">" in line and _MESSAGES not in line and "/dev/null" not in line
        if is_redirected and ">&2" not in line.replace(" ", ""):
            return line[:_SHOWN]
        if word in _SAYS or word in _CACHES or _ASSIGNMENT.match(line):
            continue
        return line[:_SHOWN]
    return ""


def _commands(script: str) -> Iterator[str]:
    """Lines that are commands: no comments, no structure, no text of here-documents."""
    end = ""
    for raw in script.replace("\\\n", " ").splitlines():
        line = raw.strip()
        if end:
            end = "" if line == end else end
            continue
        here = _HERE.search(line)
        if here:
            end = here["end"]
        if line and not line.startswith("#") and not _STRUCTURE.match(line):
            yield line
