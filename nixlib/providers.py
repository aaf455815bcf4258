"""Where a bare name comes from: the orders of the spec's `providers`, and the choice with its reason (pure).

A line that is a match spec or an attribute says itself where it is from. One that only names a Python
package goes to the first provider of its order that has it: `wheel` and `sdist` are the Python indexes,
`nixpkgs` its `python3Packages`, `conda` any of the notebook's channels, and every other word is a channel.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from packaging.utils import canonicalize_name

from nixlib.errors import RequirementError, ResolutionError, SpecError
from nixlib.requirements import (
    AnyRequirement,
    CondaRequirement,
    NixpkgsRequirement,
    PypiRequirement,
    parse_line,
)

__all__ = [
    "NIXPKGS",
    "Chosen",
    "Orders",
    "choose",
    "names_for_nixpkgs",
    "names_to_ask",
    "parse_orders",
]

DEFAULT: Final = "_default"
NIXPKGS: Final = "nixpkgs"
_ORDER: Final = ("wheel", "sdist")
_INDEX: Final = frozenset(_ORDER)
_WORDS: Final = ("conda", "nixpkgs", "sdist", "wheel")


@dataclass(frozen=True)
class Orders:
    """The spec's `providers`, read.

    Attributes:
        default: Of names that have no order of their own.
        named: Orders by normalised name.
    """

    default: tuple[str, ...] = _ORDER
    named: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def of(self, name: str) -> tuple[str, ...]:
        """The order of a name, however it is spelled."""
        return self.named.get(canonicalize_name(name), self.default)

    def formats(self, name: str) -> tuple[str, ...]:
        """Which of `wheel` and `sdist` a package of a Python index may be, the preferred one first.

        Dependencies of other packages are asked about too: where their order has neither, they may be both.
        """
        return tuple(word for word in self.of(name) if word in _INDEX) or _ORDER

    @property
    def channels(self) -> tuple[str, ...]:
        """The channels that orders name, each once: the notebook's own come before them."""
        words = [word for order in (self.default, *self.named.values()) for word in order]
        return tuple(dict.fromkeys(word for word in words if word not in _WORDS))

    def key_of(self, name: str) -> str:
        """The key of `providers` that decides about a name."""
        normalised = canonicalize_name(name)
        return normalised if normalised in self.named else DEFAULT


@dataclass(frozen=True)
class Chosen:
    """Every line with its source.

    Attributes:
        requirements: As many as there were, in their order: those that are not for a Python index are a
            match spec or an attribute now.
        choices: For each name that several providers could have given: which one does, and why.
    """

    requirements: tuple[AnyRequirement, ...]
    choices: Mapping[str, str] = field(default_factory=dict)


def parse_orders(providers: Mapping[str, str], channels: Collection[str] = ()) -> Orders:
    """The orders that `providers` are.

    Args:
        providers: Of the spec: a name, or `_default`, to words with commas between them.
        channels: Of the spec: words that are surely no typing errors.

    Raises:
        SpecError: A word is given twice, or is nearly one of ours.

    Examples:
        >>> parse_orders({"_default": "conda-forge, wheel", "Six": "sdist"}).of("six")
        ('sdist',)
    """
    orders: dict[str, tuple[str, ...]] = {}
    for name, text in providers.items():
        words = tuple(word.strip() for word in text.split(","))
        for word in words:
            _check_word(name, word, words, channels)
        orders[name if name == DEFAULT else canonicalize_name(name)] = words
    return Orders(orders.pop(DEFAULT, _ORDER), orders)


def _check_word(name: str, word: str, words: Sequence[str], channels: Collection[str]) -> None:
    if words.count(word) > 1:
        raise SpecError(
            f"`nixenv.providers.{name}` has `{word}` twice",
            key=f"nixenv.providers.{name}",
            found=word,
        )
    near = difflib.get_close_matches(word.lower(), _WORDS, n=1, cutoff=0.85)
    if near and word not in (*_WORDS, *channels):
        raise SpecError(
            f"`nixenv.providers.{name}` has `{word}`, which is neither a provider nor one of the channels",
            details=("every word but `wheel`, `sdist`, `conda` and `nixpkgs` is a channel",),
            hint=f"did you mean `{near[0]}`? a channel of that name goes into `nixenv.channels`",
            key=f"nixenv.providers.{name}",
            found=word,
        )


def names_to_ask(
    requirements: Sequence[AnyRequirement], orders: Orders
) -> Mapping[str, frozenset[str]]:
    """What has to be known before `choose`: for each channel, and for `conda`, which names it might have.

    Empty where nothing but Python indexes is in an order, so that most notebooks ask nothing.
    """
    asked: dict[str, set[str]] = {}
    for line in requirements:
        if isinstance(line, PypiRequirement) and not _unsuited(line):
            for word in orders.of(line.name):
                if word not in ("wheel", "sdist", "nixpkgs"):
                    asked.setdefault(word, set()).update(_conda_names(line))
    return {word: frozenset(names) for word, names in asked.items()}


