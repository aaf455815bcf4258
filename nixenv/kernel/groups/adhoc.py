"""A group that is named where it is used, by its requirements: `%%private pandas==2.0.3` (pure).

Its name follows from the words, so that the same line leads to the same group in every cell and every run.
"""

from __future__ import annotations

import hashlib
import re
import shlex
from dataclasses import dataclass

from .group import is_name

LONGEST = 60
HASH = 8

# Options that take a value, and those that take none; as `nixenv add --private` has them.
WITH_VALUE = ("--singleton", "--python")
FLAGS = ("--process",)

_OPERATORS = (
    ("===", "_"), ("==", "_"), ("~=", "_like_"), ("!=", "_not_"), ("<=", "_le_"), (">=", "_ge_"),
    ("<", "_lt_"), (">", "_gt_"),
)  # fmt: skip
_PLAIN = re.compile(r"[a-z0-9._-]+((===?|~=|!=|<=?|>=?)[a-z0-9._]+(,(?!$)|$))*")
_PACKAGE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")


@dataclass(frozen=True)
class AdHoc:
    """What stands behind `%%private` where that is no group's name.

    Attributes:
        requirements: Its lines, as they were written.
        options: Options of `nixenv add --private`, with their values.
    """

    requirements: tuple[str, ...]
    options: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The group's name, a module's; with a hash of the words where they cannot be told from others'."""
        words = "_".join(sorted(map(_spelled, self.requirements)))
        text = re.sub(r"[^a-z0-9]+", "_", "_".join([words, *self.options]).lower()).strip("_")
        name = text if text[:1].isalpha() else f"p_{text}"
        is_plain = all(map(_is_plain, self.requirements))
        return name if is_plain and is_name(name) else self._hashed(name)

    @property
    def other_name(self) -> str:
        """One for where `name` is another group's."""
        return self._hashed(self.name)

    @property
    def packages(self) -> frozenset[str]:
        """Normalised names of the packages in the lines that are plain."""
        found = [
            match[0] for match in map(_PACKAGE.match, filter(_is_plain, self.requirements)) if match
        ]
        return frozenset(re.sub(r"[-_.]+", "-", name).lower() for name in found)

    @property
    def arguments(self) -> tuple[str, ...]:
        """What the engine's `add` is given after `--private <name>`."""
        return (*self.options, *self.requirements)

    def _hashed(self, name: str) -> str:
        words = "\n".join([*sorted(map(_tight, self.requirements)), *self.options])
        digest = hashlib.sha256(words.encode("utf-8", "surrogatepass")).hexdigest()[:HASH]
        kept = re.sub(r"[^a-z0-9_]", "_", name)[: LONGEST - HASH - 1].strip("_")
        found = f"{kept}_{digest}"
        return found if is_name(found) else f"p_{found}"[:LONGEST]


def parse(text: str) -> AdHoc | None:
    """What `%%private <text>` names by its requirements; None for a text that can only be a group's name.

    Words are split as a shell does, so a requirement with spaces needs quotes.

    Raises:
        ValueError: A quote is left open, an option is unknown or lacks its value, or nothing is asked for.
    """
    words = shlex.split(text)
    if len(words) == 1 and is_name(words[0]):
        return None
    requirements, options, each = [], [], iter(words)
    for word in each:
        name, has_value, value = word.partition("=")
        if name in WITH_VALUE:
            value = value if has_value else next(each, "")
            if not value or value.startswith("-"):
                raise ValueError(f"`{name}` needs a value")
            options += [name, value]
        elif word in FLAGS:
            options.append(word)
        elif word.startswith("-"):
            known = ", ".join(f"`{one}`" for one in (*FLAGS, *WITH_VALUE))
            raise ValueError(f"`%%private` has no option `{word}`; it has {known}")
        else:
            requirements.append(word)
    if not requirements:
        raise ValueError(f"`%%private {text}` names no requirement")
    return AdHoc(tuple(requirements), tuple(options))


def _tight(line: str) -> str:
    return re.sub(r"\s*(===?|~=|!=|<=?|>=?|,)\s*", r"\1", line.strip())


def _is_plain(line: str) -> bool:
    return _PLAIN.fullmatch(_tight(line).lower()) is not None


def _spelled(line: str) -> str:
    text = _tight(line).lower()
    for operator, word in _OPERATORS:
        text = text.replace(operator, word)
    return text
