"""Why a requirement line is refused, in a message that is safe to show; and what of a URL is public (pure)."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

from nixlib.errors import RequirementError

_LONGEST = 1000  # characters; the longest line seen in the wild, a marker list, has about 400
_URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://[^\s'\"`<>]+")
SUBDIRECTORY = re.compile(r"subdirectory=(?!/)(?!(?:.*/)?\.\.(?:/|$))([A-Za-z0-9._/-]{1,200})")
"""The one fragment of a URL that is no secret: where in a source the project is (PEP 508, pip)."""
_CHANNEL_URL = re.compile(r"https?://[^\s\[\]'\"`<>#;,|]+?::", re.IGNORECASE)
_CHANNEL_TOKEN = re.compile(r"(?<=/t/)[^/\s]+")
"""Servers of channels take a secret as a part of the path: `https://host/t/SECRET/channel`."""


def public_url(url: str) -> str:
    """`url` without what may be secret: user info, query and fragment, but for `#subdirectory=`.

    Examples:
        >>> public_url("git+https://t0k3n@host.example/x.git@v1#subdirectory=lib")
        'git+https://host.example/x.git@v1#subdirectory=lib'
        >>> public_url("https://me:pw@host.example/simple/?token=1#x")
        'https://host.example/simple/'
        >>> public_url("https://me:pw@[host")
        'https://…'
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return f"{url.partition('://')[0]}://…"
    host = parts.netloc.rpartition("@")[2]
    place = parts.fragment if SUBDIRECTORY.fullmatch(parts.fragment) else ""
    return urlunsplit((parts.scheme, host, parts.path, "", place))


def public_line(text: str) -> str:
    """`text` with every URL in it made public."""
    return _URL.sub(lambda found: public_url(found[0]), text)


def _without_secrets(text: str) -> str:
    return _CHANNEL_TOKEN.sub("…", public_line(text))


@dataclass(frozen=True, slots=True)
class Place:
    """A line, and which one of its notebook it is; None where it is not in a notebook."""

    line: str
    number: int | None = None

    def checked_text(self) -> str:
        """The line without its margins, if it can be a requirement in any syntax.

        Raises:
            RequirementError: It is empty, too long, unprintable, an option, or an address of something else.
        """
        text = self.line.strip()
        if not text:
            raise self.refused("is empty")
        if len(text) > _LONGEST or not text.isprintable():
            cut = Place(self.line[:60], self.number)
            raise cut.refused("is not one printable line of text")
        if text.startswith("-") and not re.match(r"(-e|--editable)(\s|=)", text):
            is_index = re.match(r"-i\b|--(extra-)?index-url\b", text)
            raise self.refused(
                "is an option of pip, not a requirement",
                hint="indexes go into `nixenv.indexes`" if is_index else "",
            )
        if re.match(r"(git|hg|svn|bzr)\+|git@", text):
            raise self.refused(
                "is a repository without a name",
                hint="`NAME @ git+https://HOST/REPOSITORY@COMMIT`",
            )
        if text.startswith(("/", "~", "\\")) or re.match(r"[a-zA-Z]:[\\/]", text):
            raise self.refused(
                "is a path of one machine, which other machines cannot follow",
                hint="a folder relative to the notebook's begins with `./` or `../`",
            )
        if re.match(r"https?://", text) and not _CHANNEL_URL.match(text):
            raise self.refused("is a URL without a name", hint=f"`NAME @ {public_url(text)}`")
        return text

    def two_readings(self, *readings: str) -> RequirementError:
        """The error for a line that could mean several things; each of `readings` says how to write it."""
        return self.refused("could be read two ways", details=readings)

    def refused(
        self, reason: str, *, hint: str = "", details: tuple[str, ...] = ()
    ) -> RequirementError:
        """The error that says which line, and `reason` about it."""
        # Unprintable characters could reorder or hide the rest of the message (U+202E does).
        visible = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in self.line.strip())
        shown = _without_secrets(visible)[:100]
        is_numbered = self.number is not None
        return RequirementError(
            f"{f'requirement {self.number}' if is_numbered else 'the requirement'} `{shown}` {_without_secrets(reason)}",
            details=tuple(map(_without_secrets, details)),
            hint=hint,
            requirement=shown,
            key=f"nixenv.requirements[{(self.number or 1) - 1}]" if is_numbered else "requirements",
            found=shown,
        )


def typed(line: str) -> str:
    """A requirement as it is typed after a command: a marker may hold any text, which is no shell's to read.

    Examples:
        >>> print(typed("pandas"), typed("pandas>=2"), typed("a ; extra == '$(touch x)'"))
        pandas "pandas>=2" 'a ; extra == '"'"'$(touch x)'"'"''
    """
    if re.fullmatch(r"[\w.-]+", line):
        return line
    return shlex.quote(line) if re.search(r'["$`\\!]', line) else f'"{line}"'
