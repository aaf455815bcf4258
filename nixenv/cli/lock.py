"""`nixenv lock`: resolve the requirements again; without `--upgrade`, only what must move moves."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from nixenv.cli.carried import naming, read_carried
from nixenv.cli.change import relock
from nixenv.cli.command import Context
from nixenv.cli.report import Report
from nixenv.errors import UsageError
from nixlib.engine import Upgrade
from nixlib.lock import Lock
from nixlib.spec import parse_spec


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
    outcome = relock(carried, spec, context, upgrade=upgrade, as_of=arguments.as_of)
    count = len(outcome.lock.packages)
    headline = f"locked `{carried.document.name}`: {count} packages ({outcome.seconds:.1f} s)"
    if not outcome.changes.lines():
        headline += ", nothing has moved"
    return outcome.report(context.settings, headline)


def _upgrade(names: Sequence[str] | None, lock: Lock | None) -> Upgrade:
    """Nothing without the option, all with the bare option, else those that are named.

    Raises:
        UsageError: A name is not in the lock, so that it could not move.
    """
    if names is None:
        return frozenset()
    if not names:
        return "all"
    from packaging.utils import canonicalize_name  # noqa: PLC0415

    wanted = {name: str(canonicalize_name(name)) for name in names}
    known = {package.name for package in lock.packages} if lock else set()
    for name, normalised in wanted.items():
        if lock and normalised not in known:
            raise UsageError(
                f"`{name}` is not in the lock, so it cannot be upgraded",
                hint="`nixenv list` shows every package",
                key="--upgrade",
            )
    return frozenset(wanted.values())
