"""`nixenv lock`: resolve the requirements again; without `--upgrade`, only what must move moves."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from nixenv.cli.carried import naming, read_carried
from nixenv.cli.change import relock
from nixenv.cli.command import Context
from nixenv.cli.group_members import group_members
from nixenv.cli.members import answering, members
from nixenv.cli.report import Report
from nixenv.errors import UsageError
from nixlib.engine import Upgrade
from nixlib.lock import Lock
from nixlib.spec import Spec, parse_spec
from nixlib.variants import NONE


def run(arguments: argparse.Namespace, context: Context) -> Report:
    """Lock `arguments.notebook` anew and write the lock."""
    # A damaged lock is what this verb is for, so only the spec has to be whole.
    carried = read_carried(arguments.notebook, damaged_lock_is_none=True)
    if arguments.as_of:
        # The spec's own reader knows what a date is, and says so.
        with naming(carried.document):
            parse_spec({"version": 1, "exclude-newer": arguments.as_of})
    spec = carried.spec
    if arguments.python:
        with naming(carried.document):
            spec = parse_spec({**spec.to_json(), "python": arguments.python})
    upgrade = _upgrade(arguments.upgrade, carried.lock)
    outcome = relock(
        carried,
        spec,
        context,
        upgrade=upgrade,
        as_of=arguments.as_of,
        substitutions=_substitutions(arguments.variant, spec, carried.lock),
    )
    count = len(members(outcome.lock))
    headline = f"locked `{carried.document.name}`: {count} packages ({outcome.seconds:.1f} s)"
    if not outcome.changes.lines():
        headline += ", nothing has moved"
    return outcome.report(context.settings, headline)


def _substitutions(
    said: Sequence[str], spec: Spec, lock: Lock | None
) -> dict[str, str | None] | None:
    """What the options put in place of the spec's variants, beside what the lock has there already.

    A choice that is the spec's own ends its substitution. None without the option: nothing changes.

    Raises:
        UsageError: An option is not `NAME=CHOICE`.
        SpecError: One of the two is no word.
    """
    if not said:
        return None
    pairs = [option.partition("=") for option in said]
    for name, _, choice in pairs:
        if not (name and choice):
            raise UsageError(
                f"`--variant {name}` does not say which choice",
                hint="`--variant NAME=CHOICE`, such as `--variant cuda=none`",
                key="--variant",
            )
    chosen = {name: None if choice == NONE else choice for name, _, choice in pairs}
    parse_spec({"version": 1, "variants": chosen})
    earlier = lock.substitutions if lock else {}
    before = {name: None if choice == NONE else choice for name, choice in earlier.items()}
    return {
        name: choice
        for name, choice in {**before, **chosen}.items()
        if name not in spec.variants or spec.variants[name] != choice
    }


def _upgrade(names: Sequence[str] | None, lock: Lock | None) -> Upgrade:
    """Nothing without the option, all with the bare option, else those that are named.

    Raises:
        UsageError: A name is not in the lock, so that it could not move.
    """
    if names is None:
        return frozenset()
    if not names:
        return "all"
    if lock is None:
        return frozenset(names)
    own = [member for group in group_members(lock) for member in group.own]
    present = [*members(lock), *own]
    wanted: set[str] = set()
    for name in names:
        meant = answering(name, present)
        if not meant:
            raise UsageError(
                f"`{name}` is not in the lock, so it cannot be upgraded",
                hint="`nixenv list` shows every package",
                key="--upgrade",
            )
        wanted |= {text for one in meant for text in (one.name, one.name.rpartition("#")[2])}
    return frozenset(wanted)
