"""A line cut into its parts, and what of its form only one syntax has (pure).

Nothing is judged here: the parts are what stands where, right or wrong.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_CHANNEL = re.compile(r"(?P<channel>[^\s\[\]'\"<>=!~,|#;]*?)::(?P<rest>.*)")
_NAME = re.compile(r"[A-Za-z0-9_.-]*")
_NAMED_URL = re.compile(r"[A-Za-z0-9._-]+\s*(\[[^\]]*\])?\s*@")
_BRACKETS = re.compile(r"\s*\[([^\[\]]*)\]\s*")
_LAST_BRACKETS = re.compile(r"(.*?)\s*\[([^\[\]]*=[^\[\]]*)\]\s*")
_OPERATOR = re.compile(r"(===|==|~=|!=|<=|>=|<|>|=)\s+")
_WITH_BUILD = re.compile(r"(?P<exact>={1,2})(?P<version>[^\s=<>!~,|]+)=(?P<build>[^\s=]\S*|$)")


@dataclass(frozen=True, slots=True)
class Parts:
    """What stands where in a line.

    Attributes:
        channel: Before `::`.
        name: The first word.
        brackets: What is in `[…]`, each without its brackets.
        version: The clauses, without white space.
        build: A word behind the version, or behind its second `=`.
        more: Words behind that.
        marker: Behind `;`.
        attribute: Behind `#`; `name` is then all before it.
    """

    name: str
    channel: str | None = None
    brackets: tuple[str, ...] = ()
    version: str = ""
    build: str | None = None
    more: tuple[str, ...] = ()
    marker: str | None = None
    attribute: str | None = None

    @property
    def extras(self) -> str | None:
        """What is in brackets as PEP 508 has them: names without values."""
        return next(
            (inside for inside in self.brackets if inside.strip() and "=" not in inside), None
        )

    @property
    def keys(self) -> str | None:
        """What is in brackets as conda has them: `key=value`."""
        return ",".join(inside for inside in self.brackets if "=" in inside) or None

    @property
    def is_conda(self) -> bool:
        """Whether something is there that only a conda match spec has."""
        if self.channel is not None or self.keys is not None or self.name.startswith("_"):
            return True
        # PEP 508 takes any text behind `===`, also one with `|` or `=`, and conda knows no `===`.
        if "===" in self.version:
            return False
        return (
            self.build is not None
            or any(map(_is_condas, re.split(r"[,|]", self.version)))
            or ("|" in self.version)
        )


def _is_condas(clause: str) -> bool:
    """Whether a clause is a version without an operator, or has a single `=`."""
    clause = clause.lstrip("(")
    is_fuzzy = clause.startswith("=") and not clause.startswith("==")
    return is_fuzzy or clause[:1].isdigit() or clause.startswith("*")


def split_line(text: str) -> Parts:
    """`text` in its parts.

    Examples:
        >>> split_line("numpy=1.26.*=*mkl*")
        Parts(name='numpy', channel=None, brackets=(), version='1.26.*', build='*mkl*', more=(), \
marker=None, attribute=None)
    """
    if _NAMED_URL.match(text):
        return Parts(_first_word(text))
    head, has_marker, marker = text.partition(";")
    if "#" in head:
        flake, _, attribute = text.partition("#")
        return Parts(flake, attribute=attribute)
    found = _CHANNEL.fullmatch(head)
    channel, rest = (found["channel"], found["rest"].lstrip()) if found else (None, head)
    name = _first_word(rest)
    brackets, rest = _split_brackets(rest[len(name) :])
    version, build, more = _split_version(rest)
    return Parts(
        name=name,
        channel=channel,
        brackets=brackets,
        version=version,
        build=build,
        more=more,
        marker=marker.strip() if has_marker else None,
    )


def _first_word(text: str) -> str:
    found = _NAME.match(text)
    return found[0] if found else ""


def _split_brackets(text: str) -> tuple[tuple[str, ...], str]:
    """The brackets that begin `text`, those with `=` that end it, and what is left."""
    brackets = []
    if first := _BRACKETS.match(text):
        brackets.append(first[1])
        text = text[first.end() :]
    if last := _LAST_BRACKETS.fullmatch(text):
        brackets.append(last[2])
        text = last[1]
    return tuple(brackets), text


def _split_version(text: str) -> tuple[str, str | None, tuple[str, ...]]:
    text = re.sub(r"\s*([,|])\s*", r"\1", _without_parentheses(text.strip()))
    version, *words = _OPERATOR.sub(r"\1", text).split() or [""]
    if (pair := _WITH_BUILD.fullmatch(version)) and not words:
        exact = "==" if pair["exact"] == "==" else ""
        return exact + pair["version"], pair["build"], ()
    # A second clause without its comma, or an option of pip, is no build string.
    if not words or words[0].startswith(("<", ">", "=", "!", "~", "-")):
        return version, None, tuple(words)
    if not re.match(r"\(*([<>=!~]+[^<>=!~]|\d|\*)", version):
        return version, None, tuple(words)
    return version, words[0], tuple(words[1:])


def _without_parentheses(text: str) -> str:
    """`text` without the pair of parentheses that encloses all of it."""
    if not (text.startswith("(") and text.endswith(")")):
        return text
    inside = text[1:-1]
    return text if "(" in inside or ")" in inside else inside.strip()
