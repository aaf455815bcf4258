"""Conda match specs (pure).

`rattler` has the grammar and the meaning of versions; what it is given has passed a stricter one of ours
first. It takes 0.07 s to load, which only a line that is a match spec pays.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from nixlib.requirements.form import Parts, split_line
from nixlib.requirements.refusal import Place

_NAME = re.compile(r"[a-z0-9_][a-z0-9_.-]{0,127}")
_VERSION = re.compile(r"[A-Za-z0-9_.+!*<>=~,|()-]{1,200}")
_BUILD = re.compile(r"[A-Za-z0-9_.+*][A-Za-z0-9_.+*-]{0,127}")
_BUILD_NUMBER = re.compile(r"(==|!=|<=|>=|<|>)?\d{1,18}")
_SUBDIR = re.compile(r"noarch|(linux|osx|win|freebsd|emscripten|wasi|zos)-[a-z0-9_]{1,20}")
_WORD = r"[A-Za-z0-9_][A-Za-z0-9_.+-]*"
_CHANNEL = re.compile(
    rf"(?=.{{1,256}}$)((https?://[A-Za-z0-9][A-Za-z0-9.-]*(:\d{{1,5}})?|file://)/)?{_WORD}(/{_WORD})*"
)
_UNSAFE_CHANNEL = re.compile(r"(^|/)(t/|\.\.?(/|$))|[@?]")
_KEY = re.compile(r"""\s*([a-z_0-9]+)\s*=\s*("[^"]*"|'[^']*'|[^\s,"'\[\]]*)\s*(?:,|$)""")
_EXACT_PREFIX = re.compile(r"(?<![^,|(])==(?=[^,|()]*\*)")
"""What `==1.2.*` has more than `1.2.*`.

Both are the same in PEP 440 and, without a build string, in conda; with one, conda would take the `.*` off.
"""
_KEYS = ("version", "build", "build_number", "channel", "subdir")


@dataclass(frozen=True, slots=True)
class CondaRequirement:
    """A conda match spec.

    Attributes:
        name: In lower case.
        version: As `rattler` prints it: `1.26.*` for `=1.26`, `==1.26` for `1.26`; None for any.
        build: A build string, in which `*` stands for anything.
        channel: A name, or a URL; None for any of the notebook's.
        subdir: Such as `linux-64`; None for the machine's own and `noarch`.
        build_number: Such as `==2` or `>=1`.
    """

    name: str
    version: str | None = None
    build: str | None = None
    channel: str | None = None
    subdir: str | None = None
    build_number: str | None = None

    kind: ClassVar = "conda"
    extras: ClassVar[tuple[str, ...]] = ()
    marker: ClassVar[None] = None

    def __str__(self) -> str:
        keys = {"build_number": self.build_number}
        head = self.name
        if self.channel:
            head = f"{self.channel}{f'/{self.subdir}' if self.subdir else ''}::{self.name}"
        else:
            keys["subdir"] = self.subdir
        version = self.version or ""
        if re.fullmatch(r"==\d[^,|]*", version) and not self.build:
            version = version[2:]  # `==2.24` would be PEP 508, and `2.24` means the same here
        text = " ".join(filter(None, (head, version, self.build)))
        # Without a version, a build string would be read as one; `>=2` alone would be PEP 508.
        is_plain = version or not self.build
        if not (is_plain and (any(keys.values()) or split_line(text).is_conda)):
            keys = {"version": self.version, "build": self.build, **keys}
            text = head
        inside = ",".join(f'{key}="{value}"' for key, value in keys.items() if value)
        return f"{text}[{inside}]" if inside else text

    def to_json(self) -> dict[str, Any]:
        """What only this kind has."""
        return {"subdir": self.subdir, "build_number": self.build_number}