def names_for_nixpkgs(requirements: Sequence[AnyRequirement], orders: Orders) -> frozenset[str]:
    """The same for nixpkgs; names that a Python index comes before are never its to give."""
    found = set()
    for line in requirements:
        if isinstance(line, PypiRequirement) and not line.version and not _unsuited(line):
            order = orders.of(line.name)
            before = order[: order.index(NIXPKGS)] if NIXPKGS in order else order
            if NIXPKGS in order and _INDEX.isdisjoint(before):
                found.add(line.canonical_name)
    return frozenset(found)


def choose(
    requirements: Sequence[AnyRequirement],
    orders: Orders,
    found: Mapping[str, Collection[str]],
    *,
    notebook: str = "",
) -> Chosen:
    """The source of each line.

    Args:
        requirements: The notebook's lines as they are read.
        orders: Where bare names come from.
        found: For each channel, and for `conda`, those of `names_to_ask` that it has; for `nixpkgs` the
            packages in its `python3Packages`. A provider that is not in it has every name.
        notebook: For messages.

    Raises:
        ResolutionError: No provider of a name's order has it.
    """
    lines: list[AnyRequirement] = []
    choices: dict[str, str] = {}
    for line in requirements:
        if not isinstance(line, PypiRequirement) or line.direct:
            lines.append(line)
            continue
        answer, word, passed = _first(line, orders.of(line.name), found, notebook)
        lines.append(answer)
        if len({_kind(one) for one in orders.of(line.name)}) > 1 or orders.named.get(
            line.canonical_name
        ):
            choices[line.canonical_name] = _reason(word, passed, orders, line)
    return Chosen(tuple(lines), choices)


def _kind(word: str) -> str:
    return "index" if word in _INDEX else word


def _first(
    line: PypiRequirement,
    order: Sequence[str],
    found: Mapping[str, Collection[str]],
    notebook: str,
) -> tuple[AnyRequirement, str, list[str]]:
    """What the first provider makes of the line, its word, and why those before it do not."""
    passed: list[str] = []
    for word in order:
        answer = _from(line, word, found)
        if not isinstance(answer, str):
            return answer, word, passed
        passed.append(answer)
    raise ResolutionError(
        f"none of its providers has `{line}`",
        details=tuple(passed),
        hint=f"`providers` may say `wheel` for `{line.name}` in the metadata",
        requirement=str(line),
        notebook=notebook,
    )


def _from(
    line: PypiRequirement, word: str, found: Mapping[str, Collection[str]]
) -> AnyRequirement | str:
    """The line as this provider's own, or why it is none of its."""
    has = found.get(word)
    if word in _INDEX:
        return line if has is None or line.canonical_name in has else f"no {word} of it is known"
    if unsuited := _unsuited(line):
        return f"`{word}` cannot be asked: {unsuited}"
    return _from_nixpkgs(line, has) if word == "nixpkgs" else _from_channel(line, word, has)


def _from_nixpkgs(line: PypiRequirement, has: Collection[str] | None) -> AnyRequirement | str:
    if line.version:
        return f"`nixpkgs` cannot be asked: it has one version, and `{line}` asks for a certain one"
    if has is not None and line.canonical_name not in has:
        return "`nixpkgs` does not have it"
    return NixpkgsRequirement(f"python3Packages.{line.canonical_name}")


def _from_channel(
    line: PypiRequirement, word: str, has: Collection[str] | None
) -> AnyRequirement | str:
    names = [name for name in _conda_names(line) if has is None or name in has]
    if not names:
        return f"`{word}` does not have it"
    version = line.version or "*"
    head = names[0] if word == "conda" else f"{word}::{names[0]}"
    with suppress(RequirementError):
        read = parse_line(f'{head}[version="{version}"]')
        if isinstance(read, CondaRequirement):
            return read
    return f"conda has no words for `{version}`"


def _unsuited(line: PypiRequirement) -> str:
    """What of a line only Python indexes have."""
    if line.direct:
        return "the line says where it is"
    if line.extras:
        return "only Python packages have extras"
    return "only Python packages have markers" if line.marker else ""


def _conda_names(line: PypiRequirement) -> tuple[str, ...]:
    """What conda may call it; most are called the same."""
    canonical = line.canonical_name
    return tuple(dict.fromkeys((line.name.lower(), canonical, canonical.replace("-", "_"))))


def _reason(word: str, passed: Sequence[str], orders: Orders, line: PypiRequirement) -> str:
    """`conda-forge: the first of …`, as `nixenv tree --why` shows it."""
    key = orders.key_of(line.name)
    order = ",".join(orders.of(line.name))
    where = f"of `{order}`, which `providers.{key}` says"
    if len(orders.of(line.name)) == 1:
        return f"{word}: `providers.{key}` says so"
    if not passed:
        return f"{word}: the first {where}"
    return f"{word}: {'; '.join(passed)}; the next {where}"
