"""The notebook's requirement lines, read as untrusted text (pure).

A notebook comes from anywhere. Its lines reach uv only as parsed PEP 508 requirements that are printed
again by us, so no line can smuggle in an option, a file of this machine or a build script.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit, urlunsplit

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import Specifier
from packaging.utils import canonicalize_name

from nixlib.errors import RequirementError

__all__ = [
    "Wanted",
    "bounded_above",
    "parse_requirement",
    "parse_requirements",
    "public_line",
    "public_url",
]

_LONGEST = 1000  # characters; the longest line seen in the wild, a marker list, has about 400
_URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://[^\s'\"`<>]+")
_UPPER = {"<", "<=", "==", "===", "~="}


@dataclass(frozen=True)
class Wanted:
    """One requirement of the notebook: where it stands, how it was written, what it means."""

    number: int
    text: str
    name: str
    requirement: Requirement

    @property
    def capped(self) -> bool:
        """Whether its author set an upper bound on the version."""
        return bounded_above(self.requirement)


def public_url(url: str) -> str:
    """`url` without what may be secret: user info, query and fragment.

    Examples:
        >>> public_url("https://me:pw@host.example/simple/?token=1#x")
        'https://host.example/simple/'
    """
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", ""))


def public_line(text: str) -> str:
    """`text` with every URL in it made public."""
    return _URL.sub(lambda found: public_url(found[0]), text)


def bounded_above(requirement: Requirement) -> bool:
    """Whether the line says up to which version; a URL does, `!=` and `>=` do not."""
    return requirement.url is not None or any(_caps(item) for item in requirement.specifier)


def _caps(specifier: Specifier) -> bool:
    return specifier.operator in _UPPER


def parse_requirements(lines: Sequence[str]) -> tuple[Wanted, ...]:
    """Every line of the notebook, read.

    Raises:
        RequirementError: The first line that is not a requirement we can honour.
    """
    return tuple(parse_requirement(line, number) for number, line in enumerate(lines, start=1))


def parse_requirement(line: str, number: int = 1) -> Wanted:
    """One line; `number` counts from 1 and is only for messages.

    Raises:
        RequirementError: It does not parse, or asks for what a lock cannot hold.
    """
    text = line.strip()
    _refuse_foreign(text, line, number)
    try:
        requirement = Requirement(text)
    except InvalidRequirement as error:
        reason = public_line(str(error).splitlines()[0])
        raise _refused(line, number, f"is not a PEP 508 requirement: {reason}") from error
    # `packaging` reads `pandas===` as the version that is no text at all, which no release is.
    if any(not clause.version for clause in requirement.specifier):
        raise _refused(line, number, "is not a PEP 508 requirement: a version is missing")
    if requirement.url is not None:
        _check_url(requirement.url, line, number)
    return Wanted(number, public_line(text), canonicalize_name(requirement.name), requirement)


def _refuse_foreign(text: str, line: str, number: int) -> None:
    if not text:
        raise _refused(line, number, "is empty")
    if len(text) > _LONGEST or not text.isprintable():
        raise _refused(line[:60], number, "is not one printable line of text")
    if text.startswith("-"):
        raise _refused(
            line,
            number,
            "is an option of pip, not a requirement",
            hint="indexes go into `nixenv.indexes`",
        )
    if re.match(r"(git|hg|svn|bzr)\+|git@", text):
        raise _refused(line, number, "is a version control address, which a lock cannot hold")
    if text.startswith((".", "/", "~", "\\")) or re.match(r"[a-zA-Z]:[\\/]", text):
        raise _refused(line, number, "is a path of one machine, which other machines cannot follow")
    if re.match(r"https?://", text):
        raise _refused(line, number, "is a URL without a name", hint=f"`NAME @ {public_url(text)}`")


def _check_url(url: str, line: str, number: int) -> None:
    scheme = urlsplit(url).scheme.lower()
    if "+" in scheme:
        raise _refused(line, number, "is a version control address, which a lock cannot hold")
    if scheme not in ("http", "https"):
        raise _refused(
            line, number, f"has a `{scheme or 'file'}:` URL, which other machines cannot follow"
        )
    filename = unquote(urlsplit(url).path).rsplit("/", 1)[-1]
    if not filename.endswith(".whl"):
        raise _refused(
            line,
            number,
            f"points to `{filename[:80]}`, not to a wheel: sdists are not supported yet",
        )


def _refused(line: str, number: int, reason: str, *, hint: str = "") -> RequirementError:
    # Unprintable characters could reorder or hide the rest of the message (U+202E does).
    visible = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in line.strip())
    shown = public_line(visible)[:100]
    return RequirementError(
        f"requirement {number} `{shown}` {reason}",
        hint=hint,
        requirement=shown,
        key=f"nixenv.requirements[{number - 1}]",
        found=shown,
    )