def parse_conda(parts: Parts, place: Place) -> CondaRequirement:
    """The match spec that `parts` are, whatever extras or marker they have.

    Raises:
        RequirementError: It is none, says one thing twice, or could be read two ways.
    """
    said = _said(parts, place)
    name = parts.name.lower()
    channel, subdir = _split_channel(said.get("channel"))
    subdir = _once("subdir", subdir, said.get("subdir"), place)
    if channel and _UNSAFE_CHANNEL.search(channel):
        raise place.refused(
            "has a channel with a secret or `..` in it: credentials stay in your own configuration"
        )
    for value, grammar, what in (
        (name, _NAME, "the name of a conda package"),
        (channel, _CHANNEL, "the name or URL of a channel"),
        (subdir, _SUBDIR, "a platform of conda such as `linux-64`"),
        (said.get("version"), _VERSION, "a version"),
        (said.get("build"), _BUILD, "a build string such as `mkl*` or `py311_0`"),
        (said.get("build_number"), _BUILD_NUMBER, "a build number such as `2` or `>=1`"),
    ):
        if value is not None and not grammar.fullmatch(value):
            found = f"`{value[:60]}`" if value else "nothing"
            raise place.refused(f"has {found} where {what} belongs")
    if loose := re.search(r"(?<![<>=!~])(>|<=|~=)[^<>=!~,|]*\*", said.get("version", "")):
        raise place.refused(f"has `{loose[0][:60]}`, and `*` says nothing behind `{loose[1]}`")
    version, build_number = _judged(name, said, place)
    return CondaRequirement(name, version, said.get("build"), channel, subdir, build_number)


def _said(parts: Parts, place: Place) -> dict[str, str]:
    """Every field that the line gives, each from the one place where it is given."""
    if parts.more:
        last = parts.more[0]
        is_clause = last.startswith(("<", ">", "=", "!", "~"))
        wrong = "lacks a comma before" if is_clause else "goes on behind its build string with"
        raise place.refused(f"{wrong} `{last[:40]}`")
    said = {
        key: value
        for key, value in (
            ("channel", parts.channel),
            ("version", parts.version or None),
            ("build", parts.build),
        )
        if value is not None
    }
    for key, value in _keys(parts.keys or "", place):
        said[key] = _once(key, said.get(key), value, place) or ""
    return said


def _keys(text: str, place: Place) -> Iterator[tuple[str, str]]:
    """The keys in brackets and their values, without the quotes."""
    at = 0
    while at < len(text):
        found = _KEY.match(text, at)
        if not found:
            raise place.refused(f"has `{text[at : at + 40]}` where `key=value` belongs")
        if found[1] not in _KEYS:
            raise place.refused(
                f"has the key `{found[1][:40]}`, which is not one that nixenv knows",
                details=(f"known keys: {', '.join(_KEYS)}",),
            )
        value = found[2]
        yield found[1], value[1:-1] if value[:1] in ("'", '"') else value
        at = found.end()


def _once(key: str, first: str | None, second: str | None, place: Place) -> str | None:
    """The value that is there; it may stand in two places only if both say the same."""
    if first is None or second is None or first == second:
        return second if first is None else first
    raise place.two_readings(
        *(f"as `{key}` `{one[:60]}`: give that alone" for one in (first, second))
    )


def _split_channel(channel: str | None) -> tuple[str | None, str | None]:
    """A channel and the platform that may follow it: `conda-forge/linux-64`."""
    front, _, last = (channel or "").rpartition("/")
    return (front, last) if front and _SUBDIR.fullmatch(last) else (channel, None)


def _judged(name: str, said: dict[str, str], place: Place) -> tuple[str | None, str | None]:
    """Version and build number as `rattler` reads them."""
    from rattler import MatchSpec  # noqa: PLC0415 - see above
    from rattler.exceptions import InvalidMatchSpecError  # noqa: PLC0415

    fields = {key: said[key] for key in ("version", "build", "build_number") if key in said}
    if "version" in said:
        fields["version"] = _EXACT_PREFIX.sub("", said["version"])
    inside = ",".join(f'{key}="{value}"' for key, value in fields.items())
    try:
        spec = MatchSpec(f"{name}[{inside}]")
        version = spec.version
        is_both = "version" in fields and "build" in fields
        plain = f"{name} {fields['version']} {fields['build']}" if is_both else ""
        words = MatchSpec(plain).version if plain else version
    except InvalidMatchSpecError as error:
        reason = str(error).splitlines()[0]
        raise place.refused(
            f"is not a conda match spec: `{' '.join(fields.values())[:60]}` cannot be read",
            details=(f"the reader of match specs says: {reason}",),
        ) from error
    if words != version:
        # `=1.26` is any 1.26 where it stands alone, and exactly 1.26 where a build string follows.
        raise place.two_readings(
            f"as conda reads it where a build string follows: `{name} {words} {said['build']}`",
            f"as conda reads it where none does: `{name} {version} {said['build']}`",
        )
    return version, spec.build_number
