"""The lines of a spec, each with its source: by its form, or by the spec's order of providers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from nixlib.locking.asked import Asked
from nixlib.providers import (
    NIXPKGS,
    Orders,
    choose,
    names_for_nixpkgs,
    names_to_ask,
    parse_orders,
)
from nixlib.requirements.sorting import Line, Lines, read_lines, sort_lines

_ANY_CHANNEL = "conda"


@dataclass(frozen=True)
class ChosenLines:
    """The lines, sorted.

    Attributes:
        lines: By ecosystem.
        orders: Where bare names come from.
        channels: Those of the spec, and then those that only an order names.
        choices: For each name that several providers could have given: which one does, and why.
    """

    lines: Lines
    orders: Orders
    channels: tuple[str, ...]
    choices: Mapping[str, str]


def choose_lines(asked: Asked) -> ChosenLines:
    """Every line given to whom it is for; channels are asked only where an order names one.

    Raises:
        RequirementError: A line cannot be read.
        SpecError: An order of providers cannot.
        ResolutionError: No provider of a name's order has it.
        NetworkError: A channel did not answer.
    """
    spec = asked.spec
    orders = parse_orders(spec.providers, spec.channels)
    channels = tuple(dict.fromkeys((*spec.channels, *orders.channels)))
    written = read_lines(spec.requirements)
    read = [line.read for line in written]
    found = {
        word: _in_channel(asked, channels if word == _ANY_CHANNEL else (word,), names)
        for word, names in names_to_ask(read, orders).items()
    }
    own = names_for_nixpkgs(read, orders)
    if own:
        found[NIXPKGS] = _in_nixpkgs(asked, own)
    chosen = choose(read, orders, found, notebook=asked.notebook)
    lines = [
        Line(line.number, line.text, requirement)
        for line, requirement in zip(written, chosen.requirements, strict=True)
    ]
    return ChosenLines(sort_lines(lines), orders, channels, chosen.choices)


def _in_channel(asked: Asked, channels: tuple[str, ...], names: Collection[str]) -> frozenset[str]:
    """Those of `names` that one of `channels` has; of a lock that only grows, what is there stays there."""
    kept = asked.previous.conda.packages if asked.previous and asked.added else ()
    known = {package.name for package in kept} & set(names)
    unknown = set(names) - known
    if not unknown:
        return frozenset(known)
    from nixlib.resolvers.conda.resolve import names_in_channels  # noqa: PLC0415 - few notebooks need it

    found = names_in_channels(
        unknown,
        channels,
        systems=asked.spec.systems,
        folder=asked.folder,
        settings=asked.settings,
        cancel=asked.cancel,
    )
    return frozenset(known) | frozenset(found)


def _in_nixpkgs(asked: Asked, names: Collection[str]) -> frozenset[str]:
    """Those of `names` that nixpkgs has as Python packages; its commit is that of the lock so far."""
    from nixlib.resolvers.nixpkgs import AttributeRequest, names_in_nixpkgs  # noqa: PLC0415 - as above

    request = AttributeRequest(
        systems=asked.spec.systems,
        previous=asked.previous.attributes if asked.previous else (),
        upgrade=asked.upgrade,
        notebook=asked.notebook,
    )
    return names_in_nixpkgs(
        names,
        request,
        settings=asked.settings,
        on_event=asked.on_event,
        cancel=asked.cancel,
    )
