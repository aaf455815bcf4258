"""Which group a `%%private` line means: one that is there, or one that the line makes.

A line of requirements becomes a group through the engine, as by `%nixenv add --private`: locked into the
notebook, built, and declared in this kernel before the cell runs. Once it is there, the line finds it.
"""

from __future__ import annotations

import difflib

from IPython.core.error import UsageError

from .. import launched
from ..failure import KernelSideError
from ..process.guards import interruptible
from . import adhoc, registry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .holder import Holder


def chosen(shell: Any, what: str, *, has_body: bool) -> Holder | None:
    """The declared group that `%%private <what>` means; None where it only asks for help.

    Raises:
        UsageError: Nothing stands behind `%%private`, or what cannot be understood.
        KernelSideError: There is no such group, or it could not be made; the message says what is there.
    """
    if not what:
        _help(shell, has_body=has_body)
        return None
    try:
        wanted = adhoc.parse(what)
    except ValueError as error:
        raise UsageError(f"{error}\n  {_known(shell)}") from error
    if wanted is None:
        return registry.get(what) or _absent(shell, what)
    return _of_requirements(shell, wanted)


def _help(shell: Any, *, has_body: bool) -> None:
    from ..private_magic import HELP  # noqa: PLC0415 - only here

    if has_body:
        raise UsageError(f"`%%private` needs to be told which group\n  {_known(shell)}")
    print(HELP)  # noqa: T201 - the answer
    print(_known(shell))  # noqa: T201 - the answer


def _value(shell: Any) -> object:
    from ..asked import value_for  # noqa: PLC0415 - only for what is not declared

    return value_for(shell)


def _known(shell: Any) -> str:
    from ..asked import group_lines  # noqa: PLC0415 - only for messages

    names = sorted({*registry.names(), *group_lines(_value(shell))})
    return f"the notebook has {', '.join(f'`{name}`' for name in names) or 'no private group'}"


def _absent(shell: Any, name: str) -> Holder:
    """Say why a group is not there.

    Raises:
        KernelSideError: Always.
    """
    from ..asked import group_lines, locked_groups  # noqa: PLC0415 - only for messages

    value = _value(shell)
    said = group_lines(value)
    if name in said:
        if launched.variables() is None:
            raise _foreign(name)
        locked = locked_groups(value)
        is_stale = locked is not None and name not in locked
        raise KernelSideError(
            "PrivateGroupError",
            f"private group `{name}` is in the notebook, but not in this kernel's environment"
            + ("\n  the lock is older than it" if is_stale else ""),
            hint="`%nixenv lock`, then `%nixenv sync`" if is_stale else "`%nixenv sync`",
        )
    near = difflib.get_close_matches(name, sorted({*registry.names(), *said}), n=1)
    raise KernelSideError(
        "PrivateGroupError",
        f"there is no private group `{name}`\n  {_known(shell)}",
        hint=f"did you mean `%%private {near[0]}`?"
        if near
        else f"`%nixenv add --private {name} …` with the group's requirements,"
        f" or with a version in this line: `%%private {name}==…`",
    )


def _foreign(name: str) -> KernelSideError:
    return KernelSideError(
        "PrivateGroupError",
        f"private group `{name}` cannot be used here: this kernel is not a nixenv kernel",
        hint="choose the kernel `nixenv` for the notebook",
    )


def _of_requirements(shell: Any, wanted: adhoc.AdHoc) -> Holder:
    """The group that the line's words make, made if it is not there yet.

    Raises:
        KernelSideError: It could not be made; the message is the engine's.
        UsageError: One of the words is a group.
    """
    group = next((line for line in wanted.requirements if registry.get(line) is not None), "")
    if group:
        raise UsageError(
            f"`{group}` is a private group: a cell has one, and nothing else beside it\n"
            f"  `%nixenv add --private {group} …` adds to it"
        )
    for name in (wanted.name, wanted.other_name):
        holder = registry.get(name)
        if holder is not None and _has(holder, wanted):
            return holder
    if launched.variables() is None:
        raise _foreign(wanted.name)
    return _made(shell, wanted)


def _has(holder: Holder, wanted: adhoc.AdHoc) -> bool:
    """Whether the group is what the words name: the package `a-1` at 2 and `a` at 1.2 give it one name."""
    group = getattr(holder, "group", None)
    return wanted.packages <= set(getattr(group, "distributions", ()))


def _made(shell: Any, wanted: adhoc.AdHoc) -> Holder:
    from .. import dispatch, screen, verbs  # noqa: PLC0415 - only for groups that are new
    from ..asked import group_lines  # noqa: PLC0415

    said = group_lines(_value(shell)).get(wanted.name)
    is_free = registry.get(wanted.name) is None and said in (None, list(wanted.requirements))
    name = wanted.name if is_free else wanted.other_name
    command = verbs.parse_words(["add", "--private", name, *wanted.arguments])
    effects: list[str] = []
    with interruptible():
        screen.show(dispatch.carry_out(command, dispatch.host_of(shell, effects)))
    holder = registry.get(name)
    if holder is None:
        raise KernelSideError(
            "PrivateGroupError",
            f"the group is in the notebook as `{name}`, but not in this kernel\n  "
            + "\n  ".join(effects or ["nothing says why"]),
            hint="restart the kernel and run the cell again",
        )
    return holder
