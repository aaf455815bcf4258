"""The groups of an environment, declared in this kernel: when it starts, and when it moves into another one.

An environment says which groups it has in a file that nixenv composed. A package could bring a file of that
name into an environment without groups; that one is a link into the package's own store object, and it is
not believed.
"""

from __future__ import annotations

import json
import os

from ..private_magic import groups_file
from . import registry
from .refusal import RefusedError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Mapping, Sequence

    from .holder import Holder

PROCESS = "process"


def declare_groups(prefix: str) -> list[str]:
    """Make the groups of the environment at `prefix` importable; nothing of them is loaded.

    Returns:
        A sentence for each that cannot be declared; the others can be used.
    """
    holders, complaints = _read(prefix)
    return [*complaints, *_refusals(registry.declare, holders)]


def obstacles(prefix: str) -> list[str]:
    """What of this process's groups is in use and would be another in the environment at `prefix`.

    Returns:
        A clause for each such group: which it is, and what of it is in use.
    """
    new = _by_name(prefix)
    other = [holder for holder in _declared().values() if not _is_kept(holder, new)]
    return [
        f"private group `{holder.name}` {_what_happens(holder, new)}, but {use}"
        for holder, use in ((holder, _use(holder)) for holder in other)
        if use
    ]


def follow(prefix: str) -> list[str]:
    """Have the groups of the environment at `prefix` and no others; `obstacles` has found none.

    Returns:
        As `declare_groups`.
    """
    new = _by_name(prefix)
    others = [name for name, holder in _declared().items() if not _is_kept(holder, new)]
    return [*_refusals(registry.withdraw, others), *declare_groups(prefix)]


def in_use() -> list[str]:
    """A line for each group that something was loaded of, or whose process runs."""
    uses = ((name, _use(holder)) for name, holder in _declared().items())
    return [f"{name}: {use}" for name, use in uses if use]


def _declared() -> dict[str, Holder]:
    held = {name: registry.get(name) for name in registry.names()}
    return {name: holder for name, holder in held.items() if holder is not None}


def _is_kept(holder: Holder, new: Mapping[str, Holder]) -> bool:
    return holder.name in new and holder.describes_same(new[holder.name])


def _what_happens(holder: Holder, new: Mapping[str, Holder]) -> str:
    return "changes" if holder.name in new else "is removed"


def _use(holder: Holder) -> str:
    """What of a group is in use, for a sentence; empty for nothing."""
    if getattr(holder, "is_running", False):
        return f"its process is running ({getattr(holder, 'pid', None)})"
    tops = registry.loaded_of(holder.name)
    if not tops:
        return ""
    named = ", ".join(f"`{top}`" for top in tops[:3]) + (", …" if tops[3:] else "")
    return f"its module {named} is loaded" if len(tops) == 1 else f"its modules {named} are loaded"


def _by_name(prefix: str) -> dict[str, Holder]:
    return {holder.name: holder for holder in _read(prefix)[0]}


def _read(prefix: str) -> tuple[list[Holder], list[str]]:
    """The holders of an environment's groups, in its order, and a sentence for each that is none."""
    file = groups_file(prefix)
    if os.path.realpath(file) != groups_file(os.path.realpath(prefix)):
        return [], []
    try:
        with open(file, encoding="utf-8") as stream:
            entries = list(json.load(stream)["groups"])
    except FileNotFoundError:
        return [], []
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        return [], [f"the private groups of this environment cannot be read: `{file}`, {error!r}"]
    root = os.path.dirname(file)
    read = [_holder_or_complaint(entry, root) for entry in entries]
    complaints = [one for one in read if isinstance(one, str)]
    return [one for one in read if not isinstance(one, str)], complaints


def _holder_or_complaint(entry: Any, root: str) -> Holder | str:
    try:
        return _holder(entry, root)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        name = entry.get("name") if isinstance(entry, dict) else entry
        return f"private group `{name!s:.60}` cannot be read: {error!r}"


def _holder(entry: Mapping[str, Any], root: str) -> Holder:
    """What has the modules of one group; folders by where they really are, which environments share."""
    if entry.get("mode") == PROCESS:
        from ..process.remote import ProcessGroup, Remote  # noqa: PLC0415 - only for such groups

        environment = os.path.realpath(os.path.join(root, entry["environment"]))
        return Remote(ProcessGroup(entry["name"], environment, dict(entry["distributions"])))
    from .group import Group  # noqa: PLC0415
    from .importing.domain import Domain  # noqa: PLC0415 - only for such groups

    folders = [os.path.realpath(os.path.join(root, folder)) for folder in entry["folders"]]
    return Domain(Group.from_json({**entry, "folders": folders}, root))


def _refusals(act: Callable[[Any], None], things: Sequence[Any]) -> list[str]:
    """Do it with each of them, and say of which it was refused, a line for each."""
    said: list[str] = []
    if not things:
        return said
    with registry.together():
        for thing in things:
            try:
                act(thing)
            except RefusedError as error:  # noqa: PERF203 - the others are done all the same
                said.append("; ".join(filter(None, map(str.strip, str(error).splitlines()))))
    return said
